"""The network with inhibition by distance, simulated by BindsNET; `stdp_engine.distance` says how.

BindsNET's own parts do it: `AdaptiveLIFNodes`, of which all that are at their threshold fire, and
a matrix of weights. Only that the network comes to rest within a sample is added.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from optuna_snn.backends import bindsnet
from optuna_snn.objectives.stdp.diehl_cook import (
    DiehlCookConfig,
    DiehlCookNetwork,
    connected,
    excitatory_layer,
)
from optuna_snn.objectives.stdp.distance.config import DistanceConfig

__all__ = ["DistanceNetwork", "distances"]


class DistanceNetwork(DiehlCookNetwork):
    """A network in BindsNET, as `DiehlCookNetwork` but for its neurons and its inhibition.

    Args:
        config: its parameters.
        n_inputs, rng, device: as there. The network itself draws nothing from rng.
    """

    def __init__(
        self,
        config: DistanceConfig,
        *,
        n_inputs: int,
        rng: np.random.Generator,
        device: torch.device | str = "cpu",
    ) -> None:
        self._reset_interval = config.reset_interval_ms
        self._tc_trace_ms = float(config.e_tc_trace_ms)
        super().__init__(config, n_inputs=n_inputs, rng=rng, device=device)

    def _build(self, config: DiehlCookConfig, weights: torch.Tensor) -> Any:
        nodes = bindsnet.load().nodes
        excitatory = excitatory_layer(
            nodes.AdaptiveLIFNodes, config, tc_trace_ms=self._tc_trace_ms
        )
        inhibition = -config.strength_inh_mv * torch.from_numpy(distances(config.map_size))
        return connected(config, weights, excitatory, inhibition=inhibition)

    def _further_monitors(self) -> dict[str, Any]:
        return {"rest": _Rester(self._network, self._reset_interval)}


class _Rester:
    """Brings the layers to rest after every so many steps; BindsNET takes it for a monitor."""

    def __init__(self, network: Any, interval: int) -> None:
        self._layers = list(network.layers.values())
        self._interval = interval
        self._n_steps = 0

    def record(self) -> None:
        self._n_steps += 1
        if self._n_steps % self._interval == 0:
            for layer in self._layers:
                layer.reset_state_variables()

    def reset_state_variables(self) -> None:
        """BindsNET calls this when a batch of another size begins, and after each batch."""


def distances(n: int) -> NDArray[np.float32]:
    """(n, n) distances of neurons in a row, in parts of the largest."""
    place = np.arange(n, dtype=np.float32)
    parts: NDArray[np.float32] = np.abs(place[:, None] - place) / np.float32(max(n - 1, 1))
    return parts
