"""The networks of `plan`, assembled from lava-dl's blocks for SLAYER.

All layers, pools too, are adaptive leaky integrate-and-fire neurons with the same parameters. A
pool's neurons add up the spikes of their window. Convolutions have learnt axonal delays;
convolutions and the hidden layer have dropout. A spike reaches the next layer in the step after.

Spikes are (batch, channels, height, width, time), behind a dense layer (batch, neurons, time).

The weights, their quantisation, spikes and surrogate gradients are lava-dl's; membrane dynamics
are those of `dynamics`, which gives the same numbers sooner.

Departures from lava-dl, beside those of `modules`:
    1. Thresholds are rounded to its grid of 1/64; it truncates them.
    2. Initial weights and delays come from the generator that is passed in.

[lava-dl] SLAYER: Shrestha & Orchard 2018, arXiv:1810.08646
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from optuna_snn.backends import lava_dl
from optuna_snn.objectives.global_generator import seeded_global_generator
from optuna_snn.objectives.slayer.config import THRESHOLD_GRID, SLAYERConfig
from optuna_snn.objectives.slayer.dynamics import quicken
from optuna_snn.objectives.slayer.modules import AxonalDelay, NeuronDropout, SumPool
from optuna_snn.objectives.slayer.plan import Layer, Shape

__all__ = ["SLAYERNetwork"]


class SLAYERNetwork(nn.Module):
    """A network of SLAYER blocks, made ready to be trained on a device.

    Args:
        plan: its layers, of `plan.plan_network`.
        config: parameters of the neurons, and dropout.
        input_shape: of the samples.
        rng: source of the initial weights and delays, and of dropout.
        device: where torch simulates it.

    Raises MissingPackageError if lava-dl is not installed.
    """

    def __init__(
        self,
        plan: tuple[Layer, ...],
        config: SLAYERConfig,
        input_shape: Shape,
        *,
        rng: np.random.Generator,
        device: torch.device | str = "cpu",
    ) -> None:
        super().__init__()
        self.device = torch.device(device)
        self.dropout_generator = torch.Generator(self.device)
        self.dropout_generator.manual_seed(int(rng.integers(2**63)))
        self._dense = {layer.name for layer in plan if layer.kind == "dense"}
        blocks, axons = {}, {}
        shape = input_shape
        # lava-dl's constructors draw weights from the global generator.
        with seeded_global_generator(int(rng.integers(2**63)), torch.device("cpu")):
            for layer in plan:
                blocks[layer.name] = _block(layer, config, shape)
                quicken(blocks[layer.name].neuron)
                axons[layer.name] = self._axons(layer, config)
                shape = layer.shape
        self.blocks, self.axons = nn.ModuleDict(blocks), nn.ModuleDict(axons)
        self.to(self.device)

    @property
    def layer_names(self) -> tuple[str, ...]:
        """Its layers, from the inputs to the output."""
        return tuple(self.blocks)

    def forward(self, x: Tensor) -> Tensor:
        """Output spikes (batch, n_classes, time) for input spikes (batch, C, H, W, time)."""
        for _, fired in self._spikes(x):
            output = fired
        return output

    def respond(self, x: Tensor) -> tuple[Tensor, dict[str, Tensor]]:
        """The same output, and layer -> (batch,) spikes of each sample."""
        counts = {}
        for name, fired in self._spikes(x):
            counts[name] = fired.flatten(1).sum(1)
        return fired, counts

    def _spikes(self, x: Tensor) -> Iterator[tuple[str, Tensor]]:
        """What each layer fires, in the steps in which it reaches its axons."""
        for name, block in self.blocks.items():
            if name in self._dense:
                x = x.flatten(1, -2)
            fired = block(x)
            yield name, fired
            x = self.axons[name](fired)

    def _axons(self, layer: Layer, config: SLAYERConfig) -> nn.Sequential:
        """What happens to the spikes of a layer on their way to the next one."""
        parts: list[nn.Module] = []
        if layer.has_dropout:
            parts.append(NeuronDropout(config.dropout, self.dropout_generator))
        if layer.kind == "conv":
            parts.append(AxonalDelay(torch.rand(layer.shape[0])))
        return nn.Sequential(*parts)


def _block(layer: Layer, config: SLAYERConfig, input_shape: Shape) -> Any:
    """The block of lava-dl for a layer that gets spikes of `input_shape`."""
    alif = lava_dl.load().block.alif
    if layer.kind == "conv":
        return alif.Conv(
            _neuron(config, learns=True),
            in_features=input_shape[0],
            out_features=layer.shape[0],
            kernel_size=layer.kernel,
            padding=layer.padding,
        )
    if layer.kind == "pool":
        block = alif.Pool(_neuron(config, learns=False), kernel_size=layer.kernel)
        block.synapse = SumPool(layer.kernel, layer.stride)
        return block
    n_inputs = int(np.prod(input_shape))
    return alif.Dense(_neuron(config, learns=True), n_inputs, layer.shape[0])


def _neuron(config: SLAYERConfig, *, learns: bool) -> dict[str, Any]:
    """Parameters of lava-dl's ALIF neurons; a dict for each block, since blocks change theirs.

    learns: whether the decays of current and voltage are trained, too
    """
    return {
        "threshold": _on_grid(config.threshold),
        "threshold_step": _on_grid(config.threshold_step),
        "current_decay": float(config.current_decay),
        "voltage_decay": float(config.voltage_decay),
        "threshold_decay": float(config.threshold_decay),
        "refractory_decay": float(config.refractory_decay),
        "tau_grad": float(config.tau_grad),
        "scale_grad": float(config.scale_grad),
        "requires_grad": learns,
    }


def _on_grid(threshold: float) -> float:
    """The nearest value that lava-dl represents exactly."""
    return round(threshold / THRESHOLD_GRID) * THRESHOLD_GRID
