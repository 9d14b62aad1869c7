"""What the engine computes, as functions of arrays: nothing that they are given is changed.

draw_spikes    probabilities -> input spikes
list_spikes    input spikes as an array -> the same as lists
scaled         weights -> weights with the sums that the network keeps
learn          what was learnt, input spikes -> what is learnt then, and what was fired
respond        the same with learning off
record         the same, with the steps of all spikes
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from optuna_snn.stdp_engine import compiler
from optuna_snn.stdp_engine.records import (
    Float32s,
    LearnedState,
    Presented,
    Recorded,
    Rules,
    Seeds,
    SpikeLists,
    at_rest,
)

__all__ = ["draw_spikes", "learn", "list_spikes", "record", "respond", "scaled"]


def draw_spikes(probabilities: NDArray[np.floating], *, n_steps: int, seeds: Seeds) -> SpikeLists:
    """Input spikes drawn independently of each other, each with its input's probability.

    probabilities: (n_samples, n_inputs) of a spike in a step
    seeds:         (n_samples,) each determines the spikes of its sample

    Raises ValueError for probabilities outside [0, 1] or of another shape, and n_steps below 1.
    """
    if n_steps < 1:
        raise ValueError(f"Need n_steps >= 1, got {n_steps}.")
    p = _own(probabilities, np.float32)
    if np.shape(seeds) != p.shape[:1]:
        raise ValueError(f"Need a seed for each of {len(p)} samples, got {np.shape(seeds)}.")
    if p.ndim != 2:
        raise ValueError(f"probabilities must be (n_samples, n_inputs), got shape {p.shape}.")
    if not (np.all(p >= 0) and np.all(p <= 1)):
        raise ValueError(f"Need probabilities in [0, 1], got {np.min(p)} to {np.max(p)}.")
    first = np.zeros((len(p), n_steps + 1), np.int64)
    room = np.empty(np.count_nonzero(p) * n_steps, np.int32)  # pages without a spike stay virtual
    n_spikes = compiler.load().draw_spikes(p, n_steps, _own(seeds, np.uint64), first, room)
    return SpikeLists(first, room[:n_spikes].copy())


def list_spikes(spikes: NDArray[np.bool_]) -> SpikeLists:
    """The spikes of an array (n_steps, n_samples, n_inputs).

    Raises ValueError for another shape, or without steps.
    """
    if spikes.ndim != 3 or len(spikes) < 1:
        raise ValueError(
            f"spikes must be (n_steps, n_samples, n_inputs), got shape {spikes.shape}."
        )
    by_sample = spikes.astype(np.bool_, copy=False).transpose(1, 0, 2)
    ends = np.cumsum(np.count_nonzero(by_sample, axis=2))
    n_samples, n_steps, _ = by_sample.shape
    first = np.zeros((n_samples, n_steps + 1), np.int64)
    first[:, 1:] = ends.reshape(n_samples, n_steps)
    first[1:, 0] = first[:-1, -1]
    return SpikeLists(first, np.nonzero(by_sample)[2].astype(np.int32))


def scaled(weights: NDArray[np.floating], norm: float) -> Float32s:
    """The weights (n_inputs, n) with columns that sum to norm; a column of zeros stays."""
    copy = _own(weights, np.float32)
    compiler.load().normalise(copy, np.float32(norm))
    return copy


def learn(
    rules: Rules,
    learned: LearnedState,
    spikes: SpikeLists,
    *,
    batch_size: int,
    seeds: Seeds,
    reads_peaks: bool = False,
) -> tuple[LearnedState, Presented]:
    """Present the samples with learning on, batch_size at once; the last batch may be smaller.

    The samples of a batch share weights and thresholds, and the changes that they make in a step
    are summed. Weights are normalised after each batch.
    seeds: (n_samples,) each determines the draws between neurons at their thresholds, and may be
           that of the sample's input spikes

    Raises ValueError for a batch_size below 1, other numbers of seeds, weights and thresholds
    that disagree, lists that are not as `SpikeLists` says, and inputs that the weights lack.
    """
    after = _copied(learned)
    return after, _present(rules, after, spikes, True, batch_size, seeds, reads_peaks)


def respond(
    rules: Rules,
    learned: LearnedState,
    spikes: SpikeLists,
    *,
    seeds: Seeds,
    reads_peaks: bool = False,
) -> Presented:
    """Present the samples with learning off: each by itself, and none changes anything.

    Raises ValueError as `learn` does.
    """
    return _present(rules, _copied(learned), spikes, False, 1, seeds, reads_peaks)


def record(rules: Rules, learned: LearnedState, spikes: SpikeLists, *, seeds: Seeds) -> Recorded:
    """Present the samples as `respond` does, and keep the neuron and the step of each spike.

    It is for a few samples: their tables are in memory at once, and each step is a call, since
    the kernels keep the inhibitory spikes of a step until the next one only.

    Raises ValueError as `learn` does.
    """
    winners = respond(rules, learned, spikes, seeds=seeds).winners
    net = _copied(learned)
    n_inputs, n = net.weights.shape
    spikes = _checked(spikes, seeds, n_inputs)
    n_samples, n_steps = winners.shape
    inhibitory = np.zeros((n_samples, n_steps, n), np.bool_)
    n_inhibitory, peaks = np.zeros(n_samples, np.int64), np.zeros((n_samples, 2), np.float32)
    generators = np.ones((n_samples, 4), np.uint64)  # of draws whose outcome is imposed
    act = at_rest(rules, n_samples, n_inputs=n_inputs, n=n)
    kernels = compiler.load()
    for t in range(n_steps):
        kernels.run(
            rules, net, act, spikes, 0, n_samples, t, t + 1, False, False, generators,
            winners, n_inhibitory, False, peaks,
        )  # fmt: skip
        inhibitory[:, t] = act.fired_i > 0
    return Recorded(winners[:, :, None] == np.arange(n), inhibitory)


def _present(
    rules: Rules,
    net: LearnedState,
    spikes: SpikeLists,
    learns: bool,
    n_at_once: int,
    seeds: Seeds,
    reads_peaks: bool,
) -> Presented:
    """What is presented; with `learns`, net is written to."""
    n_inputs, n = _checked_shape(net)
    spikes = _checked(spikes, seeds, n_inputs)
    n_samples, n_steps = spikes.first.shape[0], spikes.first.shape[1] - 1
    if n_at_once < 1:
        raise ValueError(f"Need batch_size >= 1, got {n_at_once}.")
    n_inhibitory = np.zeros(n_samples, np.int64)
    peaks = np.full((n_samples, 2), -np.inf, np.float32)
    kernels = compiler.load()
    winners = np.full((n_samples, n_steps), kernels.DRAWN, np.int32)
    kernels.present(
        rules,
        net,
        at_rest(rules, n_at_once, n_inputs=n_inputs, n=n),
        spikes,
        learns,
        _own(seeds, np.uint64),
        winners,
        n_inhibitory,
        reads_peaks,
        peaks,
    )
    return Presented(winners, n_inhibitory, peaks if reads_peaks else None)


def _checked_shape(net: LearnedState) -> tuple[int, int]:
    """The numbers of inputs and neurons; ValueError where weights and thresholds disagree."""
    if net.weights.ndim != 2 or net.theta_mv.shape != net.weights.shape[1:]:
        raise ValueError(
            "Need weights (n_inputs, n) and theta_mv (n,), got shapes "
            f"{net.weights.shape} and {net.theta_mv.shape}."
        )
    return net.weights.shape


def _checked(spikes: SpikeLists, seeds: Seeds, n_inputs: int) -> SpikeLists:
    """The spikes in the kernels' types; ValueError for what these would index out of bounds."""
    if spikes.first.ndim != 2 or spikes.first.shape[1] < 2 or spikes.inputs.ndim != 1:
        raise ValueError(
            "Need first (n_samples, n_steps + 1) and inputs (n_spikes,), got shapes "
            f"{spikes.first.shape} and {spikes.inputs.shape}."
        )
    first = np.ascontiguousarray(spikes.first, dtype=np.int64)
    inputs = np.ascontiguousarray(spikes.inputs, dtype=np.int32)
    if np.shape(seeds) != first.shape[:1]:
        raise ValueError(f"Need a seed for each of {len(first)} samples, got {np.shape(seeds)}.")
    lowest, highest = inputs.min(initial=0), inputs.max(initial=0)
    if lowest < 0 or highest >= n_inputs:
        raise ValueError(
            f"Inputs of spikes must be in 0 to {n_inputs - 1}, got {lowest} to {highest}."
        )
    if np.any(np.diff(first, axis=1) < 0):
        raise ValueError("Spikes must be listed step after step, but first falls in a sample.")
    begin, end = first.min(initial=0), first.max(initial=0)
    if begin < 0 or end > len(inputs):
        raise ValueError(f"Need first in 0 to {len(inputs)} spikes, got {begin} to {end}.")
    return SpikeLists(first, inputs)


def _copied(learned: LearnedState) -> LearnedState:
    return LearnedState(*(_own(each, np.float32) for each in learned))


def _own(values: NDArray[Any], dtype: type) -> NDArray[Any]:
    """A copy in the one layout that the kernels are compiled for."""
    return np.array(values, dtype=dtype, order="C")
