"""Watches layers while a model trains: forward hooks that count, batch by batch.

Between two takes all calls of a layer belong to the same samples: a module that is called once for
each time step adds a step with each call. A module that is in eval mode (``module.training`` is
False) is not counted, nor is what gradient checkpointing runs again in the backward pass.

Whether a layer emits zeros and ones alone is checked for every value until a batch in which it
fired has shown it, which is the first one as a rule. Then the last step of each chunk of steps is
looked at, and whether the sums are whole.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from optuna_snn.probes.counting import (
    CHUNK_STEPS,
    CHUNK_VALUES,
    N_BOUNDS,
    BatchCount,
    complaint,
    complaint_of_sums,
    count_spikes,
    n_samples_of,
    refuse_unreadable,
    rounded,
    to_host,
    total,
)
from optuna_snn.probes.layers import WatchedLayer, known_axes
from optuna_snn.probes.membranes import PeakRecorder, membrane_of
from optuna_snn.spikes.gaps import Gaps, gaps_of

MOST_PROOFS = 32
"""Batches that are checked in full though the layer fires in none of them."""

graph_task = torch._C._current_graph_task_id
"""Number of the backward pass at work in this thread; -1 is none. (Calls are quicker so.)"""


class Watch:
    """Counts the spikes of layers from when it is made until `remove`.

    It is what ``SpikeMonitor.watch`` returns; the monitor removes it when its block is left.
    membranes: names of the layers whose membrane potentials are read, too; ValueError for one of
        which they cannot be
    """

    def __init__(self, layers: Sequence[WatchedLayer], membranes: Collection[str] = ()) -> None:
        self._layers = tuple(layers)
        self._recorders = [_Recorder(layer, layer.name in membranes) for layer in layers]
        self._handles: list[torch.utils.hooks.RemovableHandle] = []
        for layer, recorder in zip(self._layers, self._recorders, strict=True):
            if layer.monitors is None:
                self._handles.append(layer.module.register_forward_hook(recorder))
            else:
                layer.monitors[f"optuna_snn:{layer.name}:{id(recorder)}"] = recorder

    @property
    def layers(self) -> tuple[WatchedLayer, ...]:
        """The layers that are watched, with the axes of what they emit."""
        return self._layers

    @property
    def is_paused(self) -> bool:
        """Whether nothing is counted now: inside a block of `paused`."""
        return any(recorder.is_paused for recorder in self._recorders)

    @property
    def has_spikes_to_take(self) -> bool:
        """Whether a layer ran since the last take."""
        return any(recorder.has_run for recorder in self._recorders)

    def take(self) -> dict[str, NDArray[np.float32]]:
        """Layer -> (n_samples,) spikes of each sample since the last take (`take_with_gaps`)."""
        return self.take_with_gaps()[0]

    def take_with_gaps(self) -> tuple[dict[str, NDArray[np.float32]], dict[str, Gaps]]:
        """Layer -> (n_samples,) spikes of each sample since the last take, and its gaps.

        Gaps are those of the layers whose membrane potentials are read; that of a sample with a
        spike is 0, for the threshold was reached. This waits for the device, once.

        Raises ValueError if a layer did not run, emitted something else than zeros and ones, or
        if layers saw different numbers of samples. What was counted is gone then, too.
        """
        counted = {
            layer.name: recorder.take()
            for layer, recorder in zip(self._layers, self._recorders, strict=True)
        }
        ran = {name: count for name, count in counted.items() if count is not None}
        if idle := [name for name in counted if name not in ran]:
            raise ValueError(
                f"Layer {idle[0]!r} is watched but did not run in training mode since the last "
                "monitor.update(). Call update() after each batch; call model.train() before "
                "training, as modules in eval mode are not counted; watch a model that "
                "torch.compile compiles before its first call; and watch only layers that run in "
                "every batch: monitor.watch(model, layers=[...])."
            )
        n_samples = {name: count.n_samples for name, count in ran.items()}
        if len(set(n_samples.values())) > 1:
            raise ValueError(
                f"The watched layers saw different numbers of samples: {n_samples}. Their axes "
                f"were taken to be { {layer.name: layer.axes for layer in self._layers} }; "
                "declare what they are: monitor.watch(model, axes={...})."
            )
        peaks = {
            layer.name: peak
            for layer, recorder in zip(self._layers, self._recorders, strict=True)
            if (peak := recorder.take_peak()) is not None
        }
        table, depolarisation = to_host([*ran.values()], [*peaks.values()])
        counts, bounds = table[:, :-N_BOUNDS], table[:, -N_BOUNDS:]
        whole = rounded(counts)
        has_odd_sums = not (whole == counts).all()  # seldom: what follows costs more
        for i, name in enumerate(ran):
            problem = complaint(bounds[i])
            if problem is None and has_odd_sums:
                problem = complaint_of_sums(counts[i])
            if problem is not None:
                raise ValueError(
                    f"Layer {name!r} emitted {problem}: spikes are zeros and ones. Watch the "
                    "module that fires, not one that returns currents or membrane potentials, by "
                    "monitor.watch(model, layers=[...]); for graded spikes count what you call a "
                    "spike and pass monitor.update(layer, counts)."
                )
        taken = dict(zip(ran, whole, strict=True))
        for layer, recorder in zip(self._layers, self._recorders, strict=True):
            if not recorder.is_proven:
                recorder.prove(has_fired=bool(taken[layer.name].any()))
        return taken, {
            name: gaps_of(d, taken[name]) for name, d in zip(peaks, depolarisation, strict=True)
        }

    @contextmanager
    def paused(self) -> Iterator[None]:
        """Count nothing inside the block: for a validation in training mode."""
        before = [recorder.is_paused for recorder in self._recorders]
        for recorder in self._recorders:
            recorder.is_paused = True
        try:
            yield
        finally:
            for recorder, was_paused in zip(self._recorders, before, strict=True):
                recorder.is_paused = was_paused

    def remove(self) -> None:
        """Leave the model as it was; a second call does nothing."""
        for handle in self._handles:
            handle.remove()
        for layer in self._layers:
            monitors = {} if layer.monitors is None else layer.monitors
            for key, each in list(monitors.items()):
                if any(each is recorder for recorder in self._recorders):
                    del monitors[key]


class _Inert:
    """What a copy of a watched model has in place of its recorders: it counts nothing."""

    def __call__(self, module: object, arguments: object, output: object) -> None:
        """Stand in for a forward hook."""

    def record(self) -> None:
        """Stand in for a monitor of BindsNET."""

    def reset_state_variables(self) -> None:
        """Stand in for a monitor of BindsNET."""


class _Recorder:
    """Counts one layer: a forward hook of torch and a monitor of BindsNET in one.

    Copied or pickled with the model that it is attached to, it becomes inert.
    """

    def __init__(self, layer: WatchedLayer, reads_membrane: bool) -> None:
        self.is_paused = False
        self._peak = PeakRecorder(membrane_of(layer)) if reads_membrane else None
        self.has_run = False
        self._n_samples = 0
        self._layer = layer
        # SpikingJelly switches the layout of a module that is being used.
        self._step_mode = getattr(layer.module, "step_mode", None)
        self._is_plain = self._peak is None and self._step_mode is None
        self._n_proofs = 0
        self.is_proven = False
        self._counted: list[BatchCount] = []
        self._shape: torch.Size | None = None
        self._dtype: torch.dtype | None = None
        self._steps: tuple[Tensor, ...] = ()
        self._n_steps = 0

    def __reduce__(self) -> tuple[type[_Inert], tuple[()]]:
        return (_Inert, ())

    def __call__(self, module: torch.nn.Module, arguments: object, output: object) -> None:
        """Count what the module returned; the first of several tensors are the spikes."""
        if self.is_paused or not module.training or graph_task() != -1:
            return  # in a backward pass a forward call is that of gradient checkpointing
        if module is not self._layer.module:
            self._refuse_replica(module)
        if (
            self._is_plain
            and self._n_steps
            and output.__class__ is Tensor
            and output.shape == self._shape
            and output.dtype is self._dtype
        ):
            self._keep_step(output.detach())  # as nearly all calls do, so this has to be quick
            return
        if self._step_mode is not None and module.step_mode != self._step_mode:
            self._refuse_new_step_mode()
        spikes = output[0] if isinstance(output, tuple | list) and output else output
        if isinstance(spikes, Tensor):
            self._count(spikes.detach())
            if self._peak is not None:
                self._peak.record()
        else:
            raise TypeError(
                f"Layer {self._layer.name!r}, {type(module).__name__}, returned "
                f"{type(output).__name__}; a watched layer must return a tensor of spikes, or a "
                "tuple that begins with one. Watch the module within that emits the spikes, or "
                "count them and pass monitor.update(layer, counts)."
            )

    def record(self) -> None:
        """Count the spikes that the layer holds; BindsNET calls this after each step."""
        if not self.is_paused and self._layer.module.training:
            spikes: Any = self._layer.module.s
            self._count(spikes.detach())
            if self._peak is not None:
                self._peak.record()

    def reset_state_variables(self) -> None:
        """BindsNET calls this at each reset, which is before `take` as a rule: nothing to do."""

    def take(self) -> BatchCount | None:
        """Return the count since the last take, None if there was no call."""
        self._count_steps()
        counted, self._counted, self.has_run = self._counted, [], False
        return total(counted) if counted else None

    def take_peak(self) -> Tensor | None:
        """Return the depolarisation since the last take; None where it is not read."""
        return None if self._peak is None else self._peak.take()

    def prove(self, *, has_fired: bool) -> None:
        """Note that a batch was taken that held zeros and ones alone, with some ones or none."""
        self._n_proofs += 1
        self.is_proven |= has_fired or self._n_proofs >= MOST_PROOFS

    def _count(self, spikes: Tensor) -> None:
        if self._n_steps and spikes.shape == self._shape and spikes.dtype == self._dtype:
            self._keep_step(spikes)
            return
        layer = self._layer
        refuse_unreadable(spikes, layer.name)
        n_samples = n_samples_of(spikes, layer.axes, layer.name)
        if self.has_run and n_samples != self._n_samples:
            raise ValueError(
                f"Layer {layer.name!r} saw {n_samples} samples after {self._n_samples} in the "
                f"same batch, with axes {layer.axes!r}. Call monitor.update() after each batch; "
                "if the axes are others, declare them in monitor.watch()."
            )
        self._n_samples, self.has_run = n_samples, True
        self._count_steps()
        if layer.axes == "batch ..." and spikes.numel() <= CHUNK_VALUES // 2:
            if spikes.shape != self._shape or spikes.dtype != self._dtype:
                self._make_chunk(spikes)
            self._keep_step(spikes)
        else:
            self._counted.append(count_spikes(spikes, layer.axes))

    def _make_chunk(self, spikes: Tensor) -> None:
        """Make room for more steps like this one."""
        self._shape, self._dtype = spikes.shape, spikes.dtype
        n_steps = min(CHUNK_STEPS, CHUNK_VALUES // max(1, spikes.numel()))
        # A tensor made in inference mode could not be written to outside it.
        with torch.inference_mode(False):
            self._chunk = spikes.new_empty((n_steps, *spikes.shape))
        self._steps = self._chunk.unbind()

    def _keep_step(self, spikes: Tensor) -> None:
        """Copy the step: whoever emitted it may go on to change it."""
        self._steps[self._n_steps].copy_(spikes)
        self._n_steps += 1
        if self._n_steps == len(self._steps):
            self._count_steps()

    def _count_steps(self) -> None:
        if self._n_steps:
            steps = self._chunk[: self._n_steps]
            self._counted.append(
                count_spikes(steps, "time batch ...", is_step_enough=self.is_proven)
            )
            self._n_steps = 0

    def _refuse_replica(self, module: torch.nn.Module) -> None:
        raise ValueError(
            f"Layer {self._layer.name!r} runs as a copy of the {type(module).__name__} that is "
            "watched, as torch.nn.DataParallel makes one for each device: its samples cannot be "
            "told from further steps of the others'. Train on one device, or let each of them "
            "run a trial of its own (optuna-snn run --devices all); or count the spikes of the "
            "gathered output and pass monitor.update(layer, counts)."
        )

    def _refuse_new_step_mode(self) -> None:
        raise ValueError(
            f"The step mode of layer {self._layer.name!r} has changed since monitor.watch() was "
            f"called, when it was {self._step_mode!r} ({known_axes(self._layer.module)!r} now). "
            "Set it before: functional.set_step_mode(model, ...)."
        )
