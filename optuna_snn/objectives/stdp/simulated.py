"""The network of Diehl & Cook in BindsNET, as the STDP objective asks for it."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray

from optuna_snn.objectives.decoders import SpikeTrains
from optuna_snn.objectives.encoding import poisson_spikes
from optuna_snn.objectives.stdp.diehl_cook import DiehlCookConfig, DiehlCookNetwork
from optuna_snn.objectives.stdp.networks import Fired
from optuna_snn.stdp_engine import LearnedState

__all__ = ["SimulatedNetwork", "recorded"]

RESPONSE_BATCH = 100
"""Samples presented at once with learning off, where a batch changes speed and memory only."""


class SimulatedNetwork:
    """A `Network` that BindsNET simulates; `DiehlCookNetwork` says how.

    Raises MissingPackageError if BindsNET is not installed.
    """

    def __init__(
        self,
        config: DiehlCookConfig,
        *,
        n_inputs: int,
        rng: np.random.Generator,
        device: torch.device | str = "cpu",
    ) -> None:
        self._network = DiehlCookNetwork(config, n_inputs=n_inputs, rng=rng, device=device)

    @property
    def learned(self) -> LearnedState:
        """See `Network`."""
        return self._network.learned

    def restore(self, learned: LearnedState) -> None:
        """See `Network`."""
        self._network.restore(learned)

    def learn(
        self,
        rates_hz: NDArray[np.floating],
        *,
        n_steps: int,
        batch_size: int,
        rng: np.random.Generator,
        reads_membranes: bool = False,
    ) -> Fired:
        """See `Network`."""
        batches = []
        for rates in np.split(rates_hz, range(batch_size, len(rates_hz), batch_size)):
            spikes = poisson_spikes(rates, n_steps=n_steps, rng=rng)
            fired = self._network.learn(spikes, rng, reads_membranes=reads_membranes)
            batches.append(Fired(fired.counts, fired.gaps))
        return Fired.concatenate(batches)

    def respond(
        self, rates_hz: NDArray[np.floating], *, n_steps: int, rng: np.random.Generator
    ) -> SpikeTrains:
        """See `Network`."""
        parts = []
        for rates in np.split(rates_hz, range(RESPONSE_BATCH, len(rates_hz), RESPONSE_BATCH)):
            spikes = poisson_spikes(rates, n_steps=n_steps, rng=rng)
            parts.append(SpikeTrains.from_dense(self._network.respond(spikes, rng).excitatory))
        return SpikeTrains.concatenate(parts)

    def record(
        self, rates_hz: NDArray[np.floating], *, n_steps: int, rng: np.random.Generator
    ) -> dict[str, NDArray[np.bool_]]:
        """See `Network`."""
        spikes = poisson_spikes(rates_hz, n_steps=n_steps, rng=rng)
        return recorded(self._network, spikes, rng)


def recorded(
    network: DiehlCookNetwork, spikes: NDArray[np.bool_], rng: np.random.Generator
) -> dict[str, NDArray[np.bool_]]:
    """Layer -> (n_samples, n_steps, map_size) spikes, with learning off.

    spikes: (n_steps, n_samples, n_inputs). The network is as before, bit by bit.
    """
    learned = network.learned
    fired = network.respond(spikes, rng)
    network.restore(learned)  # BindsNET normalises here as well, which rounds the weights
    both = {"excitatory": fired.excitatory, "inhibitory": fired.inhibitory}
    return {layer: each.transpose(1, 0, 2) for layer, each in both.items()}
