"""Labelled images and their three-way split.

A study tunes on the validation part and so its best accuracy there is a maximum over noise. The
test part is for `retrain` alone.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from optuna_snn.spikes.checks import checked_integer

__all__ = ["DataSplit", "Samples", "stratified_parts", "stratified_split"]


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
    parts = stratified_parts(samples.labels, tuple(sizes.values()), np.random.default_rng(seed))
    return DataSplit(*(samples.take(part) for part in parts))


def stratified_parts(
    labels: NDArray[np.int64], sizes: Sequence[int], rng: np.random.Generator
) -> list[NDArray[np.int64]]:
    """Draw the indices of disjoint parts of those sizes, as `stratified_split` says; shuffled.

    The sizes are >= 1 and together at most len(labels).
    """
    pools = [rng.permutation(np.flatnonzero(labels == label)) for label in np.unique(labels)]
    parts = []
    for size in sizes:
        shares = _shares(np.array([len(pool) for pool in pools]), size)
        drawn = np.concatenate([pool[:n] for pool, n in zip(pools, shares, strict=True)])
        pools = [pool[n:] for pool, n in zip(pools, shares, strict=True)]
        parts.append(rng.permutation(drawn))
    return parts


def _shares(available: NDArray[np.int64], n: int) -> NDArray[np.int64]:
    """Divide n in proportion to `available` by largest remainders; each share <= available."""
    exact = n * available / available.sum()
    shares: NDArray[np.int64] = np.floor(exact).astype(np.int64)
    largest = np.argsort(shares - exact, kind="stable")[: n - shares.sum()]
    shares[largest] += 1
    return shares
