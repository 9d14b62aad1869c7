"""What the STDP objective asks of a network, whichever engine computes it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from optuna_snn.objectives.decoders import SpikeTrains
from optuna_snn.stdp_engine import LearnedState

__all__ = ["Fired", "Network"]


@dataclass(frozen=True)
class Fired:
    """What the layers of a network fired while it learnt.

    counts: layer -> (n_samples,) spikes of each sample
    gaps:   layer -> (n_samples,) how far the layer stayed from firing; None if that was not read
    """

    counts: Mapping[str, NDArray[np.int64]]
    gaps: Mapping[str, NDArray[np.float64]] | None = None

    @classmethod
    def concatenate(cls, parts: Sequence[Fired]) -> Fired:
        """Put the samples of several parts in a row; gaps were read in all of them or in none."""
        gaps = [part.gaps for part in parts if part.gaps is not None]
        return cls(_joined([part.counts for part in parts]), _joined(gaps) if gaps else None)


class Network(Protocol):
    """A Diehl & Cook network. Every sample starts from rest, with what was learnt so far.

    rates_hz: (n_samples, n_inputs) of the inputs' Poisson trains
    n_steps:  steps of 1 ms that a sample is shown for
    rng:      source of all randomness
    """

    @property
    def learned(self) -> LearnedState:
        """A copy of the weights and of what thresholds have adapted by: all that outlives samples.

        With these restored, and the generator's state, training goes on as if never interrupted.
        """

    def restore(self, learned: LearnedState) -> None:
        """Go on from what was learnt elsewhere; ValueError for arrays of other shapes."""

    def learn(
        self,
        rates_hz: NDArray[np.floating],
        *,
        n_steps: int,
        batch_size: int,
        rng: np.random.Generator,
        reads_membranes: bool = False,
    ) -> Fired:
        """Learn from the samples, batch by batch.

        batch_size:      samples that are shown at once: they share weights and thresholds, and
                         their changes are summed. After each batch the weights are normalised
        reads_membranes: whether the gaps are read as well, which changes nothing else
        """

    def respond(
        self, rates_hz: NDArray[np.floating], *, n_steps: int, rng: np.random.Generator
    ) -> SpikeTrains:
        """The excitatory spikes for the samples, with learning off."""

    def record(
        self, rates_hz: NDArray[np.floating], *, n_steps: int, rng: np.random.Generator
    ) -> Mapping[str, NDArray[np.bool_]]:
        """Layer -> (n_samples, n_steps, n_neurons) spikes for a few samples, with learning off.

        Input spikes and draws are those of `respond`. The network is as before, bit by bit.
        """


def checked_learned(learned: LearnedState, n_inputs: int, map_size: int) -> LearnedState:
    """Return it as float32; ValueError unless the shapes are those of the network."""
    weights, theta_mv = (np.array(each, dtype=np.float32, order="C") for each in learned)
    if weights.shape != (n_inputs, map_size) or theta_mv.shape != (map_size,):
        raise ValueError(
            f"This network has weights ({n_inputs}, {map_size}) and thetas ({map_size},); what is "
            f"to be restored has {weights.shape} and {theta_mv.shape}."
        )
    return LearnedState(weights, theta_mv)


def _joined(parts: Sequence[Mapping[str, NDArray[Any]]]) -> dict[str, NDArray[Any]]:
    return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}
