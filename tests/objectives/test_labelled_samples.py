"""What tells labelled samples from others, and labels that no output of a network stands for."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from optuna_snn.objectives.datasets import (
    DVS_GESTURE,
    Events,
    EventSamples,
    Recording,
    Samples,
)
from optuna_snn.objectives.datasets.dvs_gesture import write_gesture
from optuna_snn.objectives.labelled_samples import digest_of, refuse_unknown_labels
from tests.objectives.slayer.samples import split_of_event_stripes

IMAGES = Samples(np.linspace(0, 1, 12).reshape(4, 3), np.array([0, 1, 2, 0]))


def recordings(folder: Path, n_events: int = 3, person: str = "user01_led") -> EventSamples:
    """Two gestures of somebody."""
    ones = np.ones(n_events, dtype=np.int64)
    paths = [folder / person / f"{label}.npy" for label in (0, 1)]
    for path in paths:
        write_gesture(path, Events(ones, ones, ones == 1, np.arange(n_events) * 1000))
    return EventSamples(
        tuple(Recording(path, int(path.stem), "user01") for path in paths), DVS_GESTURE, side=32
    )


def test_images_are_told_apart_by_pixels_labels_and_order() -> None:
    others = [
        Samples(IMAGES.images * 0.5, IMAGES.labels),
        Samples(IMAGES.images, IMAGES.labels[::-1].copy() + 1),
        IMAGES.take(np.array([3, 1, 2, 0])),
        IMAGES.take(np.array([0, 1, 2])),
    ]
    assert digest_of(IMAGES) == digest_of(Samples(IMAGES.images.copy(), IMAGES.labels.copy()))
    assert len({digest_of(each) for each in (IMAGES, *others)}) == 5


def test_recordings_are_told_apart_by_names_sizes_order_and_frames(tmp_path: Path) -> None:
    """Synthetic gestures have the names that the real ones have."""
    samples = recordings(tmp_path / "set")
    others = [
        samples.take(np.array([1, 0])),
        recordings(tmp_path / "elsewhere" / "set", n_events=4),
        recordings(tmp_path / "natural", person="user01_natural"),
        replace(samples, side=64),
        replace(samples, denoise_ms=5.0),
    ]
    assert len({digest_of(each) for each in (samples, *others)}) == 6


def test_a_data_set_in_another_place_is_the_same(tmp_path: Path) -> None:
    here, there = (recordings(tmp_path / name / "DVSGesture" / "Train") for name in "ab")
    assert digest_of(here) == digest_of(there)


def test_a_missing_recording_is_left_to_those_who_read_it(tmp_path: Path) -> None:
    samples = recordings(tmp_path / "set")
    before = digest_of(samples)
    samples.recordings[0].path.unlink()
    assert digest_of(samples) != before


def test_recordings_of_any_kind_have_a_digest() -> None:
    split = split_of_event_stripes()
    assert digest_of(split.train) != digest_of(split.validation)


def test_a_label_beyond_the_classes_is_refused_with_the_way_out() -> None:
    refuse_unknown_labels(3, "test", IMAGES)
    with pytest.raises(
        ValueError,
        match=r"test part has the label 2, but .* 2 classes \(0 to 1\)\. Draw another split",
    ):
        refuse_unknown_labels(2, "test", IMAGES)
