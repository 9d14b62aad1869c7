"""Watching plain torch modules; the networks of real frameworks: `test_frameworks.py`."""

import copy
import io
import logging
import pickle

import numpy as np
import pytest
import torch
from optuna.trial import FixedTrial
from torch import nn
from torch.utils.checkpoint import checkpoint

from optuna_snn.monitor import SpikeMonitor
from optuna_snn.probes.counting import Axes
from optuna_snn.probes.layers import find_layers
from optuna_snn.probes.watching import CHUNK_STEPS, CHUNK_VALUES, Watch
from tests.probes.models import Heaviside, TwoLayers, counts_by_hand, inputs, present

NAMES = ["hidden", "output"]


def watching(model: nn.Module, axes: Axes = "batch ...") -> Watch:
    return Watch(find_layers(model, NAMES, axes))


def monitor(**options: object) -> SpikeMonitor:
    return SpikeMonitor(FixedTrial({}), warmup=0, **options)  # type: ignore[arg-type]


def assert_counts(taken: dict[str, np.ndarray], model: TwoLayers) -> None:
    for name in NAMES:
        layer = model.get_submodule(name)
        assert isinstance(layer, Heaviside)
        np.testing.assert_array_equal(taken[name], counts_by_hand(layer.emitted))
        layer.emitted.clear()


@pytest.mark.parametrize("n_steps", [1, 10, CHUNK_STEPS, CHUNK_STEPS + 1, 3 * CHUNK_STEPS - 1])
def test_the_steps_of_a_batch_add_up_to_spikes_per_sample(n_steps: int) -> None:
    model = TwoLayers()
    watch = watching(model)
    for seed in range(3):
        present(model, inputs(n_steps, seed=seed))
        assert_counts(watch.take(), model)


def test_batches_may_differ_in_size_and_in_number_of_steps() -> None:
    model = TwoLayers()
    watch = watching(model)
    for n_steps, n_samples in [(10, 8), (4, 8), (10, 3), (70, 1), (10, 8)]:
        present(model, inputs(n_steps, n_samples))
        assert_counts(watch.take(), model)


@pytest.mark.parametrize("n_neurons", [CHUNK_VALUES // 8, CHUNK_VALUES // 3, CHUNK_VALUES])
def test_layers_too_large_for_a_chunk_are_counted_as_well(n_neurons: int) -> None:
    layer = Heaviside()
    model = nn.ModuleDict({"hidden": layer})
    watch = Watch(find_layers(model, ["hidden"], "batch ..."))
    x = torch.rand(5, 2, n_neurons, generator=torch.Generator().manual_seed(0))
    for step in x:
        layer(step)
    np.testing.assert_array_equal(watch.take()["hidden"], (x > 0.5).sum((0, 2)))


@pytest.mark.parametrize(
    ("axes", "order"),
    [("time batch ...", (0, 1, 2)), ("batch time ...", (1, 0, 2)), ("batch ... time", (1, 2, 0))],
)
def test_a_whole_sequence_in_one_call_is_counted(axes: Axes, order: tuple[int, ...]) -> None:
    layer = Heaviside()
    watch = Watch(find_layers(nn.ModuleDict({"hidden": layer}), ["hidden"], axes))
    x = inputs(10, 8)
    layer(x.permute(order))
    np.testing.assert_array_equal(watch.take()["hidden"], (x > 0.5).sum((0, 2)))


def test_steps_of_one_batch_may_differ_in_neurons_and_in_type() -> None:
    emit = iter([torch.Tensor.bool, torch.Tensor.float, torch.Tensor.bool, torch.Tensor.float])
    layer = Heaviside(emit=lambda spikes: next(emit)(spikes))
    watch = Watch(find_layers(nn.ModuleDict({"hidden": layer}), ["hidden"], "batch ..."))
    x = inputs()
    with torch.no_grad():
        for step in (x[0], x[1], x[2, :, :4], x[3]):
            layer(step.relu().ceil())
    np.testing.assert_array_equal(watch.take()["hidden"], counts_by_hand(layer.emitted))


def test_a_fraction_among_steps_of_another_type_is_found() -> None:
    emit = iter([torch.Tensor.bool, lambda spikes: spikes * 0.5])
    layer = Heaviside(emit=lambda spikes: next(emit)(spikes))
    watch = Watch(find_layers(nn.ModuleDict({"hidden": layer}), ["hidden"], "batch ..."))
    for step in inputs()[:2]:
        layer(step)
    with pytest.raises(ValueError, match="'hidden' emitted values like"):
        watch.take()


def test_a_step_that_is_overwritten_later_was_counted_as_it_was() -> None:
    buffer = torch.zeros(8, 6)
    layer = Heaviside(emit=buffer.copy_)
    watch = Watch(find_layers(nn.ModuleDict({"hidden": layer}), ["hidden"], "batch ..."))
    with torch.no_grad():
        for step in inputs():
            layer(step)
    buffer.fill_(7)
    np.testing.assert_array_equal(watch.take()["hidden"], counts_by_hand(layer.emitted))


def test_the_first_of_several_tensors_are_the_spikes() -> None:
    layer = Heaviside(emit=lambda spikes: (spikes, spikes * 0.3))
    watch = Watch(find_layers(nn.ModuleDict({"hidden": layer}), ["hidden"], "batch ..."))
    layer(inputs()[0])
    np.testing.assert_array_equal(watch.take()["hidden"], counts_by_hand(layer.emitted))


def test_spikes_are_counted_with_and_without_gradients_and_in_inference_mode_by_turns() -> None:
    model = TwoLayers()
    watch = watching(model)
    for mode in (torch.inference_mode, torch.enable_grad, torch.no_grad, torch.inference_mode):
        with mode():
            for step in inputs():
                model(step)
    assert_counts(watch.take(), model)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bool])
@pytest.mark.parametrize("axes", ["batch ...", "batch ... time"])
def test_nothing_waits_for_the_device_before_the_counts_are_fetched(
    axes: Axes, dtype: torch.dtype
) -> None:
    """Tensors on the device "meta" have shapes and no values: to look at one is an error."""
    layer = nn.Identity()
    watch = Watch(find_layers(nn.ModuleDict({"hidden": layer}), ["hidden"], axes))
    for _ in range(CHUNK_STEPS + 1):
        layer(torch.zeros(8, 5, 4, device="meta", dtype=dtype))
    with pytest.raises(NotImplementedError, match="Cannot copy out of meta tensor"):
        watch.take()


def test_watching_changes_neither_gradients_nor_outputs() -> None:
    torch.manual_seed(0)
    model = TwoLayers()
    twin = copy.deepcopy(model)
    watching(model)
    for each in (model, twin):
        present(each, inputs())
    for parameter, other in zip(model.parameters(), twin.parameters(), strict=True):
        assert parameter.grad is not None and other.grad is not None
        assert torch.equal(parameter.grad, other.grad)


def test_evaluation_and_pauses_are_not_counted() -> None:
    model = TwoLayers()
    watch = watching(model)
    model.eval()
    model(inputs(seed=1)[0])
    model.train()
    with watch.paused(), watch.paused():
        model(inputs(seed=2)[0])
    for name in NAMES:
        model.get_submodule(name).emitted.clear()  # type: ignore[operator, union-attr]
    assert not watch.has_spikes_to_take
    present(model, inputs())
    assert_counts(watch.take(), model)


@pytest.mark.parametrize("use_reentrant", [True, False])
def test_steps_run_again_by_gradient_checkpointing_count_once(use_reentrant: bool) -> None:
    model = TwoLayers()
    watch = watching(model)
    x = inputs(1)[0].requires_grad_()
    output = checkpoint(model, x, use_reentrant=use_reentrant)
    (first,) = model.hidden.emitted
    output.sum().backward()
    assert len(model.hidden.emitted) == 2  # it did run again
    np.testing.assert_array_equal(watch.take()["hidden"], first.sum(1))


def test_copies_of_the_model_are_not_watched() -> None:
    model = TwoLayers()
    model.hidden.emit = model.output.emit = nn.Identity()  # a lambda could not be pickled
    watch = watching(model)
    file = io.BytesIO()
    torch.save(model, file)
    file.seek(0)
    copies = [
        copy.deepcopy(model),
        pickle.loads(pickle.dumps(model)),
        torch.load(file, weights_only=False),
    ]
    for each in copies:
        for n_samples in (8, 5):  # a recorder of its own would complain
            each(inputs(n_samples=n_samples)[0])
    assert not watch.has_spikes_to_take
    present(model, inputs())
    assert_counts(watch.take(), model)


def test_all_hooks_are_gone_after_the_block_however_it_is_left() -> None:
    model = TwoLayers()
    with monitor() as watched:
        watched.watch(model, NAMES, "batch ...")
        assert all(model.get_submodule(name)._forward_hooks for name in NAMES)
        model(inputs()[0])
        watched.update()
    with pytest.raises(KeyboardInterrupt), monitor() as watched:
        watched.watch(model, NAMES, "batch ...")
        raise KeyboardInterrupt
    with pytest.raises(ValueError, match="No sample was judged"), monitor() as watched:
        watched.watch(model, NAMES, "batch ...")
    for module in model.modules():
        assert not module._forward_hooks


def test_the_monitor_judges_what_was_watched() -> None:
    model = TwoLayers()
    trial = FixedTrial({})
    with torch.no_grad():
        model.second.weight.zero_()
        model.second.bias.zero_()
    with SpikeMonitor(trial, beta=0.1, warmup=0) as watched:
        watch = watched.watch(model, {"hidden": model.hidden, "out": "output"}, "batch ...")
        assert [layer.name for layer in watch.layers] == ["hidden", "out"]
        for seed in range(3):
            present(model, inputs(seed=seed))
            watched.update()
        assert watched.n_samples == 24
        assert watched.verdict is not None and "'out' is silent: 24 of 24" in watched.verdict
    assert trial.constraints == {"silent/hidden": -0.1, "silent/out": 0.9}


def test_layers_that_the_monitor_declares_are_those_that_it_watches() -> None:
    with monitor(layers=["output"]) as watched:
        watch = watched.watch(TwoLayers(), axes="batch ...")
        assert [layer.path for layer in watch.layers] == ["output"]
        watched.update("output", [1])
    model = TwoLayers()
    with monitor(layers=["output"]) as watched:
        with pytest.raises(ValueError, match="'hidden' was not declared"):
            watched.watch(model, NAMES, "batch ...")
        assert not model.hidden._forward_hooks
        watched.update("output", [1])


def test_spikes_after_the_last_update_are_warned_about(caplog: pytest.LogCaptureFixture) -> None:
    model = TwoLayers()
    with caplog.at_level(logging.WARNING), monitor() as watched:
        watched.watch(model, NAMES, "batch ...")
        model(inputs()[0])
        watched.update()
        assert not caplog.records
        model(inputs()[0])
    assert "after the last monitor.update()" in caplog.text
