"""The engine against a dense float64 reference, over random and extreme configurations."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from optuna_snn import stdp_engine
from optuna_snn.objectives.stdp.diehl_cook import DiehlCookConfig
from optuna_snn.stdp_engine import LearnedState, SpikeLists
from tests.stdp_engine import reference

N_INPUTS = 23


def random_config(rng: np.random.Generator) -> DiehlCookConfig:
    return DiehlCookConfig(
        map_size=int(rng.integers(1, 40)),
        nu_pre=rng.uniform(0, 2e-2),
        nu_post=rng.uniform(1e-2, 2e-1),
        strength_exc_mv=rng.uniform(5, 60),
        strength_inh_mv=rng.uniform(0, 30),
        norm=rng.uniform(5, 40),
        e_thresh_mv=rng.uniform(-58, -40),
        e_rest_mv=rng.uniform(-70, -62),
        e_reset_mv=rng.uniform(-68, -60),
        e_refrac_ms=int(rng.integers(0, 6)),
        e_tc_decay_ms=rng.uniform(10, 200),
        theta_plus_mv=rng.uniform(0, 2),
        tc_theta_decay_ms=rng.uniform(50, 1000),
        i_thresh_mv=rng.uniform(-45, -35),
        i_rest_mv=rng.uniform(-65, -55),
        i_reset_mv=rng.uniform(-60, -46),
        i_refrac_ms=int(rng.integers(0, 6)),
        i_tc_decay_ms=rng.uniform(5, 50),
    )


BASE = random_config(np.random.default_rng(100))
EXTREMES = {
    "saturated": replace(BASE, e_rest_mv=-40.0, e_reset_mv=-40.0, e_refrac_ms=0),
    "inhibitory neurons that fire by themselves": replace(
        BASE, i_rest_mv=-30.0, i_refrac_ms=0, strength_inh_mv=0.0
    ),
    "reset above the threshold": replace(BASE, e_reset_mv=-30.0, i_reset_mv=-20.0),
    "no strengths": replace(BASE, strength_exc_mv=0.0, strength_inh_mv=0.0),
    "no refractory periods": replace(BASE, e_refrac_ms=0, i_refrac_ms=0),
    "one neuron": replace(BASE, map_size=1),
    "no depression": replace(BASE, nu_pre=0.0),
    "no potentiation": replace(BASE, nu_pre=1e-2, nu_post=0.0),
    "weights far above 1": replace(BASE, norm=200.0, e_thresh_mv=100.0),
    "all change at once": replace(BASE, nu_pre=0.9, nu_post=0.8, e_thresh_mv=-64.0),
    "thresholds that never fall": replace(BASE, theta_plus_mv=3.0, tc_theta_decay_ms=1e4),
}


def assert_equal_to_reference(
    config: DiehlCookConfig, seed: int, *, batch_size: int, n_samples: int = 6, n_steps: int = 60
) -> None:
    rng = np.random.default_rng(seed)
    spikes = rng.random((n_steps, n_samples, N_INPUTS)) < rng.uniform(0, 0.2, size=N_INPUTS)
    learned = LearnedState(
        stdp_engine.scaled(rng.random((N_INPUTS, config.map_size)), config.norm),
        rng.uniform(0, 2, size=config.map_size).astype(np.float32),
    )
    rules, lists = reference.rules(config), stdp_engine.list_spikes(spikes)
    seeds = rng.integers(2**64, size=n_samples, dtype=np.uint64)
    for start in range(0, n_samples, batch_size):
        batch = slice(start, start + batch_size)
        after, fired = stdp_engine.learn(
            rules,
            learned,
            SpikeLists(lists.first[batch], lists.inputs),
            batch_size=batch_size,
            seeds=seeds[batch],
            reads_peaks=True,
        )
        expected = reference.present(
            config, learned, spikes[:, batch], fired.winners, is_learning=True
        )
        np.testing.assert_allclose(after.weights, expected.learned.weights, atol=1e-4)
        np.testing.assert_allclose(after.theta_mv, expected.learned.theta_mv, atol=1e-4)
        assert fired.n_inhibitory.tolist() == expected.inhibitory.sum((0, 2)).tolist()
        np.testing.assert_allclose(fired.peaks, expected.peaks, atol=1e-4)
        learned = after  # from equal states: large learning rates blow up what rounding leaves

    response = stdp_engine.respond(rules, learned, lists, seeds=seeds, reads_peaks=True)
    outcome = reference.present(config, learned, spikes, response.winners, is_learning=False)
    assert response.n_inhibitory.tolist() == outcome.inhibitory.sum((0, 2)).tolist()
    np.testing.assert_allclose(response.peaks, outcome.peaks, atol=1e-4)


@pytest.mark.parametrize("batch_size", [1, 4])
@pytest.mark.parametrize("seed", range(12))
def test_random_networks_learn_and_respond_as_the_reference(seed: int, batch_size: int) -> None:
    config = random_config(np.random.default_rng(seed))
    assert_equal_to_reference(config, seed, batch_size=batch_size)


@pytest.mark.parametrize("batch_size", [1, 3])
@pytest.mark.parametrize("name", EXTREMES)
def test_extreme_networks_learn_and_respond_as_the_reference(name: str, batch_size: int) -> None:
    assert_equal_to_reference(EXTREMES[name], 0, batch_size=batch_size)


def test_a_single_step_is_enough_and_inputs_reach_nobody_in_it() -> None:
    assert_equal_to_reference(BASE, 0, batch_size=1, n_steps=1)
    assert_equal_to_reference(EXTREMES["saturated"], 0, batch_size=2, n_steps=1)


def test_the_networks_of_these_tests_are_alive() -> None:
    """Both layers fire, and several neurons are drawn, so that the comparison means something."""
    rng = np.random.default_rng(0)
    spikes = stdp_engine.list_spikes(rng.random((60, 6, N_INPUTS)) < 0.1)
    seeds = np.arange(6, dtype=np.uint64)
    n_alive = 0
    for seed in range(12):
        config = random_config(np.random.default_rng(seed))
        weights = stdp_engine.scaled(rng.random((N_INPUTS, config.map_size)), config.norm)
        net = LearnedState(weights, np.zeros(config.map_size, np.float32))
        _, fired = stdp_engine.learn(
            reference.rules(config), net, spikes, batch_size=1, seeds=seeds
        )
        n_alive += fired.n_inhibitory.sum() > 10 and len(np.unique(fired.winners)) > 3
    assert n_alive >= 6
