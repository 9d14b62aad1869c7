"""What is recorded is the first sample of the last batch, and nothing else."""

from __future__ import annotations

import copy
from typing import Any

import numpy as np
import pytest
import snntorch
import torch
from torch import Tensor, nn

from optuna_snn.backends import bindsnet
from optuna_snn.probes.counting import LAYOUTS, Axes
from optuna_snn.probes.layers import find_layers
from optuna_snn.probes.watching import Watch
from optuna_snn.rasters.record import SpikeRaster
from optuna_snn.rasters.recording import Recording, first_sample
from tests.probes.models import Heaviside, TwoLayers, inputs, present


def begun(
    model: nn.Module, axes: Axes | None = "batch ...", layers: Any = None, **bounds: int
) -> Recording:
    watch = Watch(find_layers(model, layers, axes))
    limits = {"max_neurons": 256, "max_steps": 2000} | bounds
    return Recording(watch, dt_ms=1.0, **limits)


def dense(raster: SpikeRaster) -> np.ndarray:
    """(n_steps, n_neurons) zeros and ones."""
    table = np.zeros((raster.n_steps, raster.n_neurons))
    table[raster.steps, raster.neurons // raster.stride] = 1
    return table


def of_first_sample(steps: list[np.ndarray]) -> np.ndarray:
    return np.array([step[0].ravel() for step in steps])


def test_the_last_batch_is_kept_until_the_next_begins() -> None:
    model = TwoLayers()
    recording = begun(model, layers=["hidden", "output"])
    for seed, n_steps in ((0, 10), (1, 7)):
        model.hidden.emitted.clear()
        model.output.emitted.clear()
        present(model, inputs(n_steps, seed=seed))
        recording.end_batch()
        hidden, output = recording.rasters()
        np.testing.assert_array_equal(dense(hidden), of_first_sample(model.hidden.emitted))
        np.testing.assert_array_equal(dense(output), of_first_sample(model.output.emitted))
        assert (hidden.layer, hidden.n_steps, hidden.n_neurons) == ("hidden", n_steps, 5)
        assert 0 < hidden.n_spikes < 5 * n_steps


def test_of_a_module_that_runs_at_several_widths_the_first_is_recorded() -> None:
    model = nn.Sequential(Heaviside())
    recording = begun(model, layers=["0"])
    for widths in ((6, 3, 6, 3), (3, 6)):
        for width in widths:
            model(torch.ones(2, width))
        recording.end_batch()
        (raster,) = recording.rasters()
        assert (raster.n_steps, raster.n_neurons) == (len(widths) // 2, widths[0])
        assert raster.n_spikes == raster.n_steps * raster.n_neurons


@pytest.mark.parametrize("axes", LAYOUTS)
def test_a_batch_without_samples_is_not_recorded(axes: Axes) -> None:
    shape = {"batch ...": (0, 4), "time batch ...": (5, 0, 4)}.get(axes, (0, 4, 5))
    model = nn.Sequential(Heaviside())
    recording = begun(model, axes, layers=["0"])
    model(torch.ones(shape))
    assert recording.rasters() == []


@pytest.mark.parametrize("axes", LAYOUTS)
def test_the_first_sample_is_found_in_every_layout(axes: Axes) -> None:
    rng = np.random.default_rng(0)
    spikes = torch.tensor(rng.random((4, 3, 2, 6)) < 0.5, dtype=torch.float32)  # t, batch, neurons
    arranged = {
        "batch ...": spikes[2],
        "time batch ...": spikes,
        "batch time ...": spikes.transpose(0, 1),
        "batch ... time": spikes.permute(1, 2, 3, 0),
    }[axes]
    expected = spikes[:, 0].flatten(1) if axes != "batch ..." else spikes[2, :1].flatten(1)
    torch.testing.assert_close(first_sample(arranged, axes), expected)
    model = nn.Sequential(Heaviside())
    recording = begun(model, axes, ["0"])
    model(arranged)
    (raster,) = recording.rasters()
    np.testing.assert_array_equal(dense(raster), expected.numpy())


def test_nothing_is_recorded_in_eval_mode_in_pauses_or_after_removal() -> None:
    model = TwoLayers()
    watch = Watch(find_layers(model, ["hidden"], "batch ..."))
    recording = Recording(watch, dt_ms=None, max_neurons=9, max_steps=99)
    assert recording.rasters() == []
    with watch.paused():
        present(model, inputs())
    model.eval()
    present(model, inputs())
    model.train()
    recording.remove()
    recording.remove()
    present(model, inputs())
    assert recording.rasters() == []


def test_bounds_hold_for_neurons_and_steps() -> None:
    model = nn.Sequential(Heaviside())
    recording = begun(model, layers=["0"], max_neurons=10, max_steps=5)
    x = torch.rand(8, 2, 25)
    for step in x:
        model(step)
    (raster,) = recording.rasters()
    np.testing.assert_array_equal(dense(raster), (x[:5, 0, ::3] > 0.5).numpy())
    assert (raster.stride, raster.is_cut) == (3, True)
    assert (raster.n_steps, raster.n_neurons) == (5, 9)
    assert set(raster.neurons) <= set(range(0, 25, 3))


def test_a_sample_that_fits_is_not_cut() -> None:
    model = nn.Sequential(Heaviside())
    recording = begun(model, "time batch ...", ["0"], max_steps=8)
    model(torch.rand(8, 2, 25))
    assert not recording.rasters()[0].is_cut


def test_spikes_that_are_changed_later_are_recorded_as_they_were() -> None:
    model = nn.Sequential(nn.Identity())
    recording = begun(model, layers=["0"])
    spikes = torch.ones(2, 3)
    model(spikes)
    spikes.zero_()
    assert recording.rasters()[0].n_spikes == 3


def test_a_copy_of_a_recorded_model_records_nothing() -> None:
    model = TwoLayers()
    recording = begun(model, layers=["hidden"])
    twin = copy.deepcopy(model)
    present(twin, inputs())
    assert recording.rasters() == []


def test_a_snntorch_network_is_recorded() -> None:
    model = snntorch.Leaky(beta=0.9, threshold=0.5)
    recording = begun(nn.Sequential(model), axes=None)
    membrane, emitted = model.reset_mem(), []
    for step in inputs():
        spikes, membrane = model(step, membrane)
        emitted.append(spikes.detach().numpy())
    (raster,) = recording.rasters()
    np.testing.assert_array_equal(dense(raster), of_first_sample(emitted))
    assert 0 < raster.n_spikes


def test_a_bindsnet_network_is_recorded() -> None:
    backend = bindsnet.load()
    network = backend.network.Network(dt=1.0)
    source, layer = backend.nodes.Input(n=4), backend.nodes.LIFNodes(n=3)
    network.add_layer(source, name="in")
    network.add_layer(layer, name="out")
    wires = backend.topology.Connection(source, layer, w=torch.full((4, 3), 20.0))
    network.add_connection(wires, source="in", target="out")
    recording = begun(network, axes=None, layers={"out": layer})
    emitted: list[Tensor] = []

    class Spy:
        def record(self) -> None:
            emitted.append(layer.s.clone())

        def reset_state_variables(self) -> None:
            pass

    network.add_monitor(Spy(), "spy")
    network.run({"in": torch.ones(12, 1, 4)}, time=12)
    (raster,) = recording.rasters()
    np.testing.assert_array_equal(
        dense(raster), of_first_sample([step.numpy() for step in emitted])
    )
    assert 0 < raster.n_spikes
    recording.remove()
    assert not [key for key in network.monitors if "raster" in key]
