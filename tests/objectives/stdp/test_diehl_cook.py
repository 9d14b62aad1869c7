"""The network against a slow reference, against BindsNET's own model, and by properties."""

import importlib
from dataclasses import replace

import numpy as np
import pytest
import torch

from optuna_snn.backends import bindsnet
from optuna_snn.objectives.encoding import poisson_spikes
from optuna_snn.objectives.stdp.diehl_cook import DiehlCookConfig, DiehlCookNetwork

N_INPUTS = 30

LIVELY = DiehlCookConfig(map_size=8, norm=60.0, nu_pre=1e-3, nu_post=1e-2, theta_plus_mv=1.0)
"""Fires and learns within a few samples of `input_spikes`."""


def input_spikes(seed: int, n_samples: int = 4, n_steps: int = 80) -> np.ndarray:
    rng = np.random.default_rng(seed)
    rates_hz = rng.uniform(0, 200, size=(n_samples, N_INPUTS))
    return poisson_spikes(rates_hz, n_steps=n_steps, rng=rng)


def network(config: DiehlCookConfig = LIVELY, seed: int = 0) -> DiehlCookNetwork:
    return DiehlCookNetwork(config, n_inputs=N_INPUTS, rng=np.random.default_rng(seed))


def reference(
    config: DiehlCookConfig, weights: np.ndarray, spikes: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray, float]:
    """One excitatory neuron, which nothing inhibits, and its inhibitory partner, step by step.

    weights (n_inputs,) and spikes (n_steps, n_inputs) of one sample. Returns the spikes of both
    neurons (n_steps,), the weights after learning, and the adaptation theta.
    """
    c, w = config, weights.astype(float).copy()
    v_e, v_i, theta = c.e_rest_mv, c.i_rest_mv, 0.0
    wait_e = wait_i = 0
    trace_in, trace_e = np.zeros_like(w), 0.0
    fired_in, fired_e = np.zeros_like(w), False
    out_e, out_i = [], []
    for step_spikes in spikes:
        # What reaches a layer was fired in the step before.
        into_e, into_i = fired_in @ w, c.strength_exc_mv * fired_e
        fired_in = step_spikes.astype(float)
        trace_in = np.where(fired_in > 0, 1.0, trace_in * np.exp(-1 / 20))

        v_e = c.e_rest_mv + (v_e - c.e_rest_mv) * np.exp(-1 / c.e_tc_decay_ms)
        theta *= np.exp(-1 / c.tc_theta_decay_ms)
        v_e += into_e if wait_e <= 0 else 0.0
        wait_e -= 1
        fired_e = v_e >= c.e_thresh_mv + theta
        trace_e = 1.0 if fired_e else trace_e * np.exp(-1 / 20)
        if fired_e:
            v_e, wait_e, theta = c.e_reset_mv, c.e_refrac_ms, theta + c.theta_plus_mv

        v_i = c.i_rest_mv + (v_i - c.i_rest_mv) * np.exp(-1 / c.i_tc_decay_ms)
        v_i += into_i if wait_i <= 0 else 0.0
        wait_i -= 1
        fired_i = v_i >= c.i_thresh_mv
        if fired_i:
            v_i, wait_i = c.i_reset_mv, c.i_refrac_ms

        w = w - c.nu_pre * fired_in * trace_e + c.nu_post * trace_in * fired_e
        w = w.clip(0, 1)
        out_e.append(fired_e)
        out_i.append(fired_i)
    return np.array(out_e), np.array(out_i), w * c.norm / w.sum(), theta


def random_config(seed: int) -> DiehlCookConfig:
    rng = np.random.default_rng(seed)
    return DiehlCookConfig(
        map_size=1,
        nu_pre=rng.uniform(1e-3, 1e-2),
        nu_post=rng.uniform(1e-2, 5e-2),
        strength_exc_mv=rng.uniform(6, 25),  # often two spikes in a row fire the partner
        norm=rng.uniform(12, 30),
        e_thresh_mv=rng.uniform(-55, -45),
        e_rest_mv=rng.uniform(-70, -62),
        e_reset_mv=rng.uniform(-68, -58),
        e_refrac_ms=int(rng.integers(0, 6)),
        e_tc_decay_ms=rng.uniform(10, 200),
        theta_plus_mv=rng.uniform(0.1, 2),
        tc_theta_decay_ms=rng.uniform(50, 1000),
        i_thresh_mv=rng.uniform(-45, -35),
        i_rest_mv=rng.uniform(-65, -55),
        i_reset_mv=rng.uniform(-60, -46),
        i_refrac_ms=int(rng.integers(0, 6)),
        i_tc_decay_ms=rng.uniform(5, 50),
    )


@pytest.mark.parametrize("seed", range(12))
def test_a_single_neuron_follows_the_step_by_step_reference(seed: int) -> None:
    config = random_config(seed)
    net = network(config, seed)
    spikes = input_spikes(seed, n_samples=1, n_steps=150)
    expected_e, expected_i, weights, theta = reference(config, net.weights[:, 0], spikes[:, 0])
    fired = net.learn(spikes, np.random.default_rng(0))
    assert expected_e.sum() >= 5
    assert np.array_equal(fired.excitatory[:, 0, 0], expected_e)
    assert np.array_equal(fired.inhibitory[:, 0, 0], expected_i)
    assert np.allclose(net.weights[:, 0], weights, rtol=1e-4, atol=1e-6)
    assert net.thresholds_mv[0] == pytest.approx(config.e_thresh_mv + theta, abs=1e-3)


def test_the_whole_network_fires_and_learns_as_bindsnets_own_model() -> None:
    """With the parameters that `DiehlAndCook2015` can set, weights and seeds alike."""
    bindsnet.load()
    models = importlib.import_module("bindsnet.models")
    monitors = importlib.import_module("bindsnet.network.monitors")
    config = replace(LIVELY, strength_exc_mv=30.0, strength_inh_mv=12.0, tc_theta_decay_ms=1e3)
    ours = network(config)
    with torch.random.fork_rng(devices=[]):
        theirs = models.DiehlAndCook2015(
            n_inpt=N_INPUTS,
            n_neurons=config.map_size,
            exc=config.strength_exc_mv,
            inh=config.strength_inh_mv,
            nu=(config.nu_pre, config.nu_post),
            norm=config.norm,
            theta_plus=config.theta_plus_mv,
            tc_theta_decay=config.tc_theta_decay_ms,
        )
    plastic = theirs.connections["X", "Ae"].pipeline[0]
    plastic.value.copy_(torch.from_numpy(ours.weights))
    records = {}
    for name in ("Ae", "Ai"):
        records[name] = monitors.Monitor(theirs.layers[name], ["s"], time=80)
        theirs.add_monitor(records[name], name)
    n_spikes = 0
    for batch in range(3):
        spikes = input_spikes(batch)
        fired = ours.learn(spikes, np.random.default_rng(batch))
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(int(np.random.default_rng(batch).integers(2**63)))
            theirs.run({"X": torch.tensor(spikes)}, time=80)
        assert np.array_equal(fired.excitatory, records["Ae"].get("s").numpy())
        assert np.array_equal(fired.inhibitory, records["Ai"].get("s").numpy())
        assert np.allclose(ours.weights, plastic.value.numpy(), rtol=1e-5)
        n_spikes += fired.excitatory.sum()
        theirs.reset_state_variables()
    assert n_spikes > 50


def test_learning_changes_weights_and_thresholds_and_responding_does_not() -> None:
    net = network()
    before = net.weights, net.thresholds_mv
    net.learn(input_spikes(0), np.random.default_rng(0))
    learnt = net.weights, net.thresholds_mv
    assert np.abs(learnt[0] - before[0]).max() > 0.01
    assert learnt[1].max() > before[1].max() + 0.5
    fired = net.respond(input_spikes(1), np.random.default_rng(1))
    assert fired.excitatory.any()
    assert np.allclose(net.weights, learnt[0], rtol=1e-6)  # normalised again: rounding
    assert np.array_equal(net.thresholds_mv, learnt[1])


def test_weights_are_normalised_from_the_first_sample_on() -> None:
    net = network()
    for _ in range(2):
        assert np.allclose(net.weights.sum(axis=0), LIVELY.norm, rtol=1e-5)
        net.learn(input_spikes(0), np.random.default_rng(0))


def test_a_batch_starts_from_rest_whatever_came_before() -> None:
    fresh, used = network(), network()
    used.respond(input_spikes(1), np.random.default_rng(1))
    used.respond(input_spikes(2, n_samples=9), np.random.default_rng(2))
    spikes = input_spikes(3)
    first = fresh.respond(spikes, np.random.default_rng(3))
    second = used.respond(spikes, np.random.default_rng(3))
    assert first.excitatory.any()
    assert np.array_equal(first.excitatory, second.excitatory)
    assert np.array_equal(first.inhibitory, second.inhibitory)


def test_nothing_reads_or_moves_torchs_global_generator() -> None:
    with torch.random.fork_rng(devices=[]):
        results = []
        for global_seed in (1, 2):
            torch.manual_seed(global_seed)
            state = torch.get_rng_state()
            net = network()
            fired = net.learn(input_spikes(0), np.random.default_rng(0))
            net.respond(input_spikes(1), np.random.default_rng(1))
            assert torch.equal(torch.get_rng_state(), state)
            results.append((net.weights, fired.excitatory))
    assert np.array_equal(results[0][0], results[1][0])
    assert np.array_equal(results[0][1], results[1][1])


def test_simultaneous_spikes_are_drawn_from_the_generator_that_is_passed() -> None:
    """At rest above the threshold all neurons want to fire; one of them may."""
    config = replace(LIVELY, e_rest_mv=-40.0, e_reset_mv=-40.0, e_refrac_ms=0, strength_inh_mv=0.0)
    spikes = np.zeros((50, 2, N_INPUTS), dtype=bool)
    first, again, other = (
        network(config).respond(spikes, np.random.default_rng(seed)).excitatory
        for seed in (1, 1, 2)
    )
    assert np.all(first.sum(axis=2) == 1)
    assert np.array_equal(first, again)
    assert not np.array_equal(first, other)


def test_the_input_is_left_as_it_was() -> None:
    spikes = np.ones((20, 2, N_INPUTS), dtype=bool)
    network().learn(spikes, np.random.default_rng(0))
    assert spikes.all()


def test_counts_are_spikes_per_sample_of_each_layer() -> None:
    fired = network().learn(input_spikes(0, n_samples=5), np.random.default_rng(0))
    assert fired.excitatory.shape == fired.inhibitory.shape == (80, 5, 8)
    for name, spikes in (("excitatory", fired.excitatory), ("inhibitory", fired.inhibitory)):
        by_hand = [int(spikes[:, sample].sum()) for sample in range(5)]
        assert fired.counts[name].tolist() == by_hand


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"map_size": 0}, "map_size must be an integer >= 1, got 0"),
        ({"map_size": 2.5}, "map_size must be an integer >= 1, got 2.5"),
        ({"i_refrac_ms": -1}, "i_refrac_ms must be an integer >= 0, got -1"),
        ({"e_tc_decay_ms": 0.0}, "e_tc_decay_ms must be > 0, got 0.0"),
        ({"tc_theta_decay_ms": -1.0}, "tc_theta_decay_ms must be > 0"),
        ({"norm": 0.0}, "norm must be > 0"),
        ({"theta_plus_mv": -0.1}, "theta_plus_mv must be >= 0"),
        ({"strength_inh_mv": -1.0}, "strength_inh_mv must be >= 0"),
        ({"e_thresh_mv": float("nan")}, "e_thresh_mv must be finite, got nan"),
        ({"i_rest_mv": "low"}, "i_rest_mv must be a number, got 'low'"),
        ({"nu_pre": 0.0, "nu_post": 0.0}, "never learns"),
    ],
)
def test_parameters_out_of_range_are_refused(change: dict[str, float], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        replace(DiehlCookConfig(), **change)
