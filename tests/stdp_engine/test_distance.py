"""Inhibition by distance: the engine against a float64 reference, and against BindsNET.

Nothing in this network is drawn, so that whole trainings can be compared, spike for spike.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from optuna_snn.objectives.stdp.distance import DistanceConfig
from optuna_snn.objectives.stdp.distance.bindsnet_network import DistanceNetwork
from optuna_snn.objectives.stdp.distance.rules import distance_rules_of
from optuna_snn.stdp_engine import LearnedState, list_spikes
from optuna_snn.stdp_engine.distance import (
    PresentedByDistance,
    learn_by_distance,
    respond_by_distance,
)
from tests.stdp_engine import distance_reference

N_INPUTS = 40

BASE = DistanceConfig(
    map_size=11, nu_pre=5e-3, nu_post=3e-2, strength_exc_mv=30.0, strength_inh_mv=8.0,
    norm=16.0, e_thresh_mv=-50.0, e_refrac_ms=2, theta_plus_mv=0.3, tc_theta_decay_ms=400.0,
    e_tc_trace_ms=35.0,
)  # fmt: skip
CASES = {
    "lively": BASE,
    "rest within samples": replace(BASE, reset_interval_ms=15),
    "rest in every other step": replace(BASE, reset_interval_ms=2, e_thresh_mv=-63.0),
    "strong inhibition": replace(BASE, strength_inh_mv=300.0),
    "no inhibition": replace(BASE, strength_inh_mv=0.0),
    "one neuron": replace(BASE, map_size=1),
    "two neurons": replace(BASE, map_size=2),
    "no refractory periods": replace(BASE, e_refrac_ms=0, i_refrac_ms=0),
    "saturated": replace(BASE, e_rest_mv=-40.0, e_reset_mv=-40.0, i_rest_mv=-30.0),
    "weights above 1": replace(BASE, norm=60.0, e_thresh_mv=0.0),
    "no depression": replace(BASE, nu_pre=0.0),
    "no potentiation": replace(BASE, nu_post=0.0),
    "all change at once": replace(BASE, nu_pre=0.9, nu_post=0.8),
}


def input_spikes(seed: int, n_samples: int = 6, n_steps: int = 50) -> np.ndarray:
    """(n_steps, n_samples, N_INPUTS): each sample has inputs of its own that fire more often."""
    rng = np.random.default_rng(seed)
    rates = rng.uniform(0, 0.4, (n_samples, N_INPUTS)) * (rng.random((n_samples, N_INPUTS)) < 0.5)
    return rng.random((n_steps, n_samples, N_INPUTS)) < rates


def new(config: DistanceConfig, seed: int = 0) -> LearnedState:
    weights = np.random.default_rng(seed).random((N_INPUTS, config.map_size), np.float32)
    weights *= config.norm / weights.sum(axis=0)
    return LearnedState(weights, np.zeros(config.map_size, np.float32))


def assert_near(ours: LearnedState, theirs: LearnedState) -> None:
    np.testing.assert_allclose(ours.weights, theirs.weights, atol=2e-5)
    np.testing.assert_allclose(ours.theta_mv, theirs.theta_mv, atol=2e-4)


@pytest.mark.parametrize("batch_size", [1, 3])
@pytest.mark.parametrize("name", CASES)
def test_learning_is_that_of_the_reference(name: str, batch_size: int) -> None:
    config, spikes = CASES[name], input_spikes(1)
    ours, fired = learn_by_distance(
        distance_rules_of(config), new(config), list_spikes(spikes), batch_size=batch_size
    )
    theirs, n_spikes = new(config), 0
    for start in range(0, 6, batch_size):
        part = slice(start, start + batch_size)
        theirs, fired_e, fired_i = distance_reference.present(
            config, theirs, spikes[:, part], is_learning=True
        )
        assert np.array_equal(fired.excitatory[part], fired_e.transpose(1, 0, 2))
        assert np.array_equal(fired.n_inhibitory[part], fired_i.sum(axis=(0, 2)))
        n_spikes += int(fired_e.sum())
    assert_near(ours, theirs)
    assert n_spikes > 20


@pytest.mark.parametrize("name", CASES)
def test_responses_are_those_of_the_reference(name: str) -> None:
    config, spikes = CASES[name], input_spikes(2)
    fired = respond_by_distance(distance_rules_of(config), new(config), list_spikes(spikes))
    _, fired_e, fired_i = distance_reference.present(
        config, new(config), spikes, is_learning=False
    )
    assert np.array_equal(fired.excitatory, fired_e.transpose(1, 0, 2))
    assert np.array_equal(fired.n_inhibitory, fired_i.sum(axis=(0, 2)))


@pytest.mark.parametrize("batch_size", [1, 3])
@pytest.mark.parametrize("name", CASES)
def test_a_whole_training_is_that_of_bindsnet_spike_for_spike(name: str, batch_size: int) -> None:
    config, spikes = CASES[name], input_spikes(3)
    rng = np.random.default_rng(0)
    network = DistanceNetwork(config, n_inputs=N_INPUTS, rng=rng)
    ours, fired = learn_by_distance(
        distance_rules_of(config),
        network.learned,
        list_spikes(spikes),
        batch_size=batch_size,
        reads_peaks=True,
    )
    assert fired.peaks is not None
    for start in range(0, 6, batch_size):
        part = slice(start, start + batch_size)
        theirs = network.learn(spikes[:, part], rng, reads_membranes=True)
        assert np.array_equal(fired.excitatory[part], theirs.excitatory.transpose(1, 0, 2))
        assert np.array_equal(fired.n_inhibitory[part], theirs.counts["inhibitory"])
        assert theirs.depolarisation is not None
        for layer, place in (("excitatory", 0), ("inhibitory", 1)):
            np.testing.assert_allclose(
                fired.peaks[part, place], theirs.depolarisation[layer], atol=1e-4
            )
    assert_near(ours, network.learned)
    response = respond_by_distance(distance_rules_of(config), ours, list_spikes(spikes))
    theirs = network.respond(spikes, rng)
    assert np.mean(response.excitatory != theirs.excitatory.transpose(1, 0, 2)) < 1e-3


def fired_with(strength_inh_mv: float) -> PresentedByDistance:
    config = replace(BASE, strength_inh_mv=strength_inh_mv)
    spikes = list_spikes(input_spikes(4))
    return respond_by_distance(distance_rules_of(config), new(config), spikes)


def test_the_lateral_connections_inhibit() -> None:
    """The authors' have the other sign: more of them, more spikes."""
    counts = [int(fired_with(strength).n_excitatory.sum()) for strength in (0.0, 8.0, 80.0)]
    assert counts[0] > counts[1] > counts[2] > 0


def test_a_neuron_inhibits_the_furthest_most_and_itself_not_at_all() -> None:
    """One neuron, at the end of the row, fires at once; without spikes of the others left."""
    config = replace(BASE, strength_inh_mv=100.0, theta_plus_mv=0.0, e_tc_decay_ms=1e6)
    spikes = np.zeros((6, 1, N_INPUTS), dtype=bool)
    spikes[0, 0, 0] = True  # drives neuron 0 alone
    spikes[3, 0, 1] = True  # drives all alike
    weights = np.zeros((N_INPUTS, config.map_size), np.float32)
    weights[0, 0] = 30.0
    learned = LearnedState(weights, np.zeros(config.map_size, np.float32))
    potentials = []
    for drive in np.linspace(0, 130, 1301, dtype=np.float32):
        weights[1] = drive
        fired = respond_by_distance(distance_rules_of(config), learned, list_spikes(spikes))
        potentials.append(fired.excitatory[0, 4])
    needed = np.argmax(np.array(potentials), axis=0) / 10.0  # mV until each neuron fires
    # 15 from rest to the threshold, and for the others what they were inhibited by.
    np.testing.assert_allclose(needed[1:], 15 + 100 * np.arange(1, 11) / 10, atol=0.3)


def test_wrong_batches_and_inputs_are_refused() -> None:
    rules, learned = distance_rules_of(BASE), new(BASE)
    with pytest.raises(ValueError, match="batch_size >= 1, got 0"):
        learn_by_distance(rules, learned, list_spikes(input_spikes(0)), batch_size=0)
    beyond = list_spikes(np.ones((2, 1, N_INPUTS + 1), dtype=bool))
    with pytest.raises(ValueError, match="must be in 0 to 39, got 0 to 40"):
        respond_by_distance(rules, learned, beyond)


def test_nothing_that_is_given_is_changed() -> None:
    learned, spikes = new(BASE), list_spikes(input_spikes(5))
    before = [each.copy() for each in (*learned, *spikes)]
    learn_by_distance(distance_rules_of(BASE), learned, spikes, batch_size=2)
    for each, copy in zip((*learned, *spikes), before, strict=True):
        assert np.array_equal(each, copy)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"reset_interval_ms": 0}, "reset_interval_ms must be"),
        ({"e_tc_trace_ms": 0.0}, "e_tc_trace_ms must be > 0"),
        ({"norm": 0.0}, "norm must be > 0"),
    ],
)
def test_parameters_out_of_range_are_refused(change: dict[str, float], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        replace(BASE, **change)  # type: ignore[arg-type]
