"""DVS128 Gesture from a local copy in the layout that tonic leaves on disk; needs NumPy only.

    <folder>/DVSGesture/ibmGestureTrain/user<NN>_<lighting>/<class 0..10>.npy
    <folder>/DVSGesture/ibmGestureTest/ ...

A file is an array (n_events, 4) of x, y, polarity and the time in ms. The set (Amir et al., CVPR
2017, https://research.ibm.com/interactive/dvsgesture, CC BY 4.0) shows 29 people.

Departure from the paper: it holds out recordings for validation, whoever they show. Here people
are held out, so that networks are chosen by how well they do on people they do not know.
"""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np

from optuna_snn.objectives.datasets.errors import DatasetError
from optuna_snn.objectives.datasets.event_samples import (
    US_PER_MS,
    EventFormat,
    EventSamples,
    EventSplit,
    Recording,
    split_by_group,
)
from optuna_snn.objectives.datasets.events import Events

__all__ = ["DVS_GESTURE", "read_gesture", "split_dvs_gesture", "write_gesture"]

HOME = "DVSGesture"
TRAIN_FOLDER, TEST_FOLDER = "ibmGestureTrain", "ibmGestureTest"
SENSOR_SIDE = 128
COLUMNS = 4
HOW_TO_OBTAIN = (
    "To obtain it (about 3 GB, CC BY 4.0), run once where there is a network: pip install tonic; "
    "python -c \"import tonic; [tonic.datasets.DVSGesture('FOLDER', train=t) for t in (True, "
    'False)]"; then pass FOLDER. Without it, split_gestures() makes synthetic gestures.'
)


def split_dvs_gesture(
    folder: str | os.PathLike[str],
    *,
    side: int = SENSOR_SIDE,
    denoise_ms: float | None = None,
    validation_share: float = 0.2,
    seed: int = 0,
) -> EventSplit:
    """The set in three parts: its own test, and its training part parted by people.

    folder:           what was given to tonic as save_to, or the DVSGesture in it
    side, denoise_ms: see `EventSamples`; the paper has 128 and 5
    validation_share: share of the training recordings, in whole people drawn by `seed`

    Files are opened when their frames are asked for, and checked then.

    Raises:
        DatasetError: the folder has not both parts, or a file whose name is no class.
        ValueError: an option is out of range.
    """
    home = _home(Path(folder))
    train, test = (
        EventSamples(_recordings(home / part), DVS_GESTURE, side=side, denoise_ms=denoise_ms)
        for part in (TRAIN_FOLDER, TEST_FOLDER)
    )
    return split_by_group(train, test, validation_share=validation_share, seed=seed)


def read_gesture(path: Path) -> Events:
    """The events of one file.

    Raises DatasetError, naming the file, if it is missing, truncated or pickled, has another
    shape, numbers that are not whole, pixels outside the sensor, or times that decrease.
    """
    try:
        table = np.load(path, mmap_mode="r", allow_pickle=False)
    except (OSError, ValueError, EOFError) as error:
        raise _damaged(path, str(error)) from error
    if not isinstance(table, np.ndarray) or table.ndim != 2 or table.shape[1] != COLUMNS:
        shape = getattr(table, "shape", "an archive")
        raise _damaged(path, f"need an array (n_events, {COLUMNS}), got {shape}")
    if table.dtype.kind not in "iuf":
        raise _damaged(path, f"need numbers, got the type {table.dtype}")
    x, y, polarity, t_ms = np.ascontiguousarray(table.T)
    for name, values in (("x", x), ("y", y), ("polarity", polarity), ("time", t_ms)):
        is_sound = np.isfinite(values)
        if name != "time":
            is_sound &= values == np.floor(values)
        if not np.all(is_sound):
            raise _damaged(path, f"the column of {name} has {values[~is_sound][0]}")
    if not np.all((polarity == 0) | (polarity == 1)):
        raise _damaged(path, f"polarities must be 0 or 1, got {np.unique(polarity)[:5].tolist()}")
    events = Events(
        x.astype(np.int64),
        y.astype(np.int64),
        polarity == 1,
        np.rint(t_ms.astype(np.float64) * US_PER_MS).astype(np.int64),
    )
    problem = events.problem(SENSOR_SIDE)
    if problem is not None:
        raise _damaged(path, problem)
    return events


def write_gesture(path: Path, events: Events) -> None:
    """Write a recording in the set's format; times are rounded down to milliseconds."""
    # 32 bits: tonic multiplies the times by 1000 in place, which 16 bits would not hold.
    columns = (events.x, events.y, events.is_on, events.t_us // US_PER_MS)
    path.parent.mkdir(parents=True, exist_ok=True)
    np.save(path, np.stack([np.asarray(each, dtype=np.int32) for each in columns], axis=1))


DVS_GESTURE = EventFormat(
    read=read_gesture,
    sensor_side=SENSOR_SIDE,
    class_names=(
        "hand clapping",
        "right hand wave",
        "left hand wave",
        "right arm clockwise",
        "right arm counter-clockwise",
        "left arm clockwise",
        "left arm counter-clockwise",
        "arm roll",
        "air drums",
        "air guitar",
        "other gestures",
    ),
)


def _home(folder: Path) -> Path:
    """The folder that has both parts."""
    for home in (folder / HOME, folder):
        if all(any((home / part).glob("*/*.npy")) for part in (TRAIN_FOLDER, TEST_FOLDER)):
            return home
    raise DatasetError(
        f"The folder {folder} has no DVS128 Gesture: looked for {HOME}/{TRAIN_FOLDER}/"
        f"user<NN>_<lighting>/<class>.npy and {HOME}/{TEST_FOLDER}/... in it. {HOW_TO_OBTAIN}"
    )


def _recordings(part: Path) -> tuple[Recording, ...]:
    """All files of a part, sorted by person, lighting and class."""
    recordings = []
    for path in part.glob("*/*.npy"):
        if not path.stem.isdecimal():
            raise DatasetError(
                f"The name of {path} must be its class, 0.npy to 10.npy; remove the file."
            )
        recordings.append(Recording(path, int(path.stem), group=path.parent.name.split("_")[0]))
    return tuple(sorted(recordings, key=lambda each: (each.path.parent.name, each.label)))


def _damaged(path: Path, reason: str) -> DatasetError:
    return DatasetError(f"The recording {path} is damaged: {reason}; fetch or write it again.")
