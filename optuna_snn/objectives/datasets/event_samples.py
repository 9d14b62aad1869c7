"""Labelled recordings of events, read from their files and binned batch by batch; their split.

A set of recordings is larger than the memory of most machines (DVS128 Gesture: 5 GB), so that
samples hold paths only. Workers on one machine share the operating system's file cache.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from optuna_snn.objectives.datasets.errors import DatasetError
from optuna_snn.objectives.datasets.events import N_POLARITIES, Events, denoise, to_frames
from optuna_snn.spikes.checks import checked_integer, checked_real

__all__ = ["EventFormat", "EventSamples", "EventSplit", "Recording", "split_by_group"]

US_PER_MS = 1000


@dataclass(frozen=True)
class EventFormat:
    """How the recordings of a data set are read, and what they show.

    read:        the events of a file; raises DatasetError, naming the file, if it is damaged
    sensor_side: rows and columns of the sensor
    class_names: what labels 0, 1, ... mean
    """

    read: Callable[[Path], Events]
    sensor_side: int
    class_names: tuple[str, ...]


@dataclass(frozen=True)
class Recording:
    """One file: its label, and the group, such as the person, that it must not be parted from."""

    path: Path
    label: int
    group: str


@dataclass(frozen=True)
class EventSamples:
    """Labelled recordings whose frames are made when they are asked for.

    recordings: the files in their order
    format:     how they are read
    side:       rows and columns of the frames, a divisor of the sensor's; a pixel of a smaller
                frame is set if any pixel of its block sent an event
    denoise_ms: isolated events are dropped if no neighbour sent one within that time (`denoise`);
                None keeps them all

    Raises ValueError for another side, a denoise_ms that is not positive, or a label that the
    format has no class for.
    """

    recordings: tuple[Recording, ...]
    format: EventFormat
    side: int
    denoise_ms: float | None = None

    def __post_init__(self) -> None:
        sensor_side = self.format.sensor_side
        if sensor_side % checked_integer("side", self.side, at_least=1):
            divisors = [n for n in range(1, sensor_side + 1) if sensor_side % n == 0]
            raise ValueError(f"side must be one of {divisors}, got {self.side!r}.")
        if self.denoise_ms is not None and not checked_real("denoise_ms", self.denoise_ms) > 0:
            raise ValueError(
                f"Need denoise_ms > 0, or None to keep all events, got {self.denoise_ms!r}."
            )
        for each in self.recordings:
            if not 0 <= each.label < self.n_classes:
                raise DatasetError(
                    f"The label of {each.path} must be within 0 and {self.n_classes - 1}, "
                    f"got {each.label}; remove the file or correct its name."
                )

    def __len__(self) -> int:
        return len(self.recordings)

    @property
    def labels(self) -> NDArray[np.int64]:
        """(n_samples,) classes counted from 0."""
        return np.array([each.label for each in self.recordings], dtype=np.int64)

    @property
    def n_classes(self) -> int:
        """Classes of the data set, whether or not these samples have all of them."""
        return len(self.format.class_names)

    @property
    def frame_shape(self) -> tuple[int, int, int]:
        """(2, side, side): polarities OFF and ON, rows, columns."""
        return N_POLARITIES, self.side, self.side

    def take(self, indices: NDArray[np.integer]) -> EventSamples:
        """The samples at `indices`, in that order."""
        return replace(self, recordings=tuple(self.recordings[i] for i in indices))

    def frames(
        self, indices: Sequence[int] | NDArray[np.integer], *, n_steps: int
    ) -> NDArray[np.bool_]:
        """Read the recordings at `indices` and cut each into n_steps frames of equal duration.

        Returns (len(indices), 2, side, side, n_steps): whether there was an event of that polarity
        in that block of pixels and time.

        Raises DatasetError, naming the file, if a recording is missing or damaged.
        """
        checked_integer("n_steps", n_steps, at_least=1)
        frames = np.empty((len(indices), *self.frame_shape, n_steps), dtype=np.bool_)
        for row, index in enumerate(indices):
            frames[row] = to_frames(
                self._events(self.recordings[index].path),
                n_steps=n_steps,
                sensor_side=self.format.sensor_side,
                side=self.side,
            )
        return frames

    def _events(self, path: Path) -> Events:
        events = self.format.read(path)
        if self.denoise_ms is None:
            return events
        return denoise(
            events,
            filter_us=round(self.denoise_ms * US_PER_MS),
            sensor_side=self.format.sensor_side,
        )


@dataclass(frozen=True)
class EventSplit:
    """Disjoint parts of a data set: to train on, to choose by, and to report on once."""

    train: EventSamples
    validation: EventSamples
    test: EventSamples

    def __post_init__(self) -> None:
        for name in ("train", "validation", "test"):
            if len(getattr(self, name)) == 0:
                raise ValueError(f"The part {name!r} of the split has no samples.")

    @property
    def n_classes(self) -> int:
        """Classes of the data set."""
        return self.train.n_classes

    @property
    def train_and_validation(self) -> EventSamples:
        """Both parts in one, for training that is not tuned any more."""
        return replace(self.train, recordings=self.train.recordings + self.validation.recordings)


def split_by_group(
    samples: EventSamples, test: EventSamples, *, validation_share: float, seed: int
) -> EventSplit:
    """Take whole groups, drawn at random, out of `samples` until they are validation_share of it.

    A network is then validated on people that it was not trained with, as the test does. Both
    parts are shuffled. The same seed gives the same parts.

    Raises ValueError if validation_share is not within (0, 1), or there is but one group.
    """
    if not 0 < checked_real("validation_share", validation_share) < 1:
        raise ValueError(f"Need 0 < validation_share < 1, got {validation_share!r}.")
    rng = np.random.default_rng(seed)
    groups = np.array([each.group for each in samples.recordings])
    names = rng.permutation(np.unique(groups))
    if len(names) < 2:
        raise ValueError(f"Need at least two groups (people) to split by, got {names.tolist()}.")
    sizes = np.array([np.sum(groups == name) for name in names[:-1]])  # one is left to train on
    n_wanted = validation_share * len(samples)
    n_groups = int(np.argmin(np.abs(np.cumsum(sizes) - n_wanted))) + 1
    is_validation = np.isin(groups, names[:n_groups])
    return EventSplit(
        samples.take(rng.permutation(np.flatnonzero(~is_validation))),
        samples.take(rng.permutation(np.flatnonzero(is_validation))),
        test,
    )
