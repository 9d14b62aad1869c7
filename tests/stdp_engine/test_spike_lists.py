"""Input spikes: their distribution, their seeds, and the lists that hold them."""

from __future__ import annotations

import numpy as np
import pytest

from optuna_snn import stdp_engine
from optuna_snn.objectives.encoding import poisson_spikes
from optuna_snn.stdp_engine import SpikeLists


def dense(lists: SpikeLists, n_inputs: int) -> np.ndarray:
    """(n_steps, n_samples, n_inputs), spike by spike."""
    n_samples, n_steps = lists.first.shape[0], lists.first.shape[1] - 1
    spikes = np.zeros((n_steps, n_samples, n_inputs), dtype=bool)
    for sample in range(n_samples):
        for step in range(n_steps):
            begin, end = lists.first[sample, step : step + 2]
            spikes[step, sample, lists.inputs[begin:end]] = True
    assert spikes.sum() == len(lists.inputs)
    return spikes


def seeds(n_samples: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(2**64, size=n_samples, dtype=np.uint64)


def test_the_generator_is_xoshiro256_plus_plus() -> None:
    """From the state 1, 2, 3, 4, by Python's own integers; the first is 2^23 (1 + 4) + 1."""
    from optuna_snn.stdp_engine.kernels.draws import drawn

    def rotated(x: int, n: int) -> int:
        return (x << n | x >> (64 - n)) % 2**64

    state, ours = [1, 2, 3, 4], [1, 2, 3, 4]
    words = []
    for _ in range(100):
        a, b, c, d = state
        words.append((rotated((a + d) % 2**64, 23) + a) % 2**64)
        c, d = c ^ a, d ^ b
        state = [a ^ d, b ^ c, c ^ (b << 17) % 2**64, rotated(d, 45)]
        word, *ours = drawn(*(np.uint64(each) for each in ours))
        assert int(word) == words[-1]
    assert words[:3] == [41943041, 58720359, 3588806011781223]


def test_every_input_fires_with_its_probability_in_every_step() -> None:
    p = np.array([[0.0, 1e-3, 0.1275], [0.5, 1.0, 2**-12]])
    n_steps = 200_000
    spikes = dense(stdp_engine.draw_spikes(p, n_steps=n_steps, seeds=seeds(2)), 3)
    # Each share is a mean of n_steps Bernoulli draws: 4.5 standard deviations, for eighteen.
    tolerance = 4.5 * np.sqrt(p * (1 - p) / n_steps)
    assert np.all(np.abs(spikes.mean(axis=0) - p) <= tolerance)
    halves = spikes.reshape(2, n_steps // 2, 2, 3).mean(axis=1)
    assert np.all(np.abs(halves - p) <= np.sqrt(2) * tolerance)


def test_steps_inputs_and_samples_are_independent() -> None:
    """For independent draws of p = 0.5 every covariance is 0 with standard deviation 1/(4 √n)."""
    n_steps = 50_000
    lists = stdp_engine.draw_spikes(np.full((2, 3), 0.5), n_steps=n_steps, seeds=seeds(2))
    centred = dense(lists, 3).reshape(n_steps, 6) - 0.5
    tolerance = 4.5 / (4 * np.sqrt(n_steps))
    for lag in range(4):
        covariance = centred[lag:].T @ centred[: n_steps - lag] / n_steps
        assert np.all(np.abs(covariance - 0.25 * np.eye(6) * (lag == 0)) <= tolerance)


def test_numbers_of_spikes_are_distributed_as_those_of_the_other_encoding() -> None:
    """Sums over 784 pixels and 20 steps of 3000 samples: means and spreads of both agree."""
    image = np.random.default_rng(1).random(784) ** 4
    p = np.tile(image * 0.128, (3000, 1))
    ours = np.diff(
        stdp_engine.draw_spikes(p, n_steps=20, seeds=seeds(3000)).first[:, [0, -1]], axis=1
    )
    theirs = poisson_spikes(p * 1000, n_steps=20, rng=np.random.default_rng(0)).sum((0, 2))
    sd = np.sqrt(20 * (p[0] * (1 - p[0])).sum())
    assert abs(ours.mean() - theirs.mean()) < 4.5 * sd * np.sqrt(2 / 3000)
    # The standard deviation of a standard deviation is sd / √(2 n).
    assert abs(ours.std() - theirs.std()) < 4.5 * sd / np.sqrt(3000)


def test_spikes_of_a_sample_depend_on_its_seed_and_image_alone() -> None:
    p = np.random.default_rng(0).random((5, 30))
    together = dense(stdp_engine.draw_spikes(p, n_steps=40, seeds=seeds(5)), 30)
    alone = dense(stdp_engine.draw_spikes(p[3:4], n_steps=40, seeds=seeds(5)[3:4]), 30)
    assert np.array_equal(together[:, 3:4], alone)
    other = dense(stdp_engine.draw_spikes(p, n_steps=40, seeds=seeds(5, seed=1)), 30)
    assert not np.array_equal(together, other)
    same_image = stdp_engine.draw_spikes(p[[0, 0]], n_steps=40, seeds=seeds(2))
    first, second = dense(same_image, 30).transpose(1, 0, 2)
    assert not np.array_equal(first, second)


def test_certain_spikes_come_and_impossible_ones_do_not() -> None:
    spikes = dense(
        stdp_engine.draw_spikes(np.array([[1.0, 0.0, 1.0]]), n_steps=9, seeds=seeds(1)), 3
    )
    assert spikes[:, 0].tolist() == [[True, False, True]] * 9
    nothing = stdp_engine.draw_spikes(np.zeros((2, 4)), n_steps=3, seeds=seeds(2))
    assert len(nothing.inputs) == 0 and not nothing.first.any()


def test_an_array_of_spikes_and_its_lists_are_inverse() -> None:
    spikes = np.random.default_rng(0).random((7, 4, 11)) < 0.2
    spikes[:, 2] = False
    lists = stdp_engine.list_spikes(spikes)
    assert np.array_equal(dense(lists, 11), spikes)
    assert lists.inputs.dtype == np.int32 and lists.first.dtype == np.int64


@pytest.mark.parametrize(
    ("p", "n_steps", "n_seeds", "message"),
    [
        (np.full((1, 2), 1.5), 5, 1, r"probabilities in \[0, 1\], got 1.5 to 1.5"),
        (np.full((1, 2), np.nan), 5, 1, r"probabilities in \[0, 1\]"),
        (np.zeros((1, 2)), 0, 1, "n_steps >= 1, got 0"),
        (np.zeros(2), 5, 2, r"must be \(n_samples, n_inputs\)"),
        (np.zeros((3, 2)), 5, 2, "a seed for each of 3 samples"),
    ],
)
def test_what_cannot_be_drawn_is_refused(
    p: np.ndarray, n_steps: int, n_seeds: int, message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        stdp_engine.draw_spikes(p, n_steps=n_steps, seeds=seeds(n_seeds))


def test_an_array_without_steps_or_axes_is_no_list() -> None:
    for shape in ((0, 1, 1), (3, 2)):
        with pytest.raises(ValueError, match="n_steps, n_samples, n_inputs"):
            stdp_engine.list_spikes(np.zeros(shape, dtype=bool))
