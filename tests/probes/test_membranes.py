"""Membrane potentials of the real frameworks, against neurons that are computed step by step."""

from __future__ import annotations

import copy
import math
from typing import Any

import numpy as np
import pytest
import snntorch
import torch
from optuna.trial import FixedTrial
from spikingjelly.activation_based import functional, neuron
from torch import Tensor, nn

from optuna_snn.backends import bindsnet, lava_dl
from optuna_snn.monitor import SpikeMonitor
from optuna_snn.probes.counting import CHUNK_STEPS, CHUNK_VALUES
from optuna_snn.probes.layers import find_layers
from optuna_snn.probes.membranes import depolarisation
from optuna_snn.probes.watching import Watch
from tests.probes.models import Heaviside
from tests.probes.test_frameworks import CUBA

CURRENTS = np.array([0.0, 0.05, 0.2, 0.6])
"""Constant input of each sample: nothing, two that do not fire, one that does."""


def watching(model: nn.Module, **options: Any) -> Watch:
    return Watch(find_layers(model, **options), [layer.name for layer in find_layers(model)])


def leaky_gaps(decay: float, threshold: float, n_steps: int) -> np.ndarray:
    """1 - peak / threshold of v <- decay v + current from 0; 0 of a sample that fires.

    The peak is the last value: current (1 - decay^n) / (1 - decay).
    """
    peak = CURRENTS * (1 - decay**n_steps) / (1 - decay)
    return np.where(peak > threshold, 0.0, 1 - peak / threshold)


def present(model: nn.Module, n_steps: int, n_neurons: int = 3) -> None:
    """The currents go to the last neuron, half of them to the others."""
    x = torch.tensor(CURRENTS, dtype=torch.float32)[:, None].repeat(1, n_neurons)
    x[:, :-1] /= 2
    for _ in range(n_steps):
        model(x)


@pytest.mark.parametrize("n_steps", [1, 10, CHUNK_STEPS, 2 * CHUNK_STEPS + 3])
def test_leaky_neurons_of_snntorch_are_read_step_by_step(n_steps: int) -> None:
    model = nn.Sequential(snntorch.Leaky(beta=0.9, threshold=2.5, init_hidden=True))
    watch = watching(model)
    for _ in range(2):
        model[0].reset_mem()
        present(model, n_steps)
        counts, gaps = watch.take_with_gaps()
        expected = leaky_gaps(0.9, 2.5, n_steps)
        np.testing.assert_allclose(gaps["0"], expected, atol=1e-5)
        assert (counts["0"] > 0).tolist() == (expected == 0).tolist()


def test_a_membrane_that_the_caller_carries_is_read_too() -> None:
    lif = snntorch.Synaptic(alpha=0.5, beta=0.9, threshold=100.0)
    watch = watching(nn.ModuleDict({"lif": lif}))
    syn, mem = lif.init_synaptic()
    i, v, peak = np.zeros(4), np.zeros(4), np.zeros(4)
    for step in range(9):
        strength = 5.0 if step < 4 else -3.0  # the peak lies in the middle
        _, syn, mem = lif(
            strength * torch.tensor(CURRENTS, dtype=torch.float32)[:, None], syn, mem
        )
        i = 0.5 * i + strength * CURRENTS
        v = 0.9 * v + i
        peak = np.maximum(peak, v)
    assert (peak[1:] > v[1:]).all()
    np.testing.assert_allclose(watch.take_with_gaps()[1]["lif"], 1 - peak / 100, atol=1e-6)


@pytest.mark.parametrize("step_mode", ["s", "m"])
@pytest.mark.parametrize("v_reset", [0.0, None, -0.5])
def test_nodes_of_spikingjelly_are_read_in_both_step_modes(
    step_mode: str, v_reset: float | None
) -> None:
    node = neuron.LIFNode(
        tau=2.0, decay_input=False, v_threshold=1.0, v_reset=v_reset, step_mode=step_mode
    )
    node.store_v_seq = step_mode == "m"
    model = nn.Sequential(node)
    watch = watching(model)
    rest = v_reset or 0.0
    for n_steps in (5, 7):
        functional.reset_net(model)
        x = torch.tensor(CURRENTS, dtype=torch.float32)[None, :, None].repeat(n_steps, 1, 2)
        if step_mode == "m":
            model(x)
        else:
            for step in x:
                model(step)
        v, peak = np.full(4, rest), np.full(4, rest)
        for _ in range(n_steps):
            v = v + (rest - v) / 2 + CURRENTS
            peak = np.maximum(peak, v)
        expected = np.where(peak >= 1.0, 0.0, 1 - (peak - rest) / (1.0 - rest))
        np.testing.assert_allclose(watch.take_with_gaps()[1]["0"], expected, atol=1e-6)


def one_layer(nodes: Any, n_inputs: int, weight: float = 1.0) -> Any:
    """A BindsNET network: inputs, each to a neuron of its own."""
    engine = bindsnet.load()
    network = engine.network.Network(dt=1.0)
    network.add_layer(engine.nodes.Input(n=n_inputs), name="input")
    network.add_layer(nodes, name="output")
    feature = engine.topology_features.Weight("w", weight * torch.eye(n_inputs))
    connection = engine.topology.MulticompartmentConnection(
        network.layers["input"], nodes, device="cpu", pipeline=[feature]
    )
    network.add_connection(connection, source="input", target="output")
    return network


def every_step(n_steps: int, fed: list[list[bool]]) -> dict[str, Tensor]:
    """Input spikes in every step; fed: (n_samples, n_inputs)."""
    return {"input": torch.tensor(fed)[None].repeat(n_steps, 1, 1)}


def test_a_neuron_of_bindsnet_follows_the_step_by_step_reference() -> None:
    rest, threshold, weight, tau, n_steps = -65.0, -52.0, 0.4, 10.0, 90
    nodes = bindsnet.load().nodes.LIFNodes(n=2, rest=rest, thresh=threshold, tc_decay=tau)
    network = one_layer(nodes, 2, weight)
    fed = [[False, False], [True, False], [True, True]]
    with torch.inference_mode(), SpikeMonitor(FixedTrial({}), warmup=0) as monitor:
        watch = monitor.watch(network, ["output"], membranes=True)
        for n in (n_steps, 4):
            network.run(every_step(n, fed), time=n)
            network.reset_state_variables()
            v = rest
            for _ in range(n - 1):  # a spike arrives in the step after
                v = rest + (v - rest) * math.exp(-1 / tau) + weight
            d = (v - rest) / (threshold - rest)
            assert 0 < d < 1
            gaps = watch.take_with_gaps()[1]["output"]
            np.testing.assert_allclose(gaps, [1.0, 1 - d, 1 - d], atol=1e-5)
        network.run(every_step(4, fed), time=4)
        monitor.update()
    assert monitor._report.layers["output"].activity.mean_gap == pytest.approx(
        (1 + 2 * (1 - d)) / 3, abs=1e-5
    )


def test_an_adaptive_threshold_of_bindsnet_is_the_one_to_reach() -> None:
    nodes = bindsnet.load().nodes.DiehlAndCookNodes(
        n=2, rest=-65.0, reset=-60.0, thresh=-60.0, theta_plus=0.0, tc_theta_decay=20.0, refrac=0
    )
    nodes.theta.copy_(torch.tensor([50.0, 5.0]))
    network = one_layer(nodes, 2, 1e-3)
    fed = [[True, False], [False, True]]
    with torch.inference_mode():
        watch = Watch(find_layers(network), ["output"])
        network.run(every_step(30, fed), time=30)
    v, peaks = np.zeros(2), np.zeros(2)
    for step in range(30):
        v = v * math.exp(-1 / 100) + (1e-3 if step else 0.0)
        theta = np.array([50.0, 5.0]) * math.exp(-(step + 1) / 20)
        peaks = np.maximum(peaks, v / (5.0 + theta))
    np.testing.assert_allclose(watch.take_with_gaps()[1]["output"], 1 - peaks, atol=1e-5)


@pytest.mark.parametrize("n_neurons", [CHUNK_VALUES // 8, CHUNK_VALUES // 3, CHUNK_VALUES])
def test_large_layers_are_read_as_small_ones(n_neurons: int) -> None:
    model = nn.Sequential(snntorch.Leaky(beta=0.9, threshold=2.5, init_hidden=True))
    watch = watching(model)
    present(model, 5, n_neurons)
    np.testing.assert_allclose(watch.take_with_gaps()[1]["0"], leaky_gaps(0.9, 2.5, 5), atol=1e-5)


def test_thresholds_of_single_neurons_count_for_those() -> None:
    threshold = torch.tensor([1.0, 4.0])
    model = nn.Sequential(snntorch.Leaky(beta=0.5, threshold=threshold, init_hidden=True))
    watch = watching(model)
    model(torch.tensor([[0.5, 3.0], [0.5, 0.0]]))
    np.testing.assert_allclose(watch.take_with_gaps()[1]["0"], [0.25, 0.5])


def test_the_threshold_of_a_batch_is_the_one_before_the_optimizer_changed_it() -> None:
    model = nn.Sequential(
        snntorch.Leaky(beta=0.5, threshold=2.0, learn_threshold=True, init_hidden=True)
    )
    watch = watching(model)
    model(torch.ones(1, 1))
    model[0].threshold.data.fill_(4.0)
    np.testing.assert_allclose(watch.take_with_gaps()[1]["0"], [0.5])


def test_a_threshold_that_is_not_above_rest_leaves_no_gap() -> None:
    v = torch.zeros(2, 3, 4)
    assert depolarisation(v, 0.0, 0.0).tolist() == [1.0] * 3
    assert depolarisation(v, torch.tensor([0.0, 0.0, 0.0, 2.0]), 1.0).tolist() == [1.0] * 3
    assert depolarisation(v[..., :0], 0.0, 1.0).tolist() == [0.0] * 3


def test_a_potential_that_is_not_a_number_counts_as_rest() -> None:
    model = nn.Sequential(snntorch.Leaky(beta=0.9, threshold=2.5, init_hidden=True))
    watch = watching(model)
    model(torch.tensor([[math.nan], [0.5]]))
    np.testing.assert_allclose(watch.take_with_gaps()[1]["0"], [1.0, 0.8])


def test_a_sample_with_a_spike_has_no_gap_though_its_neurons_were_reset() -> None:
    nodes = bindsnet.load().nodes.LIFNodes(n=1, rest=-65.0, reset=-70.0, thresh=-52.0)
    network = one_layer(nodes, 1, 20.0)
    with torch.inference_mode():
        watch = Watch(find_layers(network), ["output"])
        network.run(every_step(3, [[True]]), time=3)
    counts, gaps = watch.take_with_gaps()
    assert counts["output"].tolist() == [1.0]
    assert gaps["output"].tolist() == [0.0]


def test_nothing_is_read_in_eval_mode_nor_while_paused_nor_by_a_copy() -> None:
    model = nn.Sequential(snntorch.Leaky(beta=0.9, threshold=2.5, init_hidden=True))
    watch = watching(model)
    model.eval()
    present(model, 20)
    model.train()
    with watch.paused():
        present(model, 20)
    twin = copy.deepcopy(model)
    present(twin, 20)
    assert not watch.has_spikes_to_take
    model[0].reset_mem()
    present(model, 2)
    np.testing.assert_allclose(watch.take_with_gaps()[1]["0"], leaky_gaps(0.9, 2.5, 2), atol=1e-6)


def test_gaps_are_read_only_of_the_layers_named() -> None:
    trial = FixedTrial({})
    lif = {name: snntorch.Leaky(beta=0.9, threshold=2.5, init_hidden=True) for name in "ab"}
    model = nn.ModuleDict(lif)
    with SpikeMonitor(trial, warmup=0) as monitor:
        monitor.watch(model, membranes=["b"])
        for layer in model.values():
            layer(torch.zeros(4, 3))
        monitor.update()
    assert trial.constraints == {
        "silent/a": 0.9,
        "silent/b": pytest.approx(0.9 * (0.1 + math.log(1000))),
    }


@pytest.mark.parametrize(
    ("layer", "axes", "complaint"),
    [
        (Heaviside(), "batch ...", r"layer 'output', Heaviside, cannot be read.*gaps=\.\.\."),
        (snntorch.LeakyParallel(3, 3), None, "'output', LeakyParallel, cannot be read"),
        (snntorch.Leaky(0.9), "time batch ...", "'output', Leaky, cannot be read"),
        (neuron.LIFNode(step_mode="m"), None, "'output', LIFNode, keeps the last.*store_v_seq"),
    ],
)
def test_layers_without_readable_potentials_are_refused_when_asked_for(
    layer: nn.Module, axes: Any, complaint: str
) -> None:
    model = nn.ModuleDict({"output": layer})
    with SpikeMonitor(FixedTrial({}), warmup=0, rule="record") as monitor:
        with pytest.raises(ValueError, match=complaint):
            monitor.watch(model, ["output"], axes, membranes=True)
        with pytest.raises(ValueError, match="True, False or names of watched layers, got"):
            monitor.watch(model, ["output"], axes, membranes=["outptu"])
        with pytest.raises(ValueError, match="got 'output'"):
            monitor.watch(model, ["output"], axes, membranes="output")
        monitor.watch(model, ["output"], axes)
        monitor.update("output", [1])


def test_blocks_of_slayer_do_not_keep_their_potentials() -> None:
    block = lava_dl.load().block.cuba.Dense(CUBA, 3, 3)
    with pytest.raises(ValueError, match="'output', Dense, cannot be read"):
        watching(nn.ModuleDict({"output": block}))
