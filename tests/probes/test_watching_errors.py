"""What a watch refuses, with words that lead out."""

import itertools
from unittest import mock

import pytest
import torch
from optuna.trial import FixedTrial
from torch import nn

from optuna_snn.monitor import SpikeMonitor
from optuna_snn.probes.counting import Axes
from optuna_snn.probes.layers import find_layers
from optuna_snn.probes.watching import CHUNK_STEPS, MOST_PROOFS, Watch
from tests.probes.models import Heaviside, TwoLayers, inputs

NAMES = ["hidden", "output"]


def watching(model: nn.Module, axes: Axes = "batch ...") -> Watch:
    return Watch(find_layers(model, NAMES, axes))


def monitor(**options: object) -> SpikeMonitor:
    return SpikeMonitor(FixedTrial({}), warmup=0, **options)  # type: ignore[arg-type]


def test_copies_of_a_layer_for_several_devices_are_refused() -> None:
    """As DataParallel makes them: they share the hooks, and would count as further steps."""
    model = TwoLayers()
    watching(model)
    replica = model.hidden._replicate_for_data_parallel()
    model.hidden(torch.ones(2, 5))
    with pytest.raises(ValueError, match=r"'hidden' runs as a copy of the Heaviside.*one device"):
        replica(torch.ones(2, 5))


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


def graded(first: float, last: float = 0.0, n_steps: int = 10) -> TwoLayers:
    """The output emits `first` in the first of n_steps steps, and `last` in the others."""
    model, step = TwoLayers(), itertools.count()
    model.output.emit = lambda spikes: torch.full_like(
        spikes, last if next(step) % n_steps else first
    )
    return model


def present(model: TwoLayers, n_steps: int = 10) -> None:
    for x in inputs(n_steps):
        model(x)


@pytest.mark.parametrize("n_steps", [2, 10, CHUNK_STEPS + 1, 2 * CHUNK_STEPS])
@pytest.mark.parametrize(
    ("first", "last"), [(2.5, 0.0), (2.0, 0.0), (0.5, 0.0), (-1.0, 0.0), (0.3, 1.0)]
)
def test_a_value_that_is_no_spike_is_refused_in_whichever_step_it_comes(
    first: float, last: float, n_steps: int
) -> None:
    model = graded(first, last, n_steps)
    with monitor() as watched:
        watched.watch(model, NAMES, "batch ...")
        present(model, n_steps)
        with pytest.raises(ValueError, match=r"'output' emitted values.*zeros and ones"):
            watched.update()
        assert watched.n_samples == 0
        watched.update({"hidden": [1], "output": [1]})


def test_a_layer_that_is_silent_at_first_is_checked_in_full_until_it_has_fired() -> None:
    model = graded(0.0)
    with monitor(rule="record") as watched:
        watched.watch(model, NAMES, "batch ...")
        for _ in range(5):
            present(model)
            watched.update()
        model.output.emit = graded(2.0).output.emit
        present(model)
        with pytest.raises(ValueError, match=r"'output' emitted values like -1 or 2"):
            watched.update()


@pytest.mark.parametrize(
    ("first", "complaint"), [(0.5, "values that sum to 1.5 in a"), (-1.0, "got -3.0")]
)
def test_later_batches_are_refused_where_their_sums_are_no_counts(
    first: float, complaint: str
) -> None:
    """Three output neurons; the last step holds zeros, and only it is looked at by then."""
    model = graded(1.0)
    with monitor() as watched:
        watched.watch(model, NAMES, "batch ...")
        present(model)
        watched.update()
        model.output.emit = graded(first).output.emit
        present(model)
        with pytest.raises(ValueError, match=complaint):
            watched.update()
        assert watched.n_samples == 8


def bounded_shapes(model: TwoLayers, n_batches: int) -> list[list[int]]:
    """Shapes of the values whose bounds are computed for the output, batch by batch."""
    watch, shapes = watching(model), []
    for _ in range(n_batches):
        present(model)
        with mock.patch.object(torch, "addcmul", side_effect=torch.addcmul) as bound:
            watch.take()
        shapes += [list(bound.call_args_list[-1].args[0].shape)]
    return shapes


def test_a_layer_that_fired_is_looked_at_in_its_last_step_alone_from_then_on() -> None:
    assert bounded_shapes(graded(1.0), 3) == [[10, 8, 3], [8, 3], [8, 3]]


def test_a_layer_that_never_fires_is_checked_in_full_for_a_limited_time() -> None:
    shapes = bounded_shapes(graded(0.0), MOST_PROOFS + 2)
    assert shapes == [[10, 8, 3]] * MOST_PROOFS + [[8, 3]] * 2


@pytest.mark.parametrize("kind", ["to_sparse", "cfloat"])
def test_a_tensor_that_cannot_be_counted_is_refused_by_the_name_of_its_layer(kind: str) -> None:
    layer = Heaviside(emit=lambda spikes: getattr(spikes.detach(), kind)())
    Watch(find_layers(nn.ModuleDict({"hidden": layer}), ["hidden"], "batch ..."))
    with pytest.raises(ValueError, match="'hidden' emitted a tensor of torch"):
        layer(inputs()[0])


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
