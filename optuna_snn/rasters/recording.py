"""Records the spikes of one sample of each batch, while a model trains, within bounds.

Of each batch the first sample is kept until the next batch begins: at the end, those of the last
one are there. What is counted by a `probes.watching.Watch` is recorded, and nothing else: calls in
eval mode, in blocks `paused` and in the backward pass are not. Of a module that runs at several
widths, the calls of the batch's first width are recorded. Nothing here waits for the device
before `rasters`.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor

from optuna_snn.probes.counting import Axes
from optuna_snn.probes.layers import WatchedLayer
from optuna_snn.probes.watching import Watch, graph_task
from optuna_snn.rasters.record import SpikeRaster, stride_of

__all__ = ["Recording"]


class Recording:
    """Records the layers of a watch from when it is made until `remove`.

    watch:       what counts the spikes of these layers
    dt_ms:       milliseconds of a time step; None where that is not known
    max_neurons: of a layer with more, an even selection is recorded
    max_steps:   the first ones of a sample that are recorded
    """

    def __init__(
        self, watch: Watch, *, dt_ms: float | None, max_neurons: int, max_steps: int
    ) -> None:
        self._dt_ms = dt_ms
        self._recorders = [
            _Recorder(watch, layer, max_neurons, max_steps) for layer in watch.layers
        ]
        self._handles: list[torch.utils.hooks.RemovableHandle] = []
        for recorder in self._recorders:
            layer = recorder.layer
            if layer.monitors is None:
                self._handles.append(layer.module.register_forward_hook(recorder))
            else:
                layer.monitors[_key(recorder)] = recorder

    def end_batch(self) -> None:
        """What the layers emit from now on belongs to other samples."""
        for recorder in self._recorders:
            recorder.is_batch_over = True

    def rasters(self) -> list[SpikeRaster]:
        """The spikes of the first sample of the last batch, of the layers that ran."""
        found = (recorder.raster(self._dt_ms) for recorder in self._recorders)
        return [raster for raster in found if raster is not None]

    def remove(self) -> None:
        """Leave the model as it was; a second call does nothing."""
        for handle in self._handles:
            handle.remove()
        for recorder in self._recorders:
            if recorder.layer.monitors is not None:
                recorder.layer.monitors.pop(_key(recorder), None)


def first_sample(spikes: Tensor, axes: Axes) -> Tensor:
    """The first sample of what a layer emitted, (n_steps, n_neurons)."""
    match axes:
        case "batch ...":
            return spikes[0].reshape(1, -1)
        case "time batch ...":
            return spikes[:, 0].reshape(spikes.shape[0], -1)
        case "batch time ...":
            return spikes[0].reshape(spikes.shape[1], -1)
        case "batch ... time":
            return spikes[0].reshape(-1, spikes.shape[-1]).T


class _Recorder:
    """Records one layer: a forward hook of torch and a monitor of BindsNET in one."""

    def __init__(
        self, watch: Watch, layer: WatchedLayer, max_neurons: int, max_steps: int
    ) -> None:
        self.layer = layer
        self.is_batch_over = False
        self._watch = watch
        self._max_neurons, self._max_steps = max_neurons, max_steps
        self._steps: list[Tensor] = []
        self._n_steps = 0
        self._n_neurons = 0
        self._stride = 1

    def __reduce__(self) -> tuple[type[_Inert], tuple[()]]:
        # Copied or pickled with the model that it is attached to, it records nothing.
        return (_Inert, ())

    def __call__(self, module: torch.nn.Module, arguments: object, output: object) -> None:
        """Record what the module returned; the first of several tensors are the spikes."""
        spikes = output[0] if isinstance(output, tuple | list) and output else output
        if module.training and graph_task() == -1 and isinstance(spikes, Tensor):
            self._keep(spikes)

    def record(self) -> None:
        """Record the spikes that the layer holds; BindsNET calls this after each step."""
        if self.layer.module.training:
            spikes: Any = self.layer.module.s
            self._keep(spikes)

    def reset_state_variables(self) -> None:
        """BindsNET calls this at each reset: nothing to do."""

    def raster(self, dt_ms: float | None) -> SpikeRaster | None:
        """The record of the last batch; None where the layer did not run."""
        if not self._steps:
            return None
        table = torch.cat(self._steps).cpu().numpy()
        steps, neurons = np.nonzero(table)
        return SpikeRaster(
            layer=self.layer.name,
            steps=steps,
            neurons=neurons * self._stride,
            n_steps=table.shape[0],
            n_neurons=table.shape[1],
            dt_ms=dt_ms,
            stride=self._stride,
            is_cut=self._n_steps > self._max_steps,
        )

    def _keep(self, spikes: Tensor) -> None:
        if self._watch.is_paused or spikes.ndim < 2 or spikes.numel() == 0:
            return  # what cannot be read is refused by the watch
        if self.is_batch_over:
            self._steps, self._n_steps, self.is_batch_over = [], 0, False
        n_before = self._n_steps
        sample = first_sample(spikes.detach(), self.layer.axes)
        if n_before and sample.shape[1] != self._n_neurons:
            return
        self._n_neurons = sample.shape[1]
        self._n_steps += sample.shape[0]
        if n_before < self._max_steps:
            self._stride = stride_of(sample.shape[1], self._max_neurons)
            # A comparison copies: whoever emitted the spikes may go on to change them.
            kept = sample[: self._max_steps - n_before, :: self._stride] > 0.5
            self._steps.append(kept)


class _Inert:
    """What a copy of a recorded model has in place of its recorders."""

    def __call__(self, module: object, arguments: object, output: object) -> None:
        """Stand in for a forward hook."""

    def record(self) -> None:
        """Stand in for a monitor of BindsNET."""

    def reset_state_variables(self) -> None:
        """Stand in for a monitor of BindsNET."""


def _key(recorder: _Recorder) -> str:
    return f"optuna_snn raster:{recorder.layer.name}:{id(recorder)}"
