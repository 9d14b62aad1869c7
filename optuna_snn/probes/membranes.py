"""How near layers came to firing, read from their membrane potentials step by step.

Glossary
    v               membrane potentials after a step, (n_samples, ...) or (n_steps, n_samples, ...)
    rest, threshold of the neurons: a number, or a tensor that broadcasts to v
    depolarisation  largest (v - rest) / (threshold - rest) of each sample, over neurons and steps,
                    (n_samples,) float; 1 where the threshold is not above rest

A potential is read after the step, when a neuron that fired was reset: the depolarisation is that
of samples without a spike. Those with spikes have reached the threshold. A threshold that adapts
is that after the step, too.

Nothing here waits for the device. Steps are copied, and many of them compared at once, as spikes
are (`watching`).
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from optuna_snn.probes.counting import CHUNK_STEPS, CHUNK_VALUES
from optuna_snn.probes.layers import WatchedLayer, classes_of, known_axes

Potential = Callable[[], Any]


@dataclass(frozen=True)
class Membrane:
    """Where the potentials of a layer are found; each is asked after a step.

    adaptation: what is added to the thresholds and changes from step to step, (...); None: nothing
    is_sequence: whether v has an axis of time
    """

    v: Potential
    rest: Potential
    threshold: Potential
    adaptation: Potential | None = None
    is_sequence: bool = False


def membrane_names(
    layers: Sequence[WatchedLayer], membranes: bool | Collection[str]
) -> Collection[str]:
    """The layers whose potentials are asked for: all, none, or those named, which must exist."""
    names = [layer.name for layer in layers]
    if isinstance(membranes, bool):
        return names if membranes else []
    if isinstance(membranes, str) or not set(membranes) <= set(names):
        raise ValueError(
            f"membranes must be True, False or names of watched layers, got {membranes!r}; "
            f"watched are {', '.join(map(repr, names))}."
        )
    return membranes


def membrane_of(layer: WatchedLayer) -> Membrane:
    """Return where the layer's potentials are found; ValueError if they cannot be read."""
    module: Any = layer.module
    packages = {package for package, _ in classes_of(module)}
    if known_axes(module) == layer.axes:  # the potentials have the axes of the spikes then
        if "bindsnet" in packages and _has(module, "v", "thresh"):
            return bindsnet_membrane(module)
        if "snntorch" in packages and _has(module, "mem", "threshold"):
            return Membrane(lambda: module.mem, lambda: 0.0, lambda: module.threshold)
        if "spikingjelly" in packages and _has(module, "v", "v_threshold"):
            return _spikingjelly_membrane(module, layer.name)
    raise ValueError(
        f"The membrane potentials of layer {layer.name!r}, {type(module).__name__}, cannot be "
        "read. They can be of BindsNET's nodes, of snnTorch's neurons that keep their `mem`, and "
        "of SpikingJelly's nodes, with the axes that these have. Call monitor.watch() without "
        "membranes, or compute gaps and pass monitor.update(layer, counts, gaps=...)."
    )


def bindsnet_membrane(nodes: Any) -> Membrane:
    """Return where BindsNET's nodes have their potentials.

    Nodes without a resting potential start from their reset potential, or from 0.
    """
    return Membrane(
        v=lambda: nodes.v,
        rest=lambda: getattr(nodes, "rest", getattr(nodes, "reset", 0.0)),
        threshold=lambda: nodes.thresh,
        adaptation=(lambda: nodes.theta) if hasattr(nodes, "theta") else None,
    )


def _spikingjelly_membrane(node: Any, name: str) -> Membrane:
    is_sequence = node.step_mode == "m"
    if is_sequence and not getattr(node, "store_v_seq", False):
        raise ValueError(
            f"Layer {name!r}, {type(node).__name__}, keeps the last of its membrane potentials "
            "only. Make it with store_v_seq=True, or set layer.store_v_seq = True, so that all "
            "steps of a multi-step call can be read; or call monitor.watch() without membranes."
        )
    return Membrane(
        v=(lambda: node.v_seq) if is_sequence else (lambda: node.v),
        rest=lambda: getattr(node, "v_reset", None) or 0.0,
        threshold=lambda: node.v_threshold,
        is_sequence=is_sequence,
    )


def depolarisation(v: Tensor, rest: Tensor | float, threshold: Tensor | float) -> Tensor:
    """Return the depolarisation of each sample, (n_samples,); 0 of samples without neurons.

    1 where a neuron has its threshold not above rest.
    v: (n_steps, n_samples, ...); rest, threshold: of neurons, and perhaps steps; broadcast to it
    """
    if v.numel() == 0:
        return v.new_zeros(v.shape[1])
    span = torch.as_tensor(threshold - rest, device=v.device)
    peak = (v - rest).div_(span).amax(0).flatten(1).amax(1)  # quicker than both axes at once
    return torch.where((span <= 0).any(), 1.0, peak)


class PeakRecorder:
    """Keeps the depolarisation of one layer while samples are presented.

    Where thresholds stay, the largest potential of each neuron is all there is to keep. Where they
    adapt, steps are copied and many of them compared at once.

    BindsNET may have it as a monitor: it has `record` and `reset_state_variables`.
    """

    def __init__(self, membrane: Membrane) -> None:
        self._membrane = membrane
        self._found: list[Tensor] = []
        self._peak: Tensor | None = None
        self._steps: tuple[Tensor, ...] = ()
        self._adaptations: tuple[Tensor, ...] = ()
        self._n_steps = 0

    def record(self) -> None:
        """Take in the potentials after a step, or after a sequence of steps."""
        v = self._membrane.v().detach()
        if self._membrane.adaptation is not None:
            self._keep_step(v, self._membrane.adaptation())
            return
        if self._membrane.is_sequence:
            v = v.amax(0)
        if self._peak is not None and v.shape == self._peak.shape and v.dtype == self._peak.dtype:
            torch.maximum(self._peak, v, out=self._peak)
            return
        self._compare()
        self._begin()
        with torch.inference_mode(False):  # what is made in that mode is not written to outside
            self._peak = v.clone()

    def reset_state_variables(self) -> None:
        """BindsNET calls this at each reset: nothing to do."""

    def take(self) -> Tensor | None:
        """Return the depolarisation since the last take, (n_samples,); None if nothing ran."""
        self._compare()
        found, self._found = self._found, []
        return torch.stack(found).amax(0) if found else None

    def taken_on_host(self) -> NDArray[np.float32]:
        """The same on the host, which this waits for; there must have been a step."""
        peak = self.take()
        assert peak is not None
        values: NDArray[np.float32] = peak.cpu().numpy()
        return values

    def _begin(self) -> None:
        """Note rest and threshold, which an optimizer may have changed before `take`."""
        limits = self._membrane.rest(), self._membrane.threshold()
        self._rest, self._threshold = (
            each.detach().clone() if isinstance(each, Tensor) else each for each in limits
        )

    def _keep_step(self, v: Tensor, adaptation: Tensor) -> None:
        """Copy the step: whoever holds it may go on to change it."""
        if not (self._n_steps and v.shape == self._steps[0].shape):
            self._compare()
            self._begin()
            if not (self._steps and v.shape == self._steps[0].shape):
                self._make_chunk(v, adaptation)
        self._steps[self._n_steps].copy_(v)
        self._adaptations[self._n_steps].copy_(adaptation)
        self._n_steps += 1
        if self._n_steps == len(self._steps):
            self._compare()

    def _make_chunk(self, v: Tensor, adaptation: Tensor) -> None:
        """Make room for more steps like this one."""
        n_steps = max(1, min(CHUNK_STEPS, CHUNK_VALUES // max(1, v.numel())))
        with torch.inference_mode(False):
            self._chunk = v.new_empty((n_steps, *v.shape))
            self._adapted = adaptation.new_empty((n_steps, 1, *adaptation.shape))
        self._steps, self._adaptations = self._chunk.unbind(), self._adapted.unbind()

    def _compare(self) -> None:
        """Compare what was kept with the thresholds, and keep the depolarisation in its place."""
        if self._n_steps:
            threshold = self._threshold + self._adapted[: self._n_steps]
            kept = self._chunk[: self._n_steps]
            self._found.append(depolarisation(kept, self._rest, threshold))
            self._n_steps = 0
        if self._peak is not None:
            self._found.append(depolarisation(self._peak[None], self._rest, self._threshold))
            self._peak = None


def _has(module: Any, *names: str) -> bool:
    return all(hasattr(module, name) for name in names)
