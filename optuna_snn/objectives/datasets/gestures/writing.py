"""A data set of synthetic gestures on disk, in the layout of DVS128 Gesture, and its split.

It makes the whole path, from files to a trained network, run where the real set cannot be had. Its
accuracies say nothing about the real set.
"""

from __future__ import annotations

import logging
import os
from pathlib import Path

import numpy as np

from optuna_snn.objectives.datasets.cache import cache_folder, put_in_place
from optuna_snn.objectives.datasets.dvs_gesture import (
    HOME,
    TEST_FOLDER,
    TRAIN_FOLDER,
    split_dvs_gesture,
    write_gesture,
)
from optuna_snn.objectives.datasets.errors import DatasetError
from optuna_snn.objectives.datasets.event_samples import EventSplit
from optuna_snn.objectives.datasets.gestures.film import LIGHTINGS, film_gesture
from optuna_snn.objectives.datasets.gestures.motions import MOTIONS, draw_person
from optuna_snn.spikes.checks import checked_integer

__all__ = ["split_gestures", "write_gestures"]

VERSION = 1
"""Counted up when the same options give other recordings, so that old caches are left alone."""

_logger = logging.getLogger(__name__)


def split_gestures(
    *,
    n_train_people: int = 20,
    n_validation_people: int = 5,
    n_test_people: int = 5,
    duration_ms: int = 1500,
    side: int = 32,
    denoise_ms: float | None = None,
    seed: int = 0,
) -> EventSplit:
    """Synthetic gestures in three parts, written to the cache folder at the first call.

    n_<part>_people:  people in that part, each filmed 22 times: 11 gestures in 2 lightings
    duration_ms:      of each recording
    side, denoise_ms: see `EventSamples`

    Raises:
        DatasetError: the cache folder cannot be written.
        ValueError: an option is out of range.
    """
    checked_integer("n_train_people", n_train_people, at_least=1)
    checked_integer("n_validation_people", n_validation_people, at_least=1)
    n_people = n_train_people + n_validation_people
    folder = (
        cache_folder() / f"gestures{VERSION}-{n_people}-{n_test_people}-{duration_ms}ms-{seed}"
    )
    if not folder.is_dir():
        _logger.info("Writing synthetic gestures to %s.", folder)
        try:
            with put_in_place(folder) as unfinished:
                write_gestures(
                    unfinished,
                    n_train_people=n_people,
                    n_test_people=n_test_people,
                    duration_ms=duration_ms,
                    seed=seed,
                )
        except OSError as error:
            raise DatasetError(
                f"The synthetic gestures cannot be written to {folder} ({error}); set "
                "OPTUNA_SNN_CACHE to a folder that can be written."
            ) from error
    return split_dvs_gesture(
        folder,
        side=side,
        denoise_ms=denoise_ms,
        validation_share=n_validation_people / n_people,
        seed=seed,
    )


def write_gestures(
    folder: str | os.PathLike[str],
    *,
    n_train_people: int = 25,
    n_test_people: int = 5,
    duration_ms: int = 1500,
    seed: int = 0,
) -> None:
    """Write synthetic recordings to `folder`, where `split_dvs_gesture` finds them.

    n_<part>_people: people in that part, with 22 recordings each; nobody is in both
    duration_ms:     of each recording

    The same options give the same files. More people leave the recordings of the first ones as
    they are.

    Raises ValueError for an option out of range, OSError where nothing can be written.
    """
    checked_integer("n_train_people", n_train_people, at_least=1)
    checked_integer("n_test_people", n_test_people, at_least=1)
    checked_integer("duration_ms", duration_ms, at_least=100)
    checked_integer("seed", seed, at_least=0)
    sizes = ((TRAIN_FOLDER, n_train_people), (TEST_FOLDER, n_test_people))
    for part, (name, n_people) in enumerate(sizes):
        for number in range(n_people):
            person = draw_person(np.random.default_rng([seed, part, number]))
            for row, (light, lighting) in enumerate(LIGHTINGS.items()):
                home = Path(folder) / HOME / name / f"user{number + 1:02d}_{light}"
                for gesture in range(len(MOTIONS)):
                    rng = np.random.default_rng([seed, part, number, row, gesture])
                    events = film_gesture(
                        gesture, person, lighting, duration_ms=duration_ms, rng=rng
                    )
                    write_gesture(home / f"{gesture}.npy", events)
