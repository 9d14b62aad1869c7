import pickle
from pathlib import Path

import numpy as np
import pytest

from optuna_snn.objectives.datasets import (
    DatasetError,
    EventFormat,
    Events,
    EventSamples,
    EventSplit,
    Recording,
    denoise,
    to_frames,
)


def invented(path: Path) -> Events:
    """Events that depend on the name of a file that need not exist."""
    rng = np.random.default_rng(int(path.name))
    x, y = rng.integers(12, size=(2, 500))
    return Events(x, y, rng.random(500) < 0.5, np.sort(rng.integers(100_000, size=500)))


FORMAT = EventFormat(read=invented, sensor_side=12, class_names=("a", "b", "c"))


def samples(n: int = 6, side: int = 12, denoise_ms: float | None = None) -> EventSamples:
    recordings = tuple(Recording(Path(str(i)), i % 3, "somebody") for i in range(n))
    return EventSamples(recordings, FORMAT, side=side, denoise_ms=denoise_ms)


def test_frames_are_those_of_the_recordings_asked_for_in_that_order() -> None:
    frames = samples(side=4).frames([4, 0, 4], n_steps=7)
    assert frames.shape == (3, *samples(side=4).frame_shape, 7)
    assert frames.dtype == np.bool_
    for row, name in zip(frames, "404", strict=True):
        expected = to_frames(invented(Path(name)), n_steps=7, sensor_side=12, side=4)
        assert np.array_equal(row, expected)
    assert not np.array_equal(frames[0], frames[1])


def test_frames_are_denoised_if_wished() -> None:
    frames = samples(denoise_ms=2.5).frames([1], n_steps=5)[0]
    kept = denoise(invented(Path("1")), filter_us=2500, sensor_side=12)
    assert 0 < len(kept) < 500
    assert np.array_equal(frames, to_frames(kept, n_steps=5, sensor_side=12, side=12))


def test_labels_and_recordings_stay_together() -> None:
    taken = samples().take(np.array([5, 0, 1]))
    assert taken.labels.tolist() == [2, 0, 1]
    assert np.array_equal(taken.frames([0], n_steps=3), samples().frames([5], n_steps=3))
    assert taken.n_classes == 3
    assert len(taken) == 3


def test_samples_reach_another_process() -> None:
    assert pickle.loads(pickle.dumps(samples())) == samples()


@pytest.mark.parametrize(
    ("options", "rule"),
    [
        ({"side": 5}, r"side must be one of \[1, 2, 3, 4, 6, 12\], got 5"),
        ({"side": 0}, "side must be an integer >= 1"),
        ({"side": 24}, "side must be one of"),
        ({"denoise_ms": 0.0}, "denoise_ms > 0"),
        ({"denoise_ms": float("nan")}, "denoise_ms > 0"),
    ],
)
def test_options_out_of_range_are_refused(options: dict[str, float], rule: str) -> None:
    with pytest.raises(ValueError, match=rule):
        samples(**options)  # type: ignore[arg-type]


@pytest.mark.parametrize("n_steps", [0, 2.5])
def test_a_number_of_steps_must_be_a_positive_integer(n_steps: int) -> None:
    with pytest.raises(ValueError, match="n_steps must be an integer >= 1"):
        samples().frames([0], n_steps=n_steps)


@pytest.mark.parametrize("label", [-1, 3])
def test_a_label_without_a_class_names_its_file(label: int) -> None:
    with pytest.raises(DatasetError, match=rf"label of 17 must be within 0 and 2, got {label}"):
        EventSamples((Recording(Path("17"), label, ""),), FORMAT, side=12)


def test_an_empty_part_is_refused() -> None:
    with pytest.raises(ValueError, match="'validation' of the split has no samples"):
        EventSplit(samples(), samples(0), samples())
