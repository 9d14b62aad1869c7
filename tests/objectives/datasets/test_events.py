import re

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from optuna_snn.objectives.datasets import Events, denoise, to_frames

SIDE = 8


def random_events(seed: int, n: int = 300, duration_us: int = 5000) -> Events:
    rng = np.random.default_rng(seed)
    return Events(
        rng.integers(SIDE, size=n),
        rng.integers(SIDE, size=n),
        rng.random(n) < 0.5,
        np.sort(rng.integers(duration_us, size=n)),
    )


def slow_frames(events: Events, n_steps: int, block: int) -> np.ndarray:
    frames = np.zeros((2, SIDE // block, SIDE // block, n_steps), dtype=bool)
    start, duration = events.t_us[0], events.t_us[-1] - events.t_us[0] + 1
    for x, y, is_on, t in zip(events.x, events.y, events.is_on, events.t_us, strict=True):
        step = int(np.floor((t - start) / duration * n_steps))
        frames[int(is_on), y // block, x // block, step] = True
    return frames


def slow_denoise(events: Events, filter_us: int) -> list[int]:
    last = np.full((SIDE + 2, SIDE + 2), -(10**9))
    kept = []
    for i, (x, y, t) in enumerate(zip(events.x, events.y, events.t_us, strict=True)):
        last[y + 1, x + 1] = t
        around = (last[y, x + 1], last[y + 2, x + 1], last[y + 1, x], last[y + 1, x + 2])
        if t - max(around) < filter_us:
            kept.append(i)
    return kept


@given(st.integers(0, 10**6), st.integers(1, 40), st.sampled_from([1, 2, 4, 8]))
def test_frames_equal_those_of_a_loop_over_events(seed: int, n_steps: int, block: int) -> None:
    events = random_events(seed)
    frames = to_frames(events, n_steps=n_steps, sensor_side=SIDE, side=SIDE // block)
    assert np.array_equal(frames, slow_frames(events, n_steps, block))


def test_frames_place_polarity_row_column_and_step_in_that_order() -> None:
    events = Events(
        np.array([3, 0]), np.array([1, 7]), np.array([True, False]), np.array([100, 299])
    )
    frames = to_frames(events, n_steps=4, sensor_side=SIDE, side=SIDE)
    assert np.argwhere(frames).tolist() == [[0, 7, 0, 3], [1, 1, 3, 0]]


def test_small_frames_are_the_union_of_their_blocks() -> None:
    events = random_events(3)
    whole = to_frames(events, n_steps=10, sensor_side=SIDE, side=SIDE)
    small = to_frames(events, n_steps=10, sensor_side=SIDE, side=2)
    assert np.array_equal(small, whole.reshape(2, 2, 4, 2, 4, 10).any(axis=(2, 4)))


def test_every_event_falls_into_a_frame_even_if_all_come_at_once() -> None:
    events = Events(np.arange(3), np.arange(3), np.ones(3, bool), np.full(3, 77))
    frames = to_frames(events, n_steps=5, sensor_side=SIDE, side=SIDE)
    assert frames[..., 0].sum() == 3
    assert frames.sum() == 3


@given(st.integers(0, 10**6), st.sampled_from([1, 50, 400, 3000]), st.integers(1, 200))
def test_denoising_equals_a_loop_over_events(seed: int, filter_us: int, n: int) -> None:
    events = random_events(seed, n=n)
    kept = denoise(events, filter_us=filter_us, sensor_side=SIDE)
    expected = events.take(np.array(slow_denoise(events, filter_us), dtype=int))
    for name in ("x", "y", "is_on", "t_us"):
        assert np.array_equal(getattr(kept, name), getattr(expected, name))


def test_pixels_at_opposite_edges_are_no_neighbours() -> None:
    events = Events(np.array([7, 0]), np.array([2, 3]), np.ones(2, bool), np.array([0, 1]))
    assert len(denoise(events, filter_us=100, sensor_side=SIDE)) == 0


def test_no_events_make_empty_frames_and_stay_none() -> None:
    none = random_events(0, n=0)
    assert not to_frames(none, n_steps=3, sensor_side=SIDE, side=SIDE).any()
    assert len(denoise(none, filter_us=100, sensor_side=SIDE)) == 0


@pytest.mark.parametrize(
    ("x", "y", "t_us", "problem"),
    [
        ([0, 8], [0, 0], [0, 1], r"x must be within 0 and 7, but is in 0\.\.8"),
        ([0, 1], [-1, 0], [0, 1], r"y must be within 0 and 7, but is in -1\.\.0"),
        ([0, 1, 2], [0, 0, 0], [5, 6, 4], "do at event 2"),
        ([], [], [], "it has no events"),
    ],
)
def test_what_no_recording_has_is_named(
    x: list[int], y: list[int], t_us: list[int], problem: str
) -> None:
    columns, rows, times = (np.array(each, dtype=np.int64) for each in (x, y, t_us))
    events = Events(columns, rows, np.zeros(len(x), bool), times)
    assert re.search(problem, events.problem(SIDE) or "")


def test_a_sound_recording_has_no_problem() -> None:
    assert random_events(1).problem(SIDE) is None
