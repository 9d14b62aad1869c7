"""The network of the paper's second experiment: all may fire, and inhibition grows with distance.

    input -> excitatory     all to all, plastic (pair-based STDP), normalised
    excitatory -> inhibitory    one to one
    inhibitory -> excitatory    in proportion to the distance |i - j| / (n - 1)

It differs from the network of Diehl & Cook (`stdp_engine`, whose glossary and order of operations
hold but for this):

    1. Drive      g_j = sum_i s_in,i(t-1) w_ij - strength_inh * sum_k s_i,k(t-1) |k - j| / (n - 1)
    4. Spikes     Every neuron with v >= e_thresh + theta fires, is reset and adapts.
                  Excitatory traces have a time constant of their own.
    8. Every `reset_steps` steps of a sample potentials, refractory periods, traces and spikes
       under way are as at its beginning.

There is nothing random in it. That the neurons at hand are BindsNET's `AdaptiveLIFNodes` was found
by experiment, and tests compare both step by step.

Departure from Firmin, Boulet & Talbi 2024 (doi 10.1016/j.neucom.2024.128483), who published it:
their weights from inhibitory to excitatory neurons are positive, so that these excite. Here they
inhibit.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from optuna_snn.stdp_engine import compiler
from optuna_snn.stdp_engine.records import (
    DistanceRules,
    Float32s,
    Int64s,
    LearnedState,
    Recorded,
    SpikeLists,
    distance_at_rest,
)

__all__ = [
    "PresentedByDistance",
    "learn_by_distance",
    "record_by_distance",
    "respond_by_distance",
]


class PresentedByDistance(NamedTuple):
    """What the layers fired, and how near they came to it.

    excitatory:   (n_samples, n_steps, n) whether a neuron fired in a step
    n_inhibitory, peaks: as in `Presented`
    """

    excitatory: NDArray[np.bool_]
    n_inhibitory: Int64s
    peaks: Float32s | None

    @property
    def n_excitatory(self) -> Int64s:
        """(n_samples,) spikes of the excitatory layer."""
        counts: Int64s = self.excitatory.sum(axis=(1, 2), dtype=np.int64)
        return counts


def learn_by_distance(
    rules: DistanceRules,
    learned: LearnedState,
    spikes: SpikeLists,
    *,
    batch_size: int,
    reads_peaks: bool = False,
) -> tuple[LearnedState, PresentedByDistance]:
    """Present the samples with learning on, batch_size at once; see `stdp_engine.learn`.

    Raises ValueError for a batch_size below 1 and spikes of inputs that the weights do not have.
    """
    after = _copied(learned)
    return after, _present(rules, after, spikes, True, batch_size, reads_peaks)


def respond_by_distance(
    rules: DistanceRules,
    learned: LearnedState,
    spikes: SpikeLists,
    *,
    reads_peaks: bool = False,
) -> PresentedByDistance:
    """Present the samples with learning off: each by itself, and none changes anything.

    Raises ValueError as `learn_by_distance` does.
    """
    return _present(rules, _copied(learned), spikes, False, 1, reads_peaks)


def record_by_distance(
    rules: DistanceRules, learned: LearnedState, spikes: SpikeLists
) -> Recorded:
    """Present the samples with learning off, and keep all spikes; see `stdp_engine.record`.

    Raises ValueError as `learn_by_distance` does.
    """
    net = _copied(learned)
    n_inputs, n = net.weights.shape
    _refuse_unknown_inputs(spikes, n_inputs)
    n_samples, n_steps = spikes.first.shape[0], spikes.first.shape[1] - 1
    fired = np.zeros((n_samples, n_steps, n), np.int32)
    inhibitory = np.zeros((n_samples, n_steps, n), np.bool_)
    n_inhibitory, peaks = np.zeros(n_samples, np.int64), np.zeros((n_samples, 2), np.float32)
    act = distance_at_rest(rules, n_samples, n_inputs=n_inputs, n=n)
    kernels = compiler.load()
    for t in range(n_steps):
        kernels.run_by_distance(
            rules, net, act, spikes, 0, n_samples, t, t + 1, False,
            fired, n_inhibitory, False, peaks,
        )  # fmt: skip
        inhibitory[:, t] = act.fired_i > 0
    return Recorded(fired > 0, inhibitory)


def _present(
    rules: DistanceRules,
    net: LearnedState,
    spikes: SpikeLists,
    learns: bool,
    n_at_once: int,
    reads_peaks: bool,
) -> PresentedByDistance:
    """What is presented; with `learns`, net is written to."""
    n_inputs, n = net.weights.shape
    n_samples, n_steps = spikes.first.shape[0], spikes.first.shape[1] - 1
    if n_at_once < 1:
        raise ValueError(f"Need batch_size >= 1, got {n_at_once}.")
    _refuse_unknown_inputs(spikes, n_inputs)
    fired = np.zeros((n_samples, n_steps, n), np.int32)
    n_inhibitory = np.zeros(n_samples, np.int64)
    peaks = np.full((n_samples, 2), -np.inf, np.float32)
    compiler.load().present_by_distance(
        rules,
        net,
        distance_at_rest(rules, n_at_once, n_inputs=n_inputs, n=n),
        spikes,
        learns,
        fired,
        n_inhibitory,
        reads_peaks,
        peaks,
    )
    return PresentedByDistance(fired > 0, n_inhibitory, peaks if reads_peaks else None)


def _refuse_unknown_inputs(spikes: SpikeLists, n_inputs: int) -> None:
    lowest, highest = spikes.inputs.min(initial=0), spikes.inputs.max(initial=0)
    if lowest < 0 or highest >= n_inputs:
        raise ValueError(
            f"Inputs of spikes must be in 0 to {n_inputs - 1}, got {lowest} to {highest}."
        )


def _copied(learned: LearnedState) -> LearnedState:
    return LearnedState(*(_own(each) for each in learned))


def _own(values: NDArray[Any]) -> Float32s:
    return np.array(values, dtype=np.float32, order="C")
