"""One step of the neurons. The numbers are those of the package's order of operations.

Symbols as in `Activity`; b is the sample, t the step, n the number of neurons or of inputs.
"""

from __future__ import annotations

import numpy as np

from optuna_snn.stdp_engine.kernels.draws import drawn
from optuna_snn.stdp_engine.kernels.jit import part
from optuna_snn.stdp_engine.records import Float32s, Generators, Int32s, Rules

__all__ = ["compete", "excite", "inhibit", "note_inputs", "note_winner", "peak", "sum_rows"]

NOTHING, REACHED = np.float32(0), np.float32(1)
DRAW_BITS = np.uint64(32)


@part
def sum_rows(drive: Float32s, weights: Float32s, inputs: Int32s, begin: int, end: int) -> None:
    """(1) What the spikes inputs[begin:end] of the step before bring each neuron."""
    n = drive.shape[0]
    for j in range(n):
        drive[j] = 0
    k = begin
    while k + 4 <= end:  # four at a time: fewer loads and stores of the sum
        a, b, c, d = inputs[k], inputs[k + 1], inputs[k + 2], inputs[k + 3]
        for j in range(n):
            drive[j] += (weights[a, j] + weights[b, j]) + (weights[c, j] + weights[d, j])
        k += 4
    while k < end:
        a = inputs[k]
        for j in range(n):
            drive[j] += weights[a, j]
        k += 1


@part
def excite(
    r: Rules, v: Float32s, opens: Int32s, b: int, drive: Float32s, threshold: Float32s, t: int
) -> int:
    """(3) Move the excitatory potentials; how many neurons are at their threshold then."""
    n_ready = 0
    for j in range(drive.shape[0]):
        u = r.e_decay * (v[b, j] - r.e_rest_mv) + r.e_rest_mv
        u += drive[j] if t >= opens[b, j] else NOTHING
        v[b, j] = u
        n_ready += u >= threshold[j]
    return n_ready


@part
def compete(
    r: Rules,
    v: Float32s,
    opens: Int32s,
    theta: Float32s,
    threshold: Float32s,
    generators: Generators,
    b: int,
    n_ready: int,
    t: int,
    learns: bool,
) -> int:
    """(4) Reset all neurons at their threshold, adapt them, and draw the one that fires."""
    g = generators
    word, g[b, 0], g[b, 1], g[b, 2], g[b, 3] = drawn(g[b, 0], g[b, 1], g[b, 2], g[b, 3])
    chosen = np.int64(((word >> DRAW_BITS) * np.uint64(n_ready)) >> DRAW_BITS)
    k, winner = 0, -1
    for j in range(threshold.shape[0]):
        if v[b, j] >= threshold[j]:
            if k == chosen:
                winner = j
            k += 1
            v[b, j] = r.e_reset_mv
            opens[b, j] = t + r.e_refrac_steps + 1
            if learns:
                theta[j] += r.theta_plus_mv
    return winner


@part
def inhibit(
    r: Rules,
    v: Float32s,
    opens: Int32s,
    fired: Float32s,
    n_before: int,
    b: int,
    winner: int,
    t: int,
) -> int:
    """(5) Move, fire and reset the inhibitory neurons; how many fired.

    n_before: how many did in the step before
    winner:   the excitatory neuron that fired in the step before, or -1
    """
    n = v.shape[1]
    n_fired = 0
    for j in range(n):
        u = r.i_decay * (v[b, j] - r.i_rest_mv) + r.i_rest_mv
        v[b, j] = u
        n_fired += u >= r.i_thresh_mv
    if winner >= 0 and t >= opens[b, winner]:
        u = v[b, winner]
        n_fired -= u >= r.i_thresh_mv
        u += r.strength_exc_mv
        n_fired += u >= r.i_thresh_mv
        v[b, winner] = u
    if n_fired > 0 or n_before > 0:
        for j in range(n):
            fires = v[b, j] >= r.i_thresh_mv
            fired[b, j] = fires
            if fires:
                v[b, j] = r.i_reset_mv
                opens[b, j] = t + r.i_refrac_steps + 1
    return n_fired


@part
def note_inputs(
    last: Int32s, known: Int32s, b: int, n: int, inputs: Int32s, begin: int, end: int, t: int
) -> int:
    """(2) Set the traces of the inputs that fire; how many inputs have fired so far."""
    for k in range(begin, end):
        i = inputs[k]
        if last[b, i] < 0:
            known[b, n] = i
            n += 1
        last[b, i] = t
    return n


@part
def note_winner(r: Rules, trace: Float32s, known: Int32s, b: int, n: int, winner: int) -> int:
    """(4) Let the traces fall, and set that of the winner; how many neurons have fired so far."""
    for k in range(n):
        trace[b, known[b, k]] *= r.trace_decay
    if winner >= 0:
        is_known = False
        for k in range(n):
            is_known |= known[b, k] == winner
        if not is_known:
            known[b, n] = winner
            n += 1
        trace[b, winner] = 1
    return n


@part
def peak(
    v: Float32s, b: int, rest: np.float32, thresh: np.float32, theta: Float32s, before: np.float32
) -> np.float32:
    """The larger of `before` and (v - rest) / (thresh + theta - rest), over the neurons."""
    for j in range(v.shape[1]):
        span = thresh + theta[j] - rest
        height = (v[b, j] - rest) / span if span > 0 else REACHED
        before = max(before, height)
    return before
