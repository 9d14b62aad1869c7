"""Steps put together: samples are presented, one or several at once.

Functions of a step have many arguments, since a record of arrays that is passed on in every step
costs more than the step: only `run` unpacks them.

Kernels write into the arrays that they are given; `engine` gives them its own.
"""

from __future__ import annotations

import numpy as np

from optuna_snn.stdp_engine.kernels.distance import compile_by_distance
from optuna_snn.stdp_engine.kernels.draws import draw_spikes, seeded
from optuna_snn.stdp_engine.kernels.jit import kernel
from optuna_snn.stdp_engine.kernels.neurons import (
    compete,
    excite,
    inhibit,
    note_inputs,
    note_winner,
    peak,
    sum_rows,
)
from optuna_snn.stdp_engine.kernels.plasticity import clip, depress, learn_column, normalise
from optuna_snn.stdp_engine.records import (
    Activity,
    Float32s,
    Generators,
    Int32s,
    Int64s,
    LearnedState,
    Rules,
    Seeds,
    SpikeLists,
    at_rest,
    make_rules,
)

__all__ = ["DRAWN", "compile_all", "present", "rest", "run"]

DRAWN = -2
"""In the place of a winner that the engine is to draw."""


@kernel
def run(
    r: Rules,
    net: LearnedState,
    act: Activity,
    spikes: SpikeLists,
    start: int,
    n_at_once: int,
    t_begin: int,
    t_end: int,
    learns: bool,
    may_be_above: bool,
    generators: Generators,
    winners: Int32s,
    n_inhibitory: Int64s,
    reads_peaks: bool,
    peaks: Float32s,
) -> None:
    """Steps t_begin to t_end, the last one excluded, of n_at_once samples from `start` on.

    winners: as in `Presented`. What it holds before is imposed: the neuron that fires, or -1;
             where it holds `DRAWN`, the engine draws it.
    may_be_above: whether weights can be above 1 before the step 0
    The rest is as in `Activity` (those at once) and `Presented` (all samples).
    """
    weights, theta, inputs, first = net.weights, net.theta_mv, spikes.inputs, spikes.first
    v_e, v_i, open_e, open_i, trace = act.v_e, act.v_i, act.open_e, act.open_i, act.trace_e
    winner, fired_i, n_fired_i, last = act.winner, act.fired_i, act.n_fired_i, act.last_in
    known_in, n_known_in, known_e, n_known_e = act.inputs, act.n_inputs, act.winners, act.n_winners
    n = v_e.shape[1]
    drive, threshold = np.empty(n, np.float32), np.empty(n, np.float32)
    no_theta = np.zeros(n, np.float32)
    powers = np.ones(t_end + 1, np.float32)
    for k in range(t_end):
        powers[k + 1] = powers[k] * r.trace_decay

    for t in range(t_begin, t_end):
        if learns:
            for j in range(n):
                theta[j] *= r.theta_decay
        for j in range(n):
            threshold[j] = r.e_thresh_mv + theta[j]
        is_any_ready = False
        for b in range(n_at_once):
            s = start + b
            sum_rows(drive, weights, inputs, first[s, max(t - 1, 0)], first[s, t])
            n_before, winner_before = n_fired_i[b], winner[b]
            if n_before > 0:
                for j in range(n):
                    drive[j] -= r.strength_inh_mv * (np.float32(n_before) - fired_i[b, j])
            n_ready = excite(r, v_e, open_e, b, drive, threshold, t)
            winner[b] = -1
            if n_ready > 0:
                is_any_ready = True
                winner[b] = compete(
                    r, v_e, open_e, theta, threshold, generators, b, n_ready, t, learns
                )
            if winners[s, t] != DRAWN:
                winner[b] = winners[s, t]
                is_any_ready |= winner[b] >= 0
            n_fired_i[b] = inhibit(r, v_i, open_i, fired_i, n_before, b, winner_before, t)
            winners[s, t] = winner[b]
            n_inhibitory[s] += n_fired_i[b]
            if learns:
                n_known_in[b] = note_inputs(
                    last, known_in, b, n_known_in[b], inputs, first[s, t], first[s, t + 1], t
                )
                n_known_e[b] = note_winner(r, trace, known_e, b, n_known_e[b], winner[b])
        if learns:
            for b in range(n_at_once):
                s = start + b
                depress(
                    r, weights, trace, known_e, b, n_known_e[b], winner,
                    inputs, first[s, t], first[s, t + 1], drive,
                )  # fmt: skip
            if is_any_ready:
                for b in range(n_at_once):
                    is_new = winner[b] >= 0
                    for other in range(b):
                        is_new &= winner[other] != winner[b]
                    if is_new:
                        learn_column(
                            r, weights, trace, winner, last, known_in, n_known_in,
                            inputs, first, start, t, powers, winner[b],
                        )  # fmt: skip
        if learns and may_be_above and t == 0:
            clip(weights)
        if reads_peaks:
            for b in range(n_at_once):
                s = start + b
                peaks[s, 0] = peak(v_e, b, r.e_rest_mv, r.e_thresh_mv, theta, peaks[s, 0])
                peaks[s, 1] = peak(v_i, b, r.i_rest_mv, r.i_thresh_mv, no_theta, peaks[s, 1])


@kernel
def rest(r: Rules, act: Activity) -> None:
    """Bring everything to where a sample begins."""
    act.v_e[:], act.v_i[:] = r.e_rest_mv, r.i_rest_mv
    act.open_e[:], act.open_i[:] = 0, 0
    act.trace_e[:], act.fired_i[:] = 0, 0
    act.winner[:], act.last_in[:] = -1, -1
    act.n_fired_i[:], act.n_inputs[:], act.n_winners[:] = 0, 0, 0


@kernel
def present(
    r: Rules,
    net: LearnedState,
    act: Activity,
    spikes: SpikeLists,
    learns: bool,
    seeds: Seeds,
    winners: Int32s,
    n_inhibitory: Int64s,
    reads_peaks: bool,
    peaks: Float32s,
) -> None:
    """Present samples, as many at once as `act` has room for, each from rest.

    If `learns`, the weights are normalised after each time.
    """
    n_samples, n_steps = winners.shape
    n_places = act.winner.shape[0]
    generators = np.empty((n_places, 4), np.uint64)
    begin = 0 * n_steps  # a literal 0 would be another type, and compiled once more
    may_be_above = learns  # unknown at first; a literal True would be a type of its own, too
    for start in range(0, n_samples, n_places):
        n_at_once = min(n_places, n_samples - start)
        rest(r, act)
        for b in range(n_at_once):
            state = seeded(~seeds[start + b])  # not that of the sample's input spikes
            for k in range(4):
                generators[b, k] = state[k]
        run(
            r, net, act, spikes, start, n_at_once, begin, n_steps, learns, may_be_above,
            generators, winners, n_inhibitory, reads_peaks, peaks,
        )  # fmt: skip
        if learns:
            may_be_above = normalise(net.weights, r.norm)


def compile_all() -> None:
    """Compile every kernel for the types that `engine` passes, or read it from the cache."""
    rules, net, act, spikes, out = _smallest_case()
    seeds = np.zeros(1, np.uint64)
    generators = np.ones((1, 4), np.uint64)
    draw_spikes(np.zeros((1, 1), np.float32), 1, seeds, spikes.first, spikes.inputs)
    normalise(net.weights, rules.norm)
    rest(rules, act)
    run(rules, net, act, spikes, 0, 1, 0, 1, False, False, generators, *out[:2], False, out[2])
    present(rules, net, act, spikes, False, seeds, *out[:2], False, out[2])
    compile_by_distance(net, spikes)


def _smallest_case() -> tuple[
    Rules, LearnedState, Activity, SpikeLists, tuple[Int32s, Int64s, Float32s]
]:
    """One input, one neuron of each kind, one sample of one step without a spike."""
    rules = make_rules({name: 1 for name in Rules._fields})
    net = LearnedState(np.ones((1, 1), np.float32), np.zeros(1, np.float32))
    spikes = SpikeLists(np.zeros((1, 2), np.int64), np.zeros(0, np.int32))
    out = np.zeros((1, 1), np.int32), np.zeros(1, np.int64), np.zeros((1, 2), np.float32)
    return rules, net, at_rest(rules, 1, n_inputs=1, n=1), spikes, out
