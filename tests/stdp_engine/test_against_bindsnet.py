"""BindsNET is the oracle: from equal state, each step of the engine ends in the same state."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from benchmarks import stdp_equality
from benchmarks.stdp_equality import Equality, compare, random_config
from optuna_snn.objectives import load_digits
from optuna_snn.objectives.encoding import poisson_spikes
from optuna_snn.objectives.stdp.compiled import CompiledNetwork
from optuna_snn.objectives.stdp.diehl_cook import DiehlCookConfig, DiehlCookNetwork
from optuna_snn.spikes.gaps import gaps_of
from optuna_snn.stdp_engine import learn, list_spikes
from optuna_snn.stdp_engine.records import Rules

DIGITS = load_digits().images[::450]  # of all classes
SEEDS = (1, 2, 5, 8, 12)
"""Random configurations of the paper's space; of 12 a potential once met its threshold so closely
that rounding decided."""

BASE = replace(DiehlCookConfig(), map_size=12, norm=120.0, nu_pre=1e-3, nu_post=2e-2)
EXTREMES = {
    "saturated, and weights above 1 in the step of the first spike": replace(
        BASE, e_rest_mv=-45.0, i_rest_mv=-35.0, strength_inh_mv=0.3, norm=1500.0
    ),
    "no strengths": replace(BASE, strength_exc_mv=0.0, strength_inh_mv=0.0),
    "no refractory periods": replace(BASE, e_refrac_ms=0, i_refrac_ms=0),
    "one neuron": replace(BASE, map_size=1),
    "no depression": replace(BASE, nu_pre=0.0),
    "no potentiation": replace(BASE, nu_post=0.0),
    "thresholds that adapt and fall quickly": replace(
        BASE, theta_plus_mv=5.0, tc_theta_decay_ms=20.0
    ),
    "reset above the threshold": replace(BASE, e_reset_mv=-40.0, i_reset_mv=-30.0),
}


def result(seed: int = 0, n_steps: int = 60, is_learning: bool = True) -> Equality:
    return Equality(seed, {}, len(DIGITS), n_steps, is_learning)


def assert_equal(outcome: Equality) -> None:
    assert outcome.n_wrong == 0, outcome
    assert outcome.n_flips <= 2 and outcome.flip_margin_mv < 1e-4, outcome
    assert outcome.weight_difference < 1e-4 and outcome.threshold_difference_mv < 1e-4, outcome


@pytest.mark.slow
@pytest.mark.parametrize("seed", SEEDS)
def test_a_random_network_of_the_papers_space_learns_digits_as_in_bindsnet(seed: int) -> None:
    outcome = compare(random_config(seed)[1], DIGITS[:10], result(seed))
    assert_equal(outcome)
    assert outcome.n_excitatory > 50 and outcome.n_ready > outcome.n_excitatory


@pytest.mark.parametrize("name", EXTREMES)
def test_an_extreme_network_learns_digits_as_in_bindsnet(name: str) -> None:
    outcome = compare(EXTREMES[name], DIGITS[:4], result(n_steps=40))
    assert_equal(outcome)
    assert outcome.n_excitatory > 10


def test_batches_learn_as_in_bindsnet() -> None:
    outcome = compare(BASE, DIGITS[:10], result(), batch_size=4)
    assert_equal(outcome)
    assert outcome.n_excitatory > 50 and outcome.n_inhibitory > 50


def test_responses_are_those_of_bindsnet() -> None:
    outcome = compare(BASE, DIGITS[:6], result(is_learning=False))
    assert_equal(outcome)
    assert outcome.n_excitatory > 50 and outcome.n_inhibitory > 50


@pytest.mark.parametrize(
    "change",
    [
        {"e_refrac_steps": np.int32(6)},
        {"i_refrac_steps": np.int32(3)},
        {"theta_plus_mv": np.float32(0.1005)},
        {"theta_decay": np.float32(1 - 1e-4)},
        {"e_decay": np.float32(0.99006)},
        {"strength_inh_mv": np.float32(119.99)},
        {"trace_decay": np.float32(0.951)},
        {"nu_pre": np.float32(1.1e-3)},
        {"nu_post": np.float32(2.01e-2)},
        {"norm": np.float32(120.2)},
    ],
)
def test_the_comparison_sees_a_parameter_that_differs(
    change: dict[str, np.generic], monkeypatch: pytest.MonkeyPatch
) -> None:
    rules_of = stdp_equality.rules_of

    def changed(config: DiehlCookConfig) -> Rules:
        return rules_of(config)._replace(**change)

    monkeypatch.setattr(stdp_equality, "rules_of", changed)
    assert compare(BASE, DIGITS[:2], result(n_steps=40)).n_wrong > 0


def test_the_whole_of_a_lone_neurons_training_is_that_of_bindsnet() -> None:
    """One neuron leaves nothing to draw: digit after digit, from the same weights and inputs."""
    config = replace(BASE, map_size=1)
    ours, theirs = (
        kind(config, n_inputs=784, rng=np.random.default_rng(0))
        for kind in (CompiledNetwork, DiehlCookNetwork)
    )
    state, rules = ours.learned, stdp_equality.rules_of(config)
    np.testing.assert_allclose(state.weights, theirs.weights, rtol=1e-6)
    for number in range(4):
        rng = np.random.default_rng(number)
        spikes = poisson_spikes(DIGITS[number : number + 1] * 128, n_steps=60, rng=rng)
        fired = theirs.learn(spikes, rng, reads_membranes=True)
        state, presented = learn(
            rules,
            state,
            list_spikes(spikes),
            batch_size=1,
            seeds=np.zeros(1, np.uint64),
            reads_peaks=True,
        )
        assert np.array_equal(presented.winners[0] >= 0, fired.excitatory[:, 0, 0])
        assert presented.n_inhibitory.tolist() == fired.counts["inhibitory"].tolist()
        assert fired.counts["excitatory"] > 2
        assert fired.depolarisation is not None and presented.peaks is not None
        for layer, name in enumerate(("excitatory", "inhibitory")):
            np.testing.assert_allclose(
                presented.peaks[:, layer], fired.depolarisation[name], atol=1e-4
            )
    np.testing.assert_allclose(state.weights, theirs.weights, atol=1e-4)
    np.testing.assert_allclose(state.theta_mv, theirs.learned.theta_mv, atol=1e-4)


def test_gaps_of_silent_networks_are_those_of_bindsnet() -> None:
    config = replace(BASE, norm=5.0, e_thresh_mv=-20.0)
    rng = np.random.default_rng(0)
    theirs = DiehlCookNetwork(config, n_inputs=784, rng=rng)
    state = theirs.learned
    spikes = poisson_spikes(DIGITS[:4] * 128, n_steps=60, rng=rng)
    fired = theirs.learn(spikes, rng, reads_membranes=True)
    _, presented = learn(
        stdp_equality.rules_of(config),
        state,
        list_spikes(spikes),
        batch_size=4,
        seeds=np.zeros(4, np.uint64),
        reads_peaks=True,
    )
    assert presented.n_excitatory.sum() == 0 and presented.peaks is not None
    assert fired.gaps is not None
    ours = gaps_of(presented.peaks[:, 0], presented.n_excitatory)
    np.testing.assert_allclose(ours, fired.gaps["excitatory"], atol=1e-4)
    assert 0.1 < ours.min() < ours.max() < 0.99
