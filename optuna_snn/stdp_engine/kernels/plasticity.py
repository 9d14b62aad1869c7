"""What learning does to the weights. The numbers are those of the package's order of operations.

A weight changes where an input and a neuron have met: the rows of the inputs that fire fall at the
neurons that fired before, the column of a neuron that fires rises at the inputs that fired before.
Nothing else is touched, as it is within its bounds.

Symbols as in `Activity`; b is the sample, t the step, j the neuron.
"""

from __future__ import annotations

import numpy as np

from optuna_snn.stdp_engine.kernels.jit import kernel, part
from optuna_snn.stdp_engine.records import Float32s, Int32s, Int64s, Rules

__all__ = ["clip", "depress", "learn_column", "normalise"]

DENSE_FROM = 6
"""Depression goes through all neurons once every sixth of them has fired: that is quicker then."""

NOTHING, FULL = np.float32(0), np.float32(1)


@part
def depress(
    r: Rules,
    weights: Float32s,
    trace: Float32s,
    known: Int32s,
    b: int,
    n_known: int,
    winner: Int32s,
    inputs: Int32s,
    begin: int,
    end: int,
    change: Float32s,
) -> None:
    """(6) Lower the rows of the inputs that fire, but for the columns of this step's winners.

    Those are left to `learn_column`, since their weights are clipped after both changes.
    """
    if n_known == 0:
        return
    n = trace.shape[1]
    if DENSE_FROM * n_known < n:
        for k in range(n_known):
            j = known[b, k]
            change[k] = r.nu_pre * trace[b, j]
            for other in range(winner.shape[0]):
                if winner[other] == j:
                    change[k] = 0
        for m in range(begin, end):
            i = inputs[m]
            for k in range(n_known):
                j = known[b, k]
                w = weights[i, j] - change[k]
                weights[i, j] = w if w > 0 else NOTHING
        return
    for j in range(n):
        change[j] = r.nu_pre * trace[b, j]
    for other in range(winner.shape[0]):
        if winner[other] >= 0:
            change[winner[other]] = 0
    for m in range(begin, end):
        i = inputs[m]
        for j in range(n):
            w = weights[i, j] - change[j]
            weights[i, j] = w if w > 0 else NOTHING


@part
def learn_column(
    r: Rules,
    weights: Float32s,
    trace: Float32s,
    winner: Int32s,
    last: Int32s,
    known: Int32s,
    n_known: Int32s,
    inputs: Int32s,
    first: Int64s,
    start: int,
    t: int,
    powers: Float32s,
    j: int,
) -> None:
    """(6) Both changes of the weights to neuron j, which fires; only then they are clipped.

    powers: (n_steps + 1,) of the trace's decay: the trace of an input is that of its last spike's
            age
    """
    n_places = winner.shape[0]  # those without a sample have no winner and no trace
    for b in range(n_places):
        change = r.nu_pre * trace[b, j]
        if change > 0:
            for k in range(first[start + b, t], first[start + b, t + 1]):
                weights[inputs[k], j] -= change
    for b in range(n_places):
        if winner[b] == j:
            for k in range(n_known[b]):
                i = known[b, k]
                weights[i, j] += r.nu_post * powers[t - last[b, i]]
    for b in range(n_places):
        if winner[b] == j:
            for k in range(n_known[b]):
                i = known[b, k]
                weights[i, j] = min(max(weights[i, j], NOTHING), FULL)
        elif trace[b, j] > 0:
            for k in range(first[start + b, t], first[start + b, t + 1]):
                i = inputs[k]
                weights[i, j] = min(max(weights[i, j], NOTHING), FULL)


@part
def clip(weights: Float32s) -> None:
    """(6) The upper bound for all weights, after the first step of a sample.

    Later steps clip what they change, which is all that can leave the bounds.
    """
    for i in range(weights.shape[0]):
        for j in range(weights.shape[1]):
            weights[i, j] = min(weights[i, j], FULL)


@kernel
def normalise(weights: Float32s, norm: np.float32) -> bool:
    """(7) Scale each column to the sum `norm`, one of zeros excepted; is a weight above 1 now?"""
    n_inputs, n = weights.shape
    factor = np.zeros(n, np.float32)
    i = 0
    while i + 4 <= n_inputs:
        for j in range(n):
            factor[j] += (weights[i, j] + weights[i + 1, j]) + (
                weights[i + 2, j] + weights[i + 3, j]
            )
        i += 4
    while i < n_inputs:
        for j in range(n):
            factor[j] += weights[i, j]
        i += 1
    for j in range(n):
        factor[j] = norm / factor[j] if factor[j] > 0 else FULL
    n_above = 0
    for i in range(n_inputs):
        for j in range(n):
            w = weights[i, j] * factor[j]
            weights[i, j] = w
            n_above += w > FULL
    return n_above > 0
