"""N-MNIST from a local copy: digits before a moving sensor of 34 x 34 pixels.

    <folder>/NMNIST/Train/<digit>/<number>.bin        as tonic leaves it, or <folder>/Train/...
    <folder>/NMNIST/Test/<digit>/<number>.bin

An event is 40 bits, the highest first: x (8), y (8), polarity (1), time in us (23). A y of 240 is
no event: the clock of what follows has run over by 2^13 us. The set is that of Orchard et al.
(2015), https://www.garrickorchard.com/datasets/n-mnist, CC BY-SA 4.0.
"""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np

from optuna_snn.objectives.datasets.errors import DatasetError
from optuna_snn.objectives.datasets.event_samples import (
    EventFormat,
    EventSamples,
    EventSplit,
    Recording,
)
from optuna_snn.objectives.datasets.events import Events
from optuna_snn.objectives.datasets.samples import stratified_parts
from optuna_snn.spikes.checks import checked_real

__all__ = ["NMNIST", "read_nmnist", "split_nmnist"]

SENSOR_SIDE = 34
BYTES_PER_EVENT = 5
OVERFLOW_ROW, OVERFLOW_US = 240, 2**13
TRAIN_FOLDER, TEST_FOLDER = "Train", "Test"


def split_nmnist(
    folder: str | os.PathLike[str],
    *,
    side: int = SENSOR_SIDE,
    denoise_ms: float | None = None,
    validation_share: float = 0.2,
    seed: int = 0,
) -> EventSplit:
    """The set in three parts: its own test, and its training part parted with the classes' shares.

    folder:           the folder of Train and Test, or one that has them in NMNIST
    side, denoise_ms: see `EventSamples`
    validation_share: share of the training recordings, drawn by `seed`

    Raises:
        DatasetError: the folder has not both parts.
        ValueError: an option is out of range.
    """
    if not 0 < checked_real("validation_share", validation_share) < 1:
        raise ValueError(f"Need 0 < validation_share < 1, got {validation_share!r}.")
    home = _home(Path(folder))
    samples, test = (
        EventSamples(_recordings(home / part), NMNIST, side=side, denoise_ms=denoise_ms)
        for part in (TRAIN_FOLDER, TEST_FOLDER)
    )
    n_validation = max(1, round(validation_share * len(samples)))
    parts = stratified_parts(
        samples.labels, (len(samples) - n_validation, n_validation), np.random.default_rng(seed)
    )
    train, validation = (samples.take(part) for part in parts)
    return EventSplit(train, validation, test)


def read_nmnist(path: Path) -> Events:
    """The events of one file.

    Raises DatasetError, naming the file, if it is missing, truncated or has pixels outside the
    sensor or times that decrease.
    """
    try:
        content = path.read_bytes()
    except OSError as error:
        raise _damaged(path, str(error)) from error
    if len(content) % BYTES_PER_EVENT:
        raise _damaged(path, f"its {len(content)} bytes are no multiple of {BYTES_PER_EVENT}")
    words = np.frombuffer(content, np.uint8).reshape(-1, BYTES_PER_EVENT).astype(np.int64)
    x, y, high, middle, low = words.T
    is_overflow = y == OVERFLOW_ROW
    t_us = ((high & 0x7F) << 16 | middle << 8 | low) + OVERFLOW_US * np.cumsum(is_overflow)
    events = Events(x, y, high >> 7 == 1, t_us).take(~is_overflow)
    problem = events.problem(SENSOR_SIDE)
    if problem is not None:
        raise _damaged(path, problem)
    return events


NMNIST = EventFormat(
    read=read_nmnist, sensor_side=SENSOR_SIDE, class_names=tuple(str(n) for n in range(10))
)


def _home(folder: Path) -> Path:
    for home in (folder / "NMNIST", folder):
        if all(any((home / part).glob("[0-9]/*.bin")) for part in (TRAIN_FOLDER, TEST_FOLDER)):
            return home
    raise DatasetError(
        f"The folder {folder} has no N-MNIST: looked for Train/<digit>/<number>.bin and "
        "Test/... in it and in its NMNIST. To obtain it, unpack Train.zip and Test.zip from "
        "https://www.garrickorchard.com/datasets/n-mnist there."
    )


def _recordings(part: Path) -> tuple[Recording, ...]:
    """All files of a part, sorted by digit and number."""
    return tuple(
        Recording(path, int(path.parent.name), group="")
        for path in sorted(part.glob("[0-9]/*.bin"))
    )


def _damaged(path: Path, reason: str) -> DatasetError:
    return DatasetError(f"The recording {path} is damaged: {reason}; unpack the set again.")
