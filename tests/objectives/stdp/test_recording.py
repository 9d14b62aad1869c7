"""Recorded spikes of samples: they are those that the engine counts, and nothing changes by it."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from optuna_snn.objectives.stdp.engines import build_network
from optuna_snn.objectives.stdp.presenting import learn_from, n_inputs_of, record
from tests.objectives.stdp.raster_cases import LAYERS, Case, cases


@cases
def test_what_is_recorded_is_what_the_engine_counts_for_the_same_input_spikes(case: Case) -> None:
    """Where learning changes nothing, a sample that is learnt is one that is responded to."""
    still = replace(case.config.network, nu_pre=0.0, nu_post=1e-30, theta_plus_mv=0.0)
    samples = case.split.train
    network = build_network(
        case.engine, still, n_inputs=n_inputs_of(samples), rng=np.random.default_rng(2)
    )
    n_spikes = dict.fromkeys(LAYERS, 0)
    for index in range(6):
        indices, rngs = np.array([index]), [np.random.default_rng(index) for _ in range(2)]
        tables = record(network, samples, indices, case.setup, rngs[0])
        fired = learn_from(network, samples, indices, case.setup, rngs[1])
        assert list(tables) == LAYERS
        for layer, spikes in tables.items():
            assert spikes.shape == (1, case.setup.n_steps, still.map_size)
            assert spikes.sum() == fired.counts[layer][0]
            n_spikes[layer] += int(spikes.sum())
    assert min(n_spikes.values()) > 10


@pytest.mark.parametrize("samples", ["images", "events"])
def test_both_engines_record_the_same_of_the_same_network_that_draws_nothing(
    samples: str,
) -> None:
    ours, theirs = (Case("distance", engine, samples) for engine in ("compiled", "bindsnet"))
    train, n_spikes = ours.split.train, 0
    networks = [
        build_network(
            case.engine,
            case.config.network,
            n_inputs=n_inputs_of(train),
            rng=np.random.default_rng(2),
        )
        for case in (ours, theirs)
    ]
    indices = np.arange(5)
    tables = [
        record(network, train, indices, ours.setup, np.random.default_rng(0))
        for network in networks
    ]
    for layer in LAYERS:
        assert np.array_equal(tables[0][layer], tables[1][layer])
        n_spikes += int(tables[0][layer].sum())
    assert n_spikes > 50


def test_excitatory_spikes_are_those_of_the_response_step_by_step() -> None:
    for engine in ("compiled", "bindsnet"):
        case = Case("diehl_cook", engine, "images")
        network: Any = case.training().network
        rates_hz = case.split.train.images[:4] * case.setup.intensity_hz
        options = {"n_steps": case.setup.n_steps}
        trains = network.respond(rates_hz, **options, rng=np.random.default_rng(1))
        table = network.record(rates_hz, **options, rng=np.random.default_rng(1))["excitatory"]
        found = np.nonzero(table)
        assert len(found[0]) > 20
        for ours, theirs in zip(found, (trains.sample, trains.step, trains.neuron), strict=True):
            assert np.array_equal(ours, theirs)


@cases
def test_a_training_goes_on_after_a_recording_as_without_it_bit_by_bit(case: Case) -> None:
    recorded, plain = case.training(), case.training()
    n_spikes = 0
    assert recorded.record_last_sample() == {}
    for batch, other in zip(recorded.batches(), plain.batches(), strict=True):
        n_spikes += sum(int(each.sum()) for each in recorded.record_last_sample().values())
        ours, theirs = recorded.state(), plain.state()
        assert ours.keys() == theirs.keys()
        for name in ours:
            if isinstance(ours[name], np.ndarray):
                assert ours[name].tobytes() == theirs[name].tobytes(), name
            else:
                assert ours[name] == theirs[name], name
        for layer in LAYERS:
            assert np.array_equal(batch.counts[layer], other.counts[layer])
    assert n_spikes > 20


@cases
def test_it_is_the_last_sample_of_those_that_were_presented(case: Case) -> None:
    training = case.training(seed=4)
    batches = training.batches()
    for _ in range(3):
        next(batches)
    state = training.state()
    rng = np.random.default_rng()
    rng.bit_generator.state = state["rng"]
    assert state["n_presented"] == 24 < len(state["order"])
    last = state["order"][23:24]
    expected = record(training.network, case.split.train, last, case.setup, rng)
    found = training.record_last_sample()
    assert list(found) == LAYERS
    for layer in LAYERS:
        assert np.array_equal(found[layer], expected[layer][0])
    assert sum(int(each.sum()) for each in found.values()) > 0
