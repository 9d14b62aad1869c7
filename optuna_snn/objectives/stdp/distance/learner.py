"""The network with inhibition by distance as the STDP objective asks for it, in both engines."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from optuna_snn.objectives.stdp.compiled import CompiledLearning
from optuna_snn.objectives.stdp.distance.bindsnet_network import DistanceNetwork
from optuna_snn.objectives.stdp.distance.config import DistanceConfig
from optuna_snn.objectives.stdp.distance.rules import distance_rules_of
from optuna_snn.objectives.stdp.networks import Fired
from optuna_snn.objectives.stdp.simulated import recorded
from optuna_snn.spikes.gaps import gaps_of
from optuna_snn.stdp_engine import LearnedState, list_spikes
from optuna_snn.stdp_engine.distance import (
    learn_by_distance,
    record_by_distance,
    respond_by_distance,
)

__all__ = ["CompiledDistance", "DistanceLearner", "SimulatedDistance"]

LAYERS = ("excitatory", "inhibitory")
RESPONSE_BATCH = 16
"""Samples presented at once with learning off, where a batch changes speed and memory only."""


class CompiledDistance(CompiledLearning):
    """A network in the compiled engine, on the CPU and in one thread.

    From the same spikes and rng it learns what `SimulatedDistance` learns, up to rounding.

    Args:
        config: its parameters.
        n_inputs: inputs, of frames channels, rows and columns together.
        rng: source of the initial weights, uniform on [0, 0.3) before they are normalised.
    """

    def __init__(self, config: DistanceConfig, *, n_inputs: int, rng: np.random.Generator) -> None:
        self._rules = distance_rules_of(config)
        super().__init__((n_inputs, config.map_size), norm=config.norm, rng=rng)

    def learn(
        self, spikes: NDArray[np.bool_], *, batch_size: int, reads_membranes: bool = False
    ) -> Fired:
        """Learn from samples (n_samples, n_steps, n_inputs), batch_size at once."""
        self._learned, presented = learn_by_distance(
            self._rules,
            self._learned,
            list_spikes(spikes.transpose(1, 0, 2)),
            batch_size=batch_size,
            reads_peaks=reads_membranes,
        )
        both = presented.n_excitatory, presented.n_inhibitory
        counts = dict(zip(LAYERS, both, strict=True))
        if presented.peaks is None:
            return Fired(counts)
        peaks = zip(LAYERS, presented.peaks.T, strict=True)
        return Fired(counts, {name: gaps_of(peak, counts[name]) for name, peak in peaks})

    def respond(self, spikes: NDArray[np.bool_]) -> NDArray[np.bool_]:
        """Excitatory spikes (n_samples, n_steps, map_size) for samples, with learning off."""
        lists = list_spikes(spikes.transpose(1, 0, 2))
        return respond_by_distance(self._rules, self._learned, lists).excitatory

    def record(self, spikes: NDArray[np.bool_]) -> dict[str, NDArray[np.bool_]]:
        """Layer -> (n_samples, n_steps, map_size) spikes for a few samples, with learning off.

        The network is as before, bit by bit.
        """
        lists = list_spikes(spikes.transpose(1, 0, 2))
        fired = record_by_distance(self._rules, self._learned, lists)
        return dict(zip(LAYERS, fired, strict=True))


class SimulatedDistance:
    """The same in BindsNET, on the device that is given.

    Raises MissingPackageError if BindsNET is not installed.
    """

    def __init__(
        self,
        config: DistanceConfig,
        *,
        n_inputs: int,
        rng: np.random.Generator,
        device: str = "cpu",
    ) -> None:
        self._network = DistanceNetwork(config, n_inputs=n_inputs, rng=rng, device=device)

    @property
    def learned(self) -> LearnedState:
        """What outlives a sample, copied."""
        return self._network.learned

    def restore(self, learned: LearnedState) -> None:
        """Go on from what was learnt elsewhere; ValueError for arrays of other shapes."""
        self._network.restore(learned)

    def learn(
        self, spikes: NDArray[np.bool_], *, batch_size: int, reads_membranes: bool = False
    ) -> Fired:
        """Learn from samples (n_samples, n_steps, n_inputs), batch_size at once."""
        batches = []
        for batch in np.split(spikes, range(batch_size, len(spikes), batch_size)):
            fired = self._network.learn(
                batch.transpose(1, 0, 2), _no_draws(), reads_membranes=reads_membranes
            )
            batches.append(Fired(fired.counts, fired.gaps))
        return Fired.concatenate(batches)

    def respond(self, spikes: NDArray[np.bool_]) -> NDArray[np.bool_]:
        """Excitatory spikes (n_samples, n_steps, map_size) for samples, with learning off."""
        parts = [
            self._network.respond(batch.transpose(1, 0, 2), _no_draws()).excitatory
            for batch in np.split(spikes, range(RESPONSE_BATCH, len(spikes), RESPONSE_BATCH))
        ]
        return np.concatenate(parts, axis=1).transpose(1, 0, 2)

    def record(self, spikes: NDArray[np.bool_]) -> dict[str, NDArray[np.bool_]]:
        """As `CompiledDistance.record`."""
        return recorded(self._network, spikes.transpose(1, 0, 2), _no_draws())


DistanceLearner = CompiledDistance | SimulatedDistance


def _no_draws() -> np.random.Generator:
    """`DiehlCookNetwork` asks for a source of draws; these neurons draw nothing."""
    return np.random.default_rng(0)
