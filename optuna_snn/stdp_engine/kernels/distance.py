"""The steps of the network with inhibition by distance; the numbers are those of `distance`.

Its inputs are many and fire often, so that everything is dense but the rows that learning touches.
Samples of a batch share weights and thresholds: changes are summed first, and clipped then.
"""

from __future__ import annotations

import numpy as np

from optuna_snn.stdp_engine.kernels.jit import kernel, part
from optuna_snn.stdp_engine.kernels.neurons import peak, sum_rows
from optuna_snn.stdp_engine.kernels.plasticity import clip, normalise
from optuna_snn.stdp_engine.records import (
    DistanceActivity,
    DistanceRules,
    Float32s,
    Int32s,
    Int64s,
    LearnedState,
    SpikeLists,
    distance_at_rest,
    make_distance_rules,
)

__all__ = ["compile_by_distance", "present_by_distance", "run_by_distance"]

NOTHING, FULL = np.float32(0), np.float32(1)
UNTOUCHED, AT_WINNERS, WHOLLY = 0, 1, 2
"""What learning changed of a row: the columns of this step's winners, or all."""


@part
def inhibit_by_distance(
    drive: Float32s, fired_i: Float32s, b: int, strength_mv: np.float32
) -> None:
    """(1) Take off what the inhibitory spikes of the step before bring each neuron.

    A neuron that fires acts on another in proportion to their distance. The sums of distances
    follow from one neuron to the next, as whole numbers: one further from all to the left, one
    nearer to all to the right.
    """
    n = drive.shape[0]
    n_fired, total = 0, 0
    for k in range(n):
        if fired_i[b, k] > 0:
            n_fired += 1
            total += k
    if n_fired == 0 or n < 2:
        return
    n_left = 0
    for j in range(n):
        drive[j] -= strength_mv * np.float32(total / (n - 1))
        n_left += fired_i[b, j] > 0
        total += 2 * n_left - n_fired


@part
def fire(
    v: Float32s,
    opens: Int32s,
    fired: Float32s,
    drive: Float32s,
    threshold: Float32s,
    b: int,
    t: int,
    rest: np.float32,
    reset: np.float32,
    decay: np.float32,
    refrac: np.int32,
) -> int:
    """(3-5) Move the potentials of a layer; all that are at their threshold fire. How many do."""
    n_fired = 0
    for j in range(drive.shape[0]):
        u = decay * (v[b, j] - rest) + rest
        u += drive[j] if t >= opens[b, j] else NOTHING
        fires = u >= threshold[j]
        fired[b, j] = fires
        if fires:
            n_fired += 1
            u = reset
            opens[b, j] = t + refrac + 1
        v[b, j] = u
    return n_fired


@part
def learn_step(
    r: DistanceRules,
    weights: Float32s,
    act: DistanceActivity,
    spikes: SpikeLists,
    start: int,
    n_at_once: int,
    t: int,
    is_touched: Int32s,
) -> None:
    """(6) Both changes of all samples, then the bounds of the rows that changed."""
    first, inputs = spikes.first, spikes.inputs
    trace_in, trace_e, fired_e = act.trace_in, act.trace_e, act.fired_e
    n_inputs, n = weights.shape
    winners, n_winners = np.empty(n, np.int32), 0
    has_won = np.zeros(n, np.int32)
    is_touched[:] = UNTOUCHED
    for b in range(n_at_once):
        s = start + b
        is_marked = False
        for j in range(n):
            is_marked |= trace_e[b, j] > 0
            if fired_e[b, j] > 0 and not has_won[j]:
                has_won[j] = 1
                winners[n_winners] = j
                n_winners += 1
        if is_marked:
            for k in range(first[s, t], first[s, t + 1]):
                i = inputs[k]
                is_touched[i] = WHOLLY
                for j in range(n):
                    weights[i, j] -= r.nu_pre * trace_e[b, j]
    for b in range(n_at_once):
        n_here = 0
        for k in range(n_winners):
            n_here += fired_e[b, winners[k]] > 0
        if n_here > 0:
            for i in range(n_inputs):
                if trace_in[b, i] > 0:
                    is_touched[i] = max(is_touched[i], AT_WINNERS)
                    change = r.nu_post * trace_in[b, i]
                    for k in range(n_winners):
                        weights[i, winners[k]] += change * fired_e[b, winners[k]]
    for i in range(n_inputs):
        if is_touched[i] == WHOLLY:
            for j in range(n):
                weights[i, j] = min(max(weights[i, j], NOTHING), FULL)
        elif is_touched[i] == AT_WINNERS:
            for k in range(n_winners):
                j = winners[k]
                weights[i, j] = min(max(weights[i, j], NOTHING), FULL)


@kernel
def run_by_distance(
    r: DistanceRules,
    net: LearnedState,
    act: DistanceActivity,
    spikes: SpikeLists,
    start: int,
    n_at_once: int,
    t_begin: int,
    t_end: int,
    learns: bool,
    fired: Int32s,
    n_inhibitory: Int64s,
    reads_peaks: bool,
    peaks: Float32s,
) -> None:
    """Steps t_begin to t_end, the last one excluded, of n_at_once samples from `start` on.

    fired: (n_samples, n_steps, n) set to 1 where an excitatory neuron fires
    The rest is as in `DistanceActivity` (those at once) and `Presented` (all samples).
    """
    weights, theta, first = net.weights, net.theta_mv, spikes.first
    n_inputs, n = weights.shape
    drive, drive_i = np.empty(n, np.float32), np.empty(n, np.float32)
    threshold = np.empty(n, np.float32)
    threshold_i, no_theta = np.full(n, r.i_thresh_mv), np.zeros(n, np.float32)
    is_touched = np.zeros(n_inputs, np.int32)
    for t in range(t_begin, t_end):
        is_reset = t % r.reset_steps == 0
        if is_reset:
            rest_by_distance(r, act)
        if learns:
            for j in range(n):
                theta[j] *= r.theta_decay
        for j in range(n):
            threshold[j] = r.e_thresh_mv + theta[j]
        for b in range(n_at_once):
            s = start + b
            begin = first[s, t] if is_reset else first[s, t - 1]
            sum_rows(drive, weights, spikes.inputs, begin, first[s, t])
            inhibit_by_distance(drive, act.fired_i, b, r.strength_inh_mv)
            for j in range(n):
                drive_i[j] = r.strength_exc_mv * act.fired_e[b, j]
            fire(
                act.v_e, act.open_e, act.fired_e, drive, threshold, b, t,
                r.e_rest_mv, r.e_reset_mv, r.e_decay, r.e_refrac_steps,
            )  # fmt: skip
            n_inhibitory[s] += fire(
                act.v_i, act.open_i, act.fired_i, drive_i, threshold_i, b, t,
                r.i_rest_mv, r.i_reset_mv, r.i_decay, r.i_refrac_steps,
            )  # fmt: skip
            for j in range(n):
                fires = act.fired_e[b, j] > 0
                fired[s, t, j] = fires
                act.trace_e[b, j] = FULL if fires else act.trace_e[b, j] * r.e_trace_decay
            if learns:
                for i in range(n_inputs):
                    act.trace_in[b, i] *= r.in_trace_decay
                for k in range(first[s, t], first[s, t + 1]):
                    act.trace_in[b, spikes.inputs[k]] = FULL
        if learns:
            for b in range(n_at_once):
                for j in range(n):
                    theta[j] += r.theta_plus_mv * act.fired_e[b, j]
            learn_step(r, weights, act, spikes, start, n_at_once, t, is_touched)
            if t == 0:
                clip(weights)  # those that normalisation left above the bound
        if reads_peaks:
            for b in range(n_at_once):
                s = start + b
                peaks[s, 0] = peak(act.v_e, b, r.e_rest_mv, r.e_thresh_mv, theta, peaks[s, 0])
                peaks[s, 1] = peak(act.v_i, b, r.i_rest_mv, r.i_thresh_mv, no_theta, peaks[s, 1])


@part
def rest_by_distance(r: DistanceRules, act: DistanceActivity) -> None:
    """Bring everything to where a sample begins."""
    act.v_e[:], act.v_i[:] = r.e_rest_mv, r.i_rest_mv
    act.open_e[:], act.open_i[:] = 0, 0
    act.trace_in[:], act.trace_e[:] = 0, 0
    act.fired_e[:], act.fired_i[:] = 0, 0


@kernel
def present_by_distance(
    r: DistanceRules,
    net: LearnedState,
    act: DistanceActivity,
    spikes: SpikeLists,
    learns: bool,
    fired: Int32s,
    n_inhibitory: Int64s,
    reads_peaks: bool,
    peaks: Float32s,
) -> None:
    """Present samples, as many at once as `act` has room for, each from rest.

    If `learns`, the weights are normalised after each time.
    """
    n_samples, n_steps, _ = fired.shape
    n_places = act.v_e.shape[0]
    begin = 0 * n_steps
    for start in range(0, n_samples, n_places):
        n_at_once = min(n_places, n_samples - start)
        run_by_distance(
            r, net, act, spikes, start, n_at_once, begin, n_steps, learns,
            fired, n_inhibitory, reads_peaks, peaks,
        )  # fmt: skip
        if learns:
            normalise(net.weights, r.norm)


def compile_by_distance(net: LearnedState, spikes: SpikeLists) -> None:
    """Compile these kernels for the types that `distance` passes, or read them from the cache.

    net, spikes: the smallest ones: one input, one neuron, one sample of one step without a spike
    """
    rules = make_distance_rules({name: 1 for name in DistanceRules._fields})
    act = distance_at_rest(rules, 1, n_inputs=1, n=1)
    fired, n_inhibitory = np.zeros((1, 1, 1), np.int32), np.zeros(1, np.int64)
    peaks = np.zeros((1, 2), np.float32)
    run_by_distance(rules, net, act, spikes, 0, 1, 0, 1, False, fired, n_inhibitory, False, peaks)
    present_by_distance(rules, net, act, spikes, False, fired, n_inhibitory, False, peaks)
