"""The network of the engine once more: dense, in float64, one line per equation, and slow."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from optuna_snn.objectives.stdp.diehl_cook import DiehlCookConfig
from optuna_snn.stdp_engine import LearnedState, Rules, make_rules

TC_TRACE_MS = 20.0


def rules(config: DiehlCookConfig) -> Rules:
    """Without torch, whose exponential may differ in the last bit."""
    numbers: dict[str, Any] = {
        name.removesuffix("_ms") + "_steps" if "refrac" in name else name: value
        for name, value in vars(config).items()
    }
    numbers |= {
        "e_decay": math.exp(-1 / config.e_tc_decay_ms),
        "i_decay": math.exp(-1 / config.i_tc_decay_ms),
        "theta_decay": math.exp(-1 / config.tc_theta_decay_ms),
        "trace_decay": math.exp(-1 / TC_TRACE_MS),
    }
    return make_rules(numbers)


@dataclass
class Outcome:
    """inhibitory: (n_steps, b, n) bool; peaks: (b, 2), as in `Presented`."""

    learned: LearnedState
    inhibitory: np.ndarray
    peaks: np.ndarray


def present(
    c: DiehlCookConfig,
    learned: LearnedState,
    spikes: np.ndarray,
    winners: np.ndarray,
    *,
    is_learning: bool,
) -> Outcome:
    """One batch, spikes (n_steps, b, n_inputs); the draws are taken from winners (b, n_steps).

    AssertionError where a winner is not at its threshold, or nobody won though somebody was.
    """
    n_steps, b, _ = spikes.shape
    w, theta = (each.astype(float) for each in learned)
    n = len(theta)
    decay = {
        name: float(np.float32(math.exp(-1 / tc)))
        for name, tc in (
            ("e", c.e_tc_decay_ms),
            ("i", c.i_tc_decay_ms),
            ("theta", c.tc_theta_decay_ms),
            ("trace", TC_TRACE_MS),
        )
    }
    v_e, v_i = np.full((b, n), float(c.e_rest_mv)), np.full((b, n), float(c.i_rest_mv))
    wait_e, wait_i = np.zeros((b, n)), np.zeros((b, n))
    a_in, a_e = np.zeros((b, spikes.shape[2])), np.zeros((b, n))
    s_in, s_e, s_i = np.zeros_like(a_in), np.zeros((b, n)), np.zeros((b, n))
    inhibitory = np.zeros((n_steps, b, n), dtype=bool)
    peaks = np.full((b, 2), -np.inf)
    for t in range(n_steps):
        others = s_i.sum(1, keepdims=True) - s_i
        drive_e, drive_i = s_in @ w - c.strength_inh_mv * others, c.strength_exc_mv * s_e
        s_in = spikes[t].astype(float)
        a_in = np.where(s_in > 0, 1, decay["trace"] * a_in)
        if is_learning:
            theta = theta * decay["theta"]
        threshold = c.e_thresh_mv + theta

        v_e = decay["e"] * (v_e - c.e_rest_mv) + c.e_rest_mv + drive_e * (wait_e <= 0)
        is_ready = v_e >= threshold
        wait_e = np.where(is_ready, c.e_refrac_ms, wait_e - 1)
        v_e = np.where(is_ready, c.e_reset_mv, v_e)
        if is_learning:
            theta = theta + c.theta_plus_mv * is_ready.sum(0)
        s_e = (winners[:, t, None] == np.arange(n)).astype(float)
        assert np.array_equal(s_e.any(1), is_ready.any(1)) and not (s_e > is_ready).any(), t
        a_e = np.where(s_e > 0, 1, decay["trace"] * a_e)

        v_i = decay["i"] * (v_i - c.i_rest_mv) + c.i_rest_mv + drive_i * (wait_i <= 0)
        s_i = (v_i >= c.i_thresh_mv).astype(float)
        wait_i = np.where(s_i > 0, c.i_refrac_ms, wait_i - 1)
        v_i = np.where(s_i > 0, c.i_reset_mv, v_i)
        inhibitory[t] = s_i > 0

        if is_learning:
            w = np.clip(w - c.nu_pre * s_in.T @ a_e + c.nu_post * a_in.T @ s_e, 0, 1)
        for k, (v, rest, limit) in enumerate(
            (
                (v_e, c.e_rest_mv, c.e_thresh_mv + theta),
                (v_i, c.i_rest_mv, c.i_thresh_mv + 0 * theta),
            )
        ):
            span = limit - rest
            height = np.where(span > 0, (v - rest) / np.where(span > 0, span, 1), 1.0)
            peaks[:, k] = np.maximum(peaks[:, k], height.max(1))
    if is_learning:
        total = w.sum(0)
        w = w * np.where(total > 0, c.norm / np.where(total > 0, total, 1), 1)
    return Outcome(LearnedState(w, theta), inhibitory, peaks)
