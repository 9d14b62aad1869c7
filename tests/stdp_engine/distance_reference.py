"""The network with inhibition by distance once more: dense, in float64, and slow."""

from __future__ import annotations

import math

import numpy as np

from optuna_snn.objectives.stdp.distance import DistanceConfig
from optuna_snn.stdp_engine import LearnedState

TC_TRACE_MS = 20.0


def decay(tc_ms: float) -> float:
    return float(np.float32(math.exp(-1 / tc_ms)))


def present(
    c: DistanceConfig, learned: LearnedState, spikes: np.ndarray, *, is_learning: bool
) -> tuple[LearnedState, np.ndarray, np.ndarray]:
    """One batch, spikes (n_steps, b, n_inputs): what is learnt, and both layers' spikes."""
    n_steps, b, n_inputs = spikes.shape
    w, theta = (each.astype(float) for each in learned)
    n = len(theta)
    far = np.abs(np.subtract.outer(np.arange(n), np.arange(n))) / max(n - 1, 1)
    fired_e, fired_i = (np.zeros((n_steps, b, n), dtype=bool) for _ in range(2))
    for t in range(n_steps):
        if t % c.reset_interval_ms == 0:
            v_e, v_i = np.full((b, n), float(c.e_rest_mv)), np.full((b, n), float(c.i_rest_mv))
            wait_e, wait_i = np.zeros((b, n)), np.zeros((b, n))
            a_in, a_e = np.zeros((b, n_inputs)), np.zeros((b, n))
            s_in, s_e, s_i = np.zeros((b, n_inputs)), np.zeros((b, n)), np.zeros((b, n))
        drive_e = s_in @ w - c.strength_inh_mv * s_i @ far
        drive_i = c.strength_exc_mv * s_e
        s_in = spikes[t].astype(float)
        a_in = np.where(s_in > 0, 1, decay(TC_TRACE_MS) * a_in)
        if is_learning:
            theta = theta * decay(c.tc_theta_decay_ms)
        v_e = decay(c.e_tc_decay_ms) * (v_e - c.e_rest_mv) + c.e_rest_mv + drive_e * (wait_e <= 0)
        s_e = (v_e >= c.e_thresh_mv + theta).astype(float)
        wait_e = np.where(s_e > 0, c.e_refrac_ms, wait_e - 1)
        v_e = np.where(s_e > 0, c.e_reset_mv, v_e)
        if is_learning:
            theta = theta + c.theta_plus_mv * s_e.sum(0)
        a_e = np.where(s_e > 0, 1, decay(c.e_tc_trace_ms) * a_e)
        v_i = decay(c.i_tc_decay_ms) * (v_i - c.i_rest_mv) + c.i_rest_mv + drive_i * (wait_i <= 0)
        s_i = (v_i >= c.i_thresh_mv).astype(float)
        wait_i = np.where(s_i > 0, c.i_refrac_ms, wait_i - 1)
        v_i = np.where(s_i > 0, c.i_reset_mv, v_i)
        fired_e[t], fired_i[t] = s_e > 0, s_i > 0
        if is_learning:
            w = np.clip(w - c.nu_pre * s_in.T @ a_e + c.nu_post * a_in.T @ s_e, 0, 1)
    if is_learning:
        total = w.sum(0)
        w = w * np.where(total > 0, c.norm / np.where(total > 0, total, 1), 1)
    return LearnedState(w, theta), fired_e, fired_i
