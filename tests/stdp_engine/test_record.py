"""Recorded spikes: which neuron fired in which step, against the references and the counts."""

from __future__ import annotations

import numpy as np
import pytest

from optuna_snn import stdp_engine
from optuna_snn.objectives.stdp.diehl_cook import DiehlCookConfig
from optuna_snn.objectives.stdp.distance.rules import distance_rules_of
from optuna_snn.stdp_engine import LearnedState, SpikeLists
from optuna_snn.stdp_engine.distance import record_by_distance, respond_by_distance
from tests.stdp_engine import distance_reference, reference, test_distance
from tests.stdp_engine.test_reference import EXTREMES, N_INPUTS, random_config

CONFIGS = EXTREMES | {f"seed {i}": random_config(np.random.default_rng(i)) for i in range(12)}


def spikes_and_net(config: DiehlCookConfig) -> tuple[np.ndarray, LearnedState, np.ndarray]:
    """(n_steps, n_samples, n_inputs) input spikes, what was learnt, seeds of 4 samples."""
    rng = np.random.default_rng(3)
    spikes = rng.random((60, 4, N_INPUTS)) < rng.uniform(0, 0.2, size=N_INPUTS)
    learned = LearnedState(
        stdp_engine.scaled(rng.random((N_INPUTS, config.map_size)), config.norm),
        rng.uniform(0, 2, size=config.map_size).astype(np.float32),
    )
    return spikes, learned, rng.integers(2**64, size=4, dtype=np.uint64)


@pytest.mark.parametrize("name", CONFIGS)
def test_what_is_recorded_is_the_response_and_that_of_the_reference(name: str) -> None:
    config = CONFIGS[name]
    spikes, learned, seeds = spikes_and_net(config)
    rules, lists = reference.rules(config), stdp_engine.list_spikes(spikes)
    recorded = stdp_engine.record(rules, learned, lists, seeds=seeds)
    response = stdp_engine.respond(rules, learned, lists, seeds=seeds)
    has_fired = recorded.excitatory.any(axis=2)
    assert recorded.excitatory.sum(axis=2).max() <= 1
    winners = np.where(has_fired, recorded.excitatory.argmax(axis=2), -1)
    assert np.array_equal(winners, response.winners)
    assert np.array_equal(recorded.inhibitory.sum(axis=(1, 2)), response.n_inhibitory)
    outcome = reference.present(config, learned, spikes, winners, is_learning=False)
    assert np.array_equal(recorded.inhibitory, outcome.inhibitory.transpose(1, 0, 2))


@pytest.mark.parametrize("name", test_distance.CASES)
def test_so_it_is_with_inhibition_by_distance(name: str) -> None:
    config, spikes = test_distance.CASES[name], test_distance.input_spikes(2)
    rules, learned = distance_rules_of(config), test_distance.new(config)
    lists = stdp_engine.list_spikes(spikes)
    recorded = record_by_distance(rules, learned, lists)
    _, fired_e, fired_i = distance_reference.present(config, learned, spikes, is_learning=False)
    assert np.array_equal(recorded.excitatory, fired_e.transpose(1, 0, 2))
    assert np.array_equal(recorded.inhibitory, fired_i.transpose(1, 0, 2))
    response = respond_by_distance(rules, learned, lists)
    assert np.array_equal(recorded.excitatory, response.excitatory)
    assert np.array_equal(recorded.inhibitory.sum(axis=(1, 2)), response.n_inhibitory)


def test_the_networks_of_these_tests_fire_in_both_layers() -> None:
    n_alive = 0
    for config in CONFIGS.values():
        spikes, learned, seeds = spikes_and_net(config)
        lists = stdp_engine.list_spikes(spikes)
        recorded = stdp_engine.record(reference.rules(config), learned, lists, seeds=seeds)
        n_alive += recorded.excitatory.sum() > 10 and recorded.inhibitory.sum() > 10
    assert n_alive >= len(CONFIGS) // 2


def test_recording_writes_to_nothing_that_it_is_given() -> None:
    config = CONFIGS["seed 0"]
    spikes, learned, seeds = spikes_and_net(config)
    lists = stdp_engine.list_spikes(spikes)
    given = [*learned, *lists, seeds]
    before = [each.copy() for each in given]
    stdp_engine.record(reference.rules(config), learned, lists, seeds=seeds)
    by_distance = test_distance.BASE
    net = test_distance.new(by_distance)
    given += [*net]
    before += [each.copy() for each in net]
    record_by_distance(
        distance_rules_of(by_distance),
        net,
        stdp_engine.list_spikes(test_distance.input_spikes(1)),
    )
    for now, then in zip(given, before, strict=True):
        assert np.array_equal(now, then)


def test_what_the_network_cannot_take_is_refused() -> None:
    config = CONFIGS["seed 0"]
    spikes, learned, seeds = spikes_and_net(config)
    lists = stdp_engine.list_spikes(spikes)
    beyond = SpikeLists(lists.first, lists.inputs + N_INPUTS)
    rules = reference.rules(config)
    with pytest.raises(ValueError, match="Need a seed for each of 4 samples"):
        stdp_engine.record(rules, learned, lists, seeds=seeds[:3])
    with pytest.raises(ValueError, match=f"must be in 0 to {N_INPUTS - 1}"):
        stdp_engine.record(rules, learned, beyond, seeds=seeds)
    with pytest.raises(ValueError, match=r"must be in 0 to 39, got .* to 4\d"):
        record_by_distance(
            distance_rules_of(test_distance.BASE),
            test_distance.new(test_distance.BASE),
            SpikeLists(lists.first, lists.inputs + 20),
        )
