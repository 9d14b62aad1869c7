"""Networks of the real frameworks: what is watched is what was emitted, counted with NumPy."""

from __future__ import annotations

import copy
import importlib
import io
from typing import Any

import numpy as np
import pytest
import snntorch
import torch
from optuna.trial import FixedTrial
from spikingjelly.activation_based import functional, layer, neuron
from torch import Tensor, nn

from optuna_snn.backends import bindsnet, lava_dl
from optuna_snn.monitor import SpikeMonitor
from optuna_snn.objectives.stdp.diehl_cook import DiehlCookConfig, built_network
from optuna_snn.probes.layers import find_layers, spiking_paths
from optuna_snn.probes.watching import Watch

N_STEPS, N_SAMPLES, N_INPUTS = 12, 6, 20
CUBA = {
    "threshold": 0.5,
    "current_decay": 0.25,
    "voltage_decay": 0.03,
    "tau_grad": 0.03,
    "scale_grad": 3,
}


def input_spikes(seed: int) -> Tensor:
    """(N_STEPS, N_SAMPLES, N_INPUTS); later samples have more spikes."""
    rng = np.random.default_rng(seed)
    rate = np.linspace(0.1, 0.9, N_SAMPLES)[:, None]
    return torch.tensor(rng.random((N_STEPS, N_SAMPLES, N_INPUTS)) < rate, dtype=torch.float32)


def counts(steps: list[Tensor]) -> np.ndarray:
    """(N_SAMPLES,) of steps (N_SAMPLES, ...)."""
    raw = np.stack([step.detach().numpy() for step in steps])
    return raw.reshape(len(steps), N_SAMPLES, -1).sum(axis=(0, 2))


def assert_same(taken: dict[str, np.ndarray], expected: dict[str, np.ndarray]) -> None:
    assert taken.keys() == expected.keys()
    for name, values in expected.items():
        np.testing.assert_array_equal(taken[name], values)
        assert 0 < values.sum() < N_STEPS * N_SAMPLES * 40


class SnnTorchNetwork(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.fc1, self.lif1 = nn.Linear(N_INPUTS, 30), snntorch.Leaky(beta=0.9, threshold=0.3)
        self.rec = snntorch.RSynaptic(alpha=0.8, beta=0.9, linear_features=30, threshold=0.3)
        self.fc2 = nn.Linear(30, 5)
        self.out = snntorch.Leaky(beta=0.9, threshold=0.2, init_hidden=True)

    def forward(self, x: Tensor) -> dict[str, list[Tensor]]:
        mem = self.lif1.init_leaky()
        spk2, syn2, mem2 = self.rec.init_rsynaptic()
        self.out.reset_mem()
        steps: dict[str, list[Tensor]] = {"lif1": [], "rec": [], "out": []}
        for step in x:
            spk1, mem = self.lif1(self.fc1(step), mem)
            spk2, syn2, mem2 = self.rec(spk1, spk2, syn2, mem2)
            for name, spikes in [("lif1", spk1), ("rec", spk2), ("out", self.out(self.fc2(spk2)))]:
                steps[name].append(spikes)
        return steps


def test_snntorch_neurons_are_found_and_counted_step_by_step() -> None:
    torch.manual_seed(0)
    model = SnnTorchNetwork()
    assert spiking_paths(model) == ["lif1", "rec", "out"]
    watch = Watch(find_layers(model))
    for seed in range(2):
        steps = model(input_spikes(seed))
        sum(spikes.sum() for spikes in steps["out"]).backward()  # type: ignore[union-attr]
        assert_same(watch.take(), {name: counts(each) for name, each in steps.items()})


def test_a_sequence_neuron_of_snntorch_is_counted_in_one_call() -> None:
    torch.manual_seed(0)
    model = nn.ModuleDict(
        {"lif": snntorch.LeakyParallel(N_INPUTS, 30, beta=0.9, weight_hh_enable=False)}
    )
    watch = Watch(find_layers(model))
    assert watch.layers[0].axes == "time batch ..."
    spikes = model["lif"](input_spikes(0))
    assert_same(watch.take(), {"lif": counts(list(spikes))})


def test_graded_spikes_of_snntorch_are_refused() -> None:
    model = nn.Sequential(nn.Linear(N_INPUTS, 30), snntorch.Leaky(0.9, graded_spikes_factor=0.5))
    watch = Watch(find_layers(model))
    for step in input_spikes(0):
        model(step * 5)
    with pytest.raises(ValueError, match=r"Layer '1' emitted values like 0\.5"):
        watch.take()


def test_graded_spikes_of_snntorch_are_refused_where_the_last_steps_are_silent() -> None:
    lif = snntorch.Leaky(0.5, threshold=1.0, init_hidden=True, graded_spikes_factor=2.5)
    model = nn.Sequential(nn.Linear(N_INPUTS, 6), lif)
    nn.init.ones_(model[0].weight)
    with SpikeMonitor(FixedTrial({}), warmup=0) as monitor:
        monitor.watch(model)
        for t in range(10):  # the stimulus comes with the first step of ten
            spikes = model(torch.ones(8, N_INPUTS) * (t < 1))
        assert not spikes.any()
        with pytest.raises(ValueError, match=r"Layer '1' emitted values like .*2\.5"):
            monitor.update()
        monitor.update("1", [1])


def spikingjelly_network() -> nn.Sequential:
    torch.manual_seed(0)
    return nn.Sequential(
        layer.Linear(N_INPUTS, 30),
        neuron.LIFNode(tau=2.0, v_threshold=0.3),
        layer.Linear(30, 30),
        neuron.ParametricLIFNode(v_threshold=0.1),
        neuron.NonSpikingIFNode("last"),
    )


@pytest.mark.parametrize("step_mode", ["s", "m"])
def test_spikingjelly_neurons_are_counted_in_both_step_modes(step_mode: str) -> None:
    model = spikingjelly_network()[:4]
    functional.set_step_mode(model, step_mode)
    assert spiking_paths(model) == ["1", "3"]
    watch = Watch(find_layers(model, {"hidden": "1", "output": model[3]}))
    for seed in range(2):
        x = input_spikes(seed)
        first, last = [], []
        functional.reset_net(model)
        if step_mode == "m":
            first = list(model[:2](x))
            last = list(model[2:](torch.stack(first)))
        else:
            for step in x:
                first.append(model[:2](step))
                last.append(model[2:](first[-1]))
        torch.stack(last).sum().backward()
        assert_same(watch.take(), {"hidden": counts(first), "output": counts(last)})


def test_a_spikingjelly_neuron_without_step_modes_is_found_and_counted() -> None:
    model = nn.Sequential(neuron.PSN(T=4), neuron.LIFNode(step_mode="m"))
    assert spiking_paths(model) == ["0", "1"]
    watch = Watch(find_layers(model, None, None))
    emitted = model[0](torch.ones(4, 3, 5))
    model[1](emitted)
    np.testing.assert_array_equal(watch.take()["0"], emitted.detach().sum((0, 2)))


def test_spikingjelly_neurons_without_spikes_are_not_taken_for_spiking() -> None:
    assert spiking_paths(spikingjelly_network()) == ["1", "3"]


def test_a_step_mode_that_changes_under_the_watch_is_refused() -> None:
    model = spikingjelly_network()[:4]
    Watch(find_layers(model))
    functional.set_step_mode(model, "m")
    with pytest.raises(ValueError, match=r"step mode of layer '1' has changed.*was 's'"):
        model(input_spikes(0))


@pytest.mark.parametrize("is_convolution", [False, True])
def test_slayer_blocks_are_counted_over_their_last_axis(is_convolution: bool) -> None:
    slayer = lava_dl.load()
    torch.manual_seed(0)
    x = input_spikes(0).permute(1, 2, 0)
    if is_convolution:
        x = x.reshape(N_SAMPLES, 5, 2, 2, N_STEPS)
        hidden = slayer.block.cuba.Conv(CUBA, 5, 4, kernel_size=2, padding=1, weight_scale=4)
        flatten = slayer.block.cuba.Flatten()
        blocks = [hidden, flatten, slayer.block.cuba.Dense(CUBA, 36, 5, weight_scale=4)]
    else:
        hidden = slayer.block.cuba.Dense(CUBA, N_INPUTS, 30, weight_scale=4, delay=True)
        affine = slayer.block.cuba.Affine(CUBA, 5, 2)
        blocks = [hidden, slayer.block.alif.Dense(ALIF, 30, 5, weight_scale=4), affine]
    model = nn.Module()
    model.blocks = nn.ModuleList(blocks)
    assert spiking_paths(model) == (
        ["blocks.0", "blocks.2"] if is_convolution else ["blocks.0", "blocks.1"]
    )
    watch = Watch(find_layers(model))
    first = hidden(x)
    last = blocks[2](blocks[1](first)) if is_convolution else blocks[1](first)
    last.sum().backward()
    expected = [each.detach().numpy().reshape(N_SAMPLES, -1).sum(1) for each in (first, last)]
    assert_same(watch.take(), dict(zip(spiking_paths(model), expected, strict=True)))


ALIF = {
    "threshold": 0.5,
    "threshold_step": 0.1,
    "current_decay": 0.25,
    "voltage_decay": 0.03,
    "threshold_decay": 0.1,
    "refractory_decay": 0.1,
}


def test_the_voltage_of_a_slayer_block_without_spikes_is_refused() -> None:
    block = lava_dl.load().block.cuba.Affine(CUBA, N_INPUTS, 5, weight_scale=4)
    watch = Watch(find_layers(nn.ModuleDict({"readout": block}), ["readout"]))
    block(input_spikes(0).permute(1, 2, 0))
    with pytest.raises(ValueError, match=r"'readout' emitted values like .*membrane potential"):
        watch.take()


def diehl_cook_network() -> Any:
    torch.manual_seed(0)
    weights = torch.rand(N_INPUTS, 10)
    config = DiehlCookConfig(map_size=10, e_thresh_mv=-60.0, strength_exc_mv=30.0, norm=40.0)
    return built_network(config, weights)


def test_bindsnet_layers_are_counted_as_its_own_monitors_see_them() -> None:
    network = diehl_cook_network()
    monitors = importlib.import_module("bindsnet.network.monitors")
    own = {}
    for name in ("input", "excitatory", "inhibitory"):
        own[name] = monitors.Monitor(network.layers[name], ["s"], time=N_STEPS)
        network.add_monitor(own[name], name)
    assert spiking_paths(network) == ["excitatory", "inhibitory"]  # inputs are no layer to judge
    trial = FixedTrial({})
    expected = {}
    with torch.inference_mode(), SpikeMonitor(trial, warmup=0, rule="record") as watched:
        watch = watched.watch(network, ["input", "excitatory", "inhibitory"])
        for seed in range(2):
            network.run({"input": input_spikes(seed).bool()}, time=N_STEPS)
            expected = {name: counts(list(own[name].get("s"))) for name in own}
            network.reset_state_variables()
            assert_same(watch.take(), expected)
        network.train(False)
        network.run({"input": input_spikes(0).bool()}, time=N_STEPS)
        assert not watch.has_spikes_to_take
        network.train(True)
        network.run({"input": input_spikes(1).bool()}, time=N_STEPS)
        watched.update()
    assert list(network.monitors) == list(own)
    assert trial.constraints["silent/input"] == -0.1


def test_a_bindsnet_layer_outside_its_network_is_refused() -> None:
    nodes = bindsnet.load().nodes.LIFNodes(5)
    with pytest.raises(ValueError, match="layer 'nodes' belongs to no network within ModuleDict"):
        find_layers(nn.ModuleDict({"nodes": nodes}))


def test_copies_of_a_bindsnet_network_are_not_watched() -> None:
    network = diehl_cook_network()
    watch = Watch(find_layers(network))
    file = io.BytesIO()
    torch.save(network, file)  # as Network.save does
    file.seek(0)
    for twin in (torch.load(file, weights_only=False), copy.deepcopy(network)):
        assert len(twin.monitors) == 2
        twin.run({"input": input_spikes(0).bool()}, time=N_STEPS)
        twin.reset_state_variables()
    assert not watch.has_spikes_to_take
    watch.remove()
    assert network.monitors == {}
