"""What a watch refuses, with words that lead out."""

import pytest
import torch
from optuna.trial import FixedTrial
from torch import nn

from optuna_snn.monitor import SpikeMonitor
from optuna_snn.probes.counting import Axes
from optuna_snn.probes.layers import find_layers
from optuna_snn.probes.watching import CHUNK_STEPS, Watch
from tests.probes.models import Heaviside, TwoLayers, inputs

NAMES = ["hidden", "output"]


def watching(model: nn.Module, axes: Axes = "batch ...") -> Watch:
    return Watch(find_layers(model, NAMES, axes))


def monitor(**options: object) -> SpikeMonitor:
    return SpikeMonitor(FixedTrial({}), warmup=0, **options)  # type: ignore[arg-type]


def test_a_monitor_watches_inside_its_block_and_once() -> None:
    model = TwoLayers()
    watched = monitor()
    with pytest.raises(RuntimeError, match=r"watch\(\) works inside its block.*with SpikeMonitor"):
        watched.watch(model, NAMES, "batch ...")
    with watched:
        with pytest.raises(TypeError, match=r"once monitor.watch\(model\) was called"):
            watched.update()
        watched.watch(model, NAMES, "batch ...")
        with pytest.raises(RuntimeError, match=r"already.*nn\.ModuleList"):
            watched.watch(model, NAMES, "batch ...")
        model(inputs()[0])
        watched.update()
    with pytest.raises(RuntimeError, match=r"watch\(\) works inside its block"):
        watched.watch(model, NAMES, "batch ...")


def test_an_update_without_a_batch_before_it_is_refused() -> None:
    model = TwoLayers()
    with monitor() as watched:
        watched.watch(model, NAMES, "batch ...")
        model.eval()
        model(inputs()[0])
        with pytest.raises(ValueError, match=r"'hidden' is watched but did not run.*model\.train"):
            watched.update()
        model.train()
        model.hidden(inputs()[0])
        with pytest.raises(ValueError, match="'output' is watched but did not run"):
            watched.update()
        assert watched.n_samples == 0
        model(inputs()[0])
        watched.update()


def test_a_forgotten_update_is_found_out_by_a_batch_of_another_size() -> None:
    model = TwoLayers()
    watching(model)
    model(inputs(n_samples=8)[0])
    with pytest.raises(ValueError, match=r"'hidden' saw 5 samples after 8.*update\(\) after each"):
        model(inputs(n_samples=5)[0])


def test_layers_that_saw_different_numbers_of_samples_are_refused() -> None:
    model = TwoLayers()
    watch = Watch(
        find_layers(model, NAMES, {"hidden": "time batch ...", "output": "batch time ..."})
    )
    model(inputs(10, 8))
    with pytest.raises(ValueError, match=r"'hidden': 8, 'output': 10.*axes=\{"):
        watch.take()


@pytest.mark.parametrize("axes", ["batch ...", "time batch ..."])
def test_values_that_are_no_spikes_are_refused_and_nothing_is_taken_in(axes: Axes) -> None:
    model = TwoLayers()
    model.output.emit = lambda spikes: spikes * 0.5
    with monitor() as watched:
        watched.watch(model, NAMES, axes)
        model(inputs(3) if axes == "time batch ..." else inputs()[0])
        with pytest.raises(ValueError, match=r"'output' emitted values like 0\.5.*zeros and ones"):
            watched.update()
        assert watched.n_samples == 0
        model.output.emit = lambda spikes: spikes
        model(inputs(3) if axes == "time batch ..." else inputs()[0])
        watched.update()
        assert watched.n_samples == 8


@pytest.mark.parametrize("n_steps", [2, 25, CHUNK_STEPS, CHUNK_STEPS + 1])
def test_values_that_are_no_spikes_are_refused_however_many_steps_a_batch_has(
    n_steps: int,
) -> None:
    model = TwoLayers()
    model.output.emit = lambda spikes: 0.5 * torch.ones_like(spikes)
    with monitor() as watched:
        watched.watch(model, NAMES, "batch ...")
        for _ in range(n_steps):
            model(inputs()[0])
        with pytest.raises(ValueError, match=r"'output' emitted values like 0\.5.*zeros and ones"):
            watched.update()
        watched.update({"hidden": [1], "output": [1]})


@pytest.mark.parametrize("returned", [None, {"spikes": torch.zeros(2, 3)}, ()])
def test_a_module_that_returns_no_tensor_is_refused_by_name_and_type(returned: object) -> None:
    layer = Heaviside(emit=lambda spikes: returned)
    Watch(find_layers(nn.ModuleDict({"hidden": layer}), ["hidden"], "batch ..."))
    with pytest.raises(
        TypeError, match=f"'hidden', Heaviside, returned {type(returned).__name__}"
    ):
        layer(inputs()[0])


def test_a_sample_without_a_batch_axis_is_refused() -> None:
    model = TwoLayers()
    watching(model)
    with pytest.raises(ValueError, match=r"shape \(5,\).*unsqueeze"):
        model(inputs()[0, 0])
