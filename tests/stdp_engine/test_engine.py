"""What the engine promises beside its equations: seeds, purity, the draw, and refusals."""

from __future__ import annotations

import subprocess
import sys
import zlib
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import numpy as np
import pytest

from optuna_snn import stdp_engine
from optuna_snn.objectives.stdp.diehl_cook import DiehlCookConfig
from optuna_snn.stdp_engine import LearnedState, Presented, SpikeLists
from tests.stdp_engine import reference

N_INPUTS, N_STEPS = 30, 80
LIVELY = DiehlCookConfig(map_size=8, norm=60.0, nu_pre=1e-3, nu_post=1e-2, theta_plus_mv=1.0)
BUSY = replace(LIVELY, e_rest_mv=-40.0, e_reset_mv=-40.0, e_refrac_ms=0, strength_inh_mv=0.0)
"""At rest above the threshold: all neurons want to fire in every step."""


def seeds(n_samples: int) -> np.ndarray:
    return np.random.default_rng(5).integers(2**64, size=n_samples, dtype=np.uint64)


def input_spikes(n_samples: int) -> SpikeLists:
    p = np.random.default_rng(0).uniform(0, 0.2, size=(n_samples, N_INPUTS))
    return stdp_engine.draw_spikes(p, n_steps=N_STEPS, seeds=seeds(n_samples))


def new(config: DiehlCookConfig) -> LearnedState:
    weights = np.random.default_rng(1).random((N_INPUTS, config.map_size))
    return LearnedState(
        stdp_engine.scaled(weights, config.norm), np.zeros(config.map_size, np.float32)
    )


def learned_by(
    n_samples: int, batch_size: int = 1, config: DiehlCookConfig = LIVELY
) -> tuple[LearnedState, Presented]:
    return stdp_engine.learn(
        reference.rules(config),
        new(config),
        input_spikes(n_samples),
        batch_size=batch_size,
        seeds=seeds(n_samples),
    )


def part(spikes: SpikeLists, begin: int, end: int) -> SpikeLists:
    return SpikeLists(spikes.first[begin:end], spikes.inputs)


@pytest.mark.parametrize("batch_size", [1, 4])
def test_learning_in_one_call_or_in_several_is_the_same(batch_size: int) -> None:
    spikes, rules = input_spikes(10), reference.rules(LIVELY)
    whole, fired = learned_by(10, batch_size)
    state, winners = new(LIVELY), []
    for begin, end in ((0, 4), (4, 8), (8, 10)):
        state, each = stdp_engine.learn(
            rules,
            state,
            part(spikes, begin, end),
            batch_size=batch_size,
            seeds=seeds(10)[begin:end],
        )
        winners.append(each.winners)
    assert np.array_equal(np.concatenate(winners), fired.winners)
    for ours, theirs in zip(state, whole, strict=True):
        assert np.array_equal(ours, theirs)
    assert np.abs(whole.weights - new(LIVELY).weights).max() > 0.01


def test_a_smaller_last_batch_is_one_of_its_size() -> None:
    spikes, rules = input_spikes(7), reference.rules(LIVELY)
    first, _ = stdp_engine.learn(
        rules, new(LIVELY), part(spikes, 0, 4), batch_size=4, seeds=seeds(7)[:4]
    )
    both, _ = stdp_engine.learn(rules, first, part(spikes, 4, 7), batch_size=3, seeds=seeds(7)[4:])
    at_once, _ = learned_by(7, batch_size=4)
    assert np.array_equal(both.weights, at_once.weights)


def test_arguments_are_left_as_they_were() -> None:
    state, spikes, rules = new(LIVELY), input_spikes(3), reference.rules(LIVELY)
    copies = [each.copy() for each in (*state, *spikes)]
    stdp_engine.learn(rules, state, spikes, batch_size=1, seeds=seeds(3))
    stdp_engine.respond(rules, state, spikes, seeds=seeds(3))
    for before, after in zip(copies, (*state, *spikes), strict=True):
        assert np.array_equal(before, after)


def test_a_response_to_a_sample_does_not_depend_on_the_others() -> None:
    rules, spikes = reference.rules(LIVELY), input_spikes(6)
    together = stdp_engine.respond(rules, new(LIVELY), spikes, seeds=seeds(6))
    alone = stdp_engine.respond(rules, new(LIVELY), part(spikes, 4, 5), seeds=seeds(6)[4:5])
    assert (together.winners >= 0).any(1).all()
    assert np.array_equal(together.winners[4:5], alone.winners)
    assert together.n_inhibitory[4] == alone.n_inhibitory[0]


def test_the_neuron_that_fires_is_drawn_with_equal_chances() -> None:
    """4000 draws among 8: 4.5 standard deviations of a share; and steps are independent."""
    spikes = SpikeLists(np.zeros((4, 1001), np.int64), np.zeros(0, np.int32))
    fired = stdp_engine.respond(reference.rules(BUSY), new(BUSY), spikes, seeds=seeds(4))
    assert (fired.winners >= 0).all()
    shares = np.bincount(fired.winners.ravel(), minlength=8) / 4000
    assert np.all(np.abs(shares - 1 / 8) < 4.5 * np.sqrt(1 / 8 * 7 / 8 / 4000))
    repeats = np.mean(fired.winners[:, 1:] == fired.winners[:, :-1])
    assert abs(repeats - 1 / 8) < 4.5 * np.sqrt(1 / 8 * 7 / 8 / 4000)
    assert not np.array_equal(fired.winners[0], fired.winners[1])


def test_samples_of_a_batch_draw_by_their_own_seeds() -> None:
    _, fired = learned_by(2, batch_size=2, config=replace(BUSY, theta_plus_mv=0.0))
    assert (fired.winners >= 0).all()
    assert not np.array_equal(*fired.winners)


def test_threads_compute_what_one_does() -> None:
    expected, _ = learned_by(8)
    with ThreadPoolExecutor(4) as pool:
        for state, _ in pool.map(lambda _: learned_by(8), range(8)):
            assert np.array_equal(state.weights, expected.weights)


def digest() -> int:
    """Of what a network learns and fires."""
    state, fired = learned_by(20, batch_size=2)
    return zlib.crc32(state.weights.tobytes() + fired.winners.tobytes())


def test_another_process_computes_the_same() -> None:
    code = "from tests.stdp_engine.test_engine import digest; print(digest())"
    ended = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )
    assert int(ended.stdout) == digest()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"batch_size": 0}, "batch_size >= 1, got 0"),
        ({"seeds": seeds(2)}, "a seed for each of 3 samples"),
        ({"inputs": np.array([0, N_INPUTS], np.int32)}, "in 0 to 29, got 0 to 30"),
        ({"inputs": np.array([-1], np.int32)}, "in 0 to 29, got -1 to 0"),
    ],
)
def test_what_cannot_be_presented_is_refused(change: dict[str, object], message: str) -> None:
    spikes = input_spikes(3)
    spikes = spikes._replace(inputs=change.pop("inputs", spikes.inputs))
    options = {"batch_size": 1, "seeds": seeds(3)} | change
    with pytest.raises(ValueError, match=message):
        stdp_engine.learn(reference.rules(LIVELY), new(LIVELY), spikes, **options)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"first": lambda first: first + 10**6}, r"Need first in 0 to \d+ spikes, got 0 to 1\d+"),
        ({"first": lambda first: first - 1}, "Need first in 0 to .* got -1"),
        ({"first": lambda first: first[:, ::-1]}, "step after step, but first falls"),
        ({"first": lambda first: first[:, :1]}, r"n_steps \+ 1\).*got shapes \(3, 1\)"),
        ({"inputs": lambda inputs: inputs[:, None]}, r"inputs \(n_spikes,\)"),
    ],
)
def test_lists_that_would_be_read_out_of_bounds_are_refused(
    change: dict[str, Callable[[np.ndarray], np.ndarray]], message: str
) -> None:
    spikes = input_spikes(3)
    spikes = spikes._replace(**{k: edit(getattr(spikes, k)) for k, edit in change.items()})
    with pytest.raises(ValueError, match=message):
        stdp_engine.respond(reference.rules(LIVELY), new(LIVELY), spikes, seeds=seeds(3))


def test_weights_and_thresholds_of_other_numbers_of_neurons_are_refused() -> None:
    state = new(LIVELY)._replace(theta_mv=np.zeros(7, np.float32))
    with pytest.raises(ValueError, match=r"got shapes \(30, 8\) and \(7,\)"):
        stdp_engine.respond(reference.rules(LIVELY), state, input_spikes(3), seeds=seeds(3))


def test_lists_of_other_types_and_layouts_are_taken_as_they_are_meant() -> None:
    rules, spikes = reference.rules(LIVELY), input_spikes(3)
    other = SpikeLists(
        np.asfortranarray(spikes.first.astype(np.int32)), spikes.inputs.astype(np.int64)
    )
    ours, theirs = (
        stdp_engine.respond(rules, new(LIVELY), each, seeds=seeds(3)) for each in (spikes, other)
    )
    assert np.array_equal(ours.winners, theirs.winners)
