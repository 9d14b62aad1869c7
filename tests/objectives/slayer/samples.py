"""Small data that networks learn within a second, for the tests of the SLAYER objective."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from optuna_snn.objectives.datasets import DataSplit, Samples, stratified_split

SIDE, N_CLASSES = 6, 3


def stripes(n_samples: int = 132) -> Samples:
    """Noisy images of 6 x 6 pixels with one of three bright stripes, which is the class."""
    rng = np.random.default_rng(0)
    labels = np.arange(n_samples) % N_CLASSES
    images = rng.uniform(0, 0.1, size=(n_samples, SIDE, SIDE))
    for label in range(N_CLASSES):
        images[labels == label, 2 * label : 2 * label + 2] += 0.8
    return Samples(images.reshape(n_samples, -1), labels)


def split_of_stripes() -> DataSplit:
    return stratified_split(stripes(), n_train=72, n_validation=30, n_test=30, seed=0)


@dataclass(frozen=True)
class EventStripes:
    """The same as recordings of 2 x 6 x 6: channel 0 shows the stripe, channel 1 some noise."""

    labels: NDArray[np.int64]
    frame_shape: tuple[int, int, int] = (2, SIDE, SIDE)

    def __len__(self) -> int:
        return len(self.labels)

    def frames(self, indices: NDArray[np.int64], *, n_steps: int) -> NDArray[np.bool_]:
        frames = np.zeros((len(indices), *self.frame_shape, n_steps), dtype=np.bool_)
        for row, index in enumerate(indices):
            rng = np.random.default_rng([1, int(index)])
            frames[row, 1] = rng.random((SIDE, SIDE, n_steps)) < 0.05
            top = 2 * self.labels[index]
            frames[row, 0, top : top + 2] = rng.random((2, SIDE, n_steps)) < 0.7
        return frames


@dataclass(frozen=True)
class EventStripesSplit:
    train: EventStripes
    validation: EventStripes
    test: EventStripes

    @property
    def n_classes(self) -> int:
        return N_CLASSES

    @property
    def train_and_validation(self) -> EventStripes:
        return EventStripes(np.concatenate([self.train.labels, self.validation.labels]))


def split_of_event_stripes() -> EventStripesSplit:
    def part(n: int) -> EventStripes:
        return EventStripes(np.arange(n) % N_CLASSES)

    return EventStripesSplit(part(60), part(24), part(24))
