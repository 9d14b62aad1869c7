from typing import Any

import numpy as np
import pytest

from optuna_snn.objectives.datasets import Samples
from optuna_snn.objectives.spike_inputs import SpikeInputs
from tests.objectives.slayer.samples import EventStripes, stripes

RNG_STATE = np.random.default_rng(0).bit_generator.state


def image(pixels: list[float]) -> Samples:
    return Samples(np.array([pixels, pixels]), np.array([0, 1]))


def test_each_pixel_keeps_its_place_and_time_comes_last() -> None:
    samples = image([0, 1, 0, 0, 0, 0])
    inputs = SpikeInputs(n_steps=4, image_shape=(2, 3))
    spikes = inputs.spikes(samples, np.array([1]), np.random.default_rng(0))
    assert spikes.shape == (1, 1, 2, 3, 4)
    assert spikes[0, 0, 0, 1].all() and spikes.sum() == 4


def test_images_fire_at_their_intensity() -> None:
    """A mean of 8000 Bernoulli draws of p = 0.4 * 0.5, within 4.5 standard deviations."""
    samples = image([0.4] * 4)
    inputs = SpikeInputs(n_steps=1000, intensity_hz=500.0)
    spikes = inputs.spikes(samples, np.arange(2), np.random.default_rng(0))
    assert spikes.mean() == pytest.approx(0.2, abs=4.5 * 0.4 / 8000**0.5)


def test_regular_trains_are_the_same_each_time_and_draw_nothing() -> None:
    rng = np.random.default_rng(0)
    inputs = SpikeInputs(n_steps=10, encoding="regular")
    first, second = (inputs.spikes(stripes(6), np.arange(6), rng) for _ in range(2))
    assert np.array_equal(first, second) and first.any()
    assert rng.bit_generator.state == RNG_STATE


def test_poisson_trains_differ_each_time() -> None:
    rng = np.random.default_rng(0)
    inputs = SpikeInputs(n_steps=10)
    first, second = (inputs.spikes(stripes(6), np.arange(6), rng) for _ in range(2))
    assert not np.array_equal(first, second)


def test_recordings_are_cut_into_as_many_frames_as_there_are_steps() -> None:
    samples = EventStripes(np.array([0, 1, 2]))
    inputs = SpikeInputs(n_steps=7)
    rng = np.random.default_rng(0)
    spikes = inputs.spikes(samples, np.array([2, 0]), rng)
    assert inputs.shape_of(samples) == (2, 6, 6)
    assert np.array_equal(spikes, samples.frames(np.array([2, 0]), n_steps=7))
    assert rng.bit_generator.state == RNG_STATE


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"n_steps": 0}, "n_steps must be an integer >= 1"),
        ({"encoding": "latency"}, "encoding must be one of .* got 'latency'"),
        ({"intensity_hz": 0.0}, "Need 0 < intensity_hz <= 1000, got 0.0"),
        ({"intensity_hz": 1001.0}, "Need 0 < intensity_hz <= 1000, got 1001.0"),
        ({"image_shape": (28,)}, r"image_shape must be \(height, width\)"),
        ({"image_shape": (0, 4)}, "image_shape must be an integer >= 1"),
    ],
)
def test_options_out_of_range_are_refused(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        SpikeInputs(**{"n_steps": 5} | options)


@pytest.mark.parametrize("shape", [None, (3, 3)])
def test_images_of_another_size_are_refused(shape: tuple[int, int] | None) -> None:
    with pytest.raises(ValueError, match=r"Images of 6 pixels are not .* pass their image_shape"):
        SpikeInputs(n_steps=5, image_shape=shape).shape_of(image([0.5] * 6))
