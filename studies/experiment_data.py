"""The data of the four experiments, at each scale."""

from __future__ import annotations

import numpy as np
from experiment_options import Options

from optuna_snn.objectives import (
    DatasetError,
    DataSplit,
    EventSplit,
    split_digits,
    split_dvs_gesture,
    split_gestures,
    split_mnist,
)

MNIST_TRAINING_IMAGES, MNIST_TEST_IMAGES = 60_000, 10_000
DENOISE_MS = 5.0
"""As in the paper: an event without a neighbour within that time is noise."""


def name_of_mnist(options: Options, split: DataSplit) -> str | None:
    """What marks the full MNIST at scale laptop, where 5000 digits may take its place.

    The split has the whole test set of either, by which the two are told apart.
    """
    has_all = len(split.test) == MNIST_TEST_IMAGES
    return "full" if options.scale == "laptop" and has_all else None


def name_of_gestures(options: Options) -> str | None:
    """What marks DVS128 Gesture at a scale where synthetic gestures may take its place."""
    return "real" if options.data is not None and not options.is_paper else None


def mnist(options: Options, *, n_train: int, n_validation: int) -> DataSplit:
    """MNIST: so much of it at scale laptop, all of it at scale paper, 200 digits at scale smoke.

    Raises DatasetError at scale paper if the full MNIST is not there: other digits would give
    figures that look like the paper's.
    """
    if options.scale == "smoke":
        return split_digits(n_train=96, n_validation=50, n_test=50)
    split = split_mnist(options.data)
    if options.is_paper:
        n_found = len(split.train) + len(split.validation)
        if n_found != MNIST_TRAINING_IMAGES:
            raise DatasetError(
                f"scale paper needs the 60000 training images of MNIST, found {n_found}; pass the "
                "folder of its files with --data (OPTUNA_SNN_DATA), or take scale laptop"
            )
        return split
    # Both parts are shuffled: their first samples are a random choice.
    return DataSplit(
        split.train.take(np.arange(min(n_train, len(split.train)))),
        split.validation.take(np.arange(min(n_validation, len(split.validation)))),
        split.test,
    )


def gestures(options: Options, *, side: int) -> EventSplit:
    """DVS128 Gesture from the folder --data; without one, synthetic gestures in its format.

    side: rows and columns of a frame at scale laptop; scale paper has all 128, scale smoke 32

    Raises DatasetError at scale paper without a folder.
    """
    side = {"smoke": 32, "laptop": side, "paper": 128}[options.scale]
    if options.data is not None:
        return split_dvs_gesture(options.data, side=side, denoise_ms=DENOISE_MS)
    if options.is_paper:
        raise DatasetError(
            "scale paper needs DVS128 Gesture; pass its folder with --data (OPTUNA_SNN_DATA), or "
            "take scale laptop, which makes synthetic gestures"
        )
    if options.scale == "smoke":
        return split_gestures(
            n_train_people=2,
            n_validation_people=1,
            n_test_people=1,
            duration_ms=300,
            side=side,
        )
    return split_gestures(side=side)
