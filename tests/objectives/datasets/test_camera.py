"""The sensor's model against signals whose events can be worked out by hand, and a slow pixel."""

import numpy as np
import pytest

from optuna_snn.objectives.datasets import Events
from optuna_snn.objectives.datasets.gestures.camera import EventCamera, record

QUIET = EventCamera(side=4, threshold=0.25, mismatch=0.0, refractory_us=0, noise_hz=0.0)
FRAME_US = 1000


def filmed(signal: np.ndarray, camera: EventCamera = QUIET, seed: int = 0) -> Events:
    """The events of pixel x = 2, y = 1 whose log intensity is `signal`."""
    film = np.asarray(signal, dtype=np.float32)[:, None]
    rng = np.random.default_rng(seed)
    return record(film, np.array([6]), camera, frame_us=FRAME_US, rng=rng)


def slow_pixel(signal: np.ndarray, camera: EventCamera) -> list[tuple[bool, int]]:
    """Follow the line between frames in steps of a microsecond: polarity and time of events."""
    t = np.arange((len(signal) - 1) * FRAME_US + 1)
    u = np.interp(t / FRAME_US, np.arange(len(signal)), signal) / camera.threshold
    u -= u[0]
    remembered, events = 0, []
    for now, level in zip(t.tolist(), u.tolist(), strict=True):
        while abs(level - remembered) >= 1:
            is_on = level > remembered
            remembered += 1 if is_on else -1
            events.append((is_on, now))
    return events


def test_a_steady_rise_makes_an_on_event_at_each_threshold() -> None:
    """From 0 to 1.1 in 11 ms: 0.25, 0.5, 0.75 and 1 are crossed at 2.5, 5, 7.5 and 10 ms."""
    events = filmed(np.linspace(0, 1.1, 12))
    assert events.t_us.tolist() == [2500, 5000, 7500, 10000]
    assert events.is_on.all()
    assert set(events.x) == {2}
    assert set(events.y) == {1}


def test_a_fall_makes_off_events_and_a_jump_several_at_once() -> None:
    events = filmed(np.array([0.0, -0.6, -0.6]))
    assert not events.is_on.any()
    assert events.t_us.tolist() == [417, 833]  # 1 ms * 0.25 / 0.6 and 0.5 / 0.6


def test_turning_back_by_less_than_a_threshold_makes_no_event() -> None:
    """0.3 remembers 0.25; down to 0.05 is a change of 0.2 only, down to 0 one of 0.25."""
    assert len(filmed(np.array([0, 0.3, 0.05, 0.3, 0.05]))) == 1
    assert filmed(np.array([0, 0.3, 0.0])).is_on.tolist() == [True, False]


@pytest.mark.parametrize("seed", range(5))
def test_a_wandering_signal_equals_a_pixel_followed_by_the_microsecond(seed: int) -> None:
    signal = np.cumsum(np.random.default_rng(seed).normal(0, 0.4, size=40)).astype(np.float32)
    events, expected = filmed(signal), slow_pixel(signal, QUIET)
    assert len(events) == len(expected) > 10
    assert events.is_on.tolist() == [is_on for is_on, _ in expected]
    assert np.allclose(events.t_us, [t for _, t in expected], atol=1.5)


def test_events_of_a_pixel_keep_the_refractory_period() -> None:
    camera = EventCamera(side=4, threshold=0.25, mismatch=0, refractory_us=3000, noise_hz=0)
    events = filmed(np.linspace(0, 1.1, 12), camera)
    assert events.t_us.tolist() == [2500, 7500]  # those at 5000 and 10000 fall within 3000


def test_the_refractory_period_of_one_pixel_spares_the_others() -> None:
    camera = EventCamera(side=4, threshold=0.25, mismatch=0, refractory_us=10_000, noise_hz=0)
    film = np.stack([np.linspace(0, 0.3, 12), np.linspace(0, 0.6, 12)], axis=1).astype(np.float32)
    rng = np.random.default_rng(0)
    events = record(film, np.array([3, 9]), camera, frame_us=FRAME_US, rng=rng)
    assert sorted(zip(events.x.tolist(), events.y.tolist(), strict=True)) == [(1, 2), (3, 0)]


def test_noise_has_its_rate_on_all_pixels_and_both_polarities() -> None:
    """128 * 128 pixels * 2 Hz * 1 s = 32768 on average, with a standard deviation of 181."""
    camera = EventCamera(side=128, noise_hz=2.0)
    film = np.zeros((1001, 1), dtype=np.float32)
    rng = np.random.default_rng(0)
    events = record(film, np.array([0]), camera, frame_us=FRAME_US, rng=rng)
    assert abs(len(events) - 32768) < 5 * 181
    assert abs(np.mean(events.is_on) - 0.5) < 0.02
    assert events.problem(128) is None
    assert len(np.unique(events.y * 128 + events.x)) > 0.8 * 128**2


def test_thresholds_differ_between_pixels_by_the_mismatch() -> None:
    """Each of 16 pixels sends at its own threshold: the time of its event tells it."""
    camera = EventCamera(side=4, threshold=0.25, mismatch=0.02, refractory_us=0, noise_hz=0)
    film = np.repeat(np.linspace(0, 0.4, 41)[:, None], 16, axis=1).astype(np.float32)
    rng = np.random.default_rng(0)
    events = record(film, np.arange(16), camera, frame_us=FRAME_US, rng=rng)
    thresholds = events.t_us / 1e5
    assert len(events) == 16
    assert 0.01 < thresholds.std() < 0.03
    assert abs(thresholds.mean() - 0.25) < 0.02


def test_nothing_that_changes_makes_no_event() -> None:
    assert len(filmed(np.full(50, 3.0))) == 0
