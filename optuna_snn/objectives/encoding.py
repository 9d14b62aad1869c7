"""Spike encoding of images: intensities become rates, rates become spike trains.

Poisson trains are independent and random, regular ones evenly spaced and the same each time. In
discrete time the Poisson process is a Bernoulli trial per step: in each step of dt_ms an input
fires with probability p = rate_hz * dt_ms / 1000, independently of everything else.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

__all__ = ["poisson_spikes", "regular_spikes", "spikes_per_step"]

MS_PER_S = 1000.0


def poisson_spikes(
    rates_hz: NDArray[np.floating],
    *,
    n_steps: int,
    rng: np.random.Generator,
    dt_ms: float = 1.0,
) -> NDArray[np.bool_]:
    """Draw the spike trains of inputs that fire at constant rates.

    rates_hz: (n_samples, n_inputs), 0 <= rate <= 1000 / dt_ms, that is at most a spike per step
    Returns (n_steps, n_samples, n_inputs).

    Raises ValueError for rates outside these bounds or not finite, another shape, or a number of
    steps or a dt_ms that is not positive.
    """
    probabilities = spikes_per_step(rates_hz, n_steps, dt_ms).ravel()
    # Most pixels of a digit are black. Drawing for the others alone is five times faster.
    lit = np.flatnonzero(probabilities)
    draws = rng.random((n_steps, lit.size), dtype=np.float32)
    spikes = np.zeros((n_steps, probabilities.size), dtype=np.bool_)
    spikes[:, lit] = draws < probabilities[lit].astype(np.float32)
    return spikes.reshape(n_steps, *rates_hz.shape)


def regular_spikes(
    rates_hz: NDArray[np.floating], *, n_steps: int, dt_ms: float = 1.0
) -> NDArray[np.bool_]:
    """Evenly spaced spike trains of inputs that fire at constant rates.

    An input with p spikes per step fires in step t (from 0) where t p + 1/2 passes a whole number:
    after half of its interval first, and p n_steps times in all, rounded.

    rates_hz: (n_samples, n_inputs), 0 <= rate <= 1000 / dt_ms, that is at most a spike per step
    Returns (n_steps, n_samples, n_inputs).

    Raises ValueError as `poisson_spikes` does.
    """
    per_step = spikes_per_step(rates_hz, n_steps, dt_ms)
    n_before = np.floor(np.arange(n_steps + 1)[:, None, None] * per_step + 0.5)
    return np.asarray(np.diff(n_before, axis=0) > 0)


def spikes_per_step(
    rates_hz: NDArray[np.floating], n_steps: int, dt_ms: float
) -> NDArray[np.floating]:
    """Return the expected spikes in each step, at most 1, of inputs at constant rates.

    rates_hz: (n_samples, n_inputs), as the result

    Raises ValueError as `poisson_spikes` does.
    """
    if rates_hz.ndim != 2:
        raise ValueError(f"rates_hz must be (n_samples, n_inputs), got shape {rates_hz.shape}.")
    if n_steps < 1:
        raise ValueError(f"Need n_steps >= 1, got {n_steps}.")
    if not dt_ms > 0:
        raise ValueError(f"Need dt_ms > 0, got {dt_ms}.")
    per_step: NDArray[np.floating] = rates_hz * (dt_ms / MS_PER_S)
    if not (np.all(per_step >= 0) and np.all(per_step <= 1)):
        raise ValueError(
            f"Need 0 <= rate_hz <= {MS_PER_S / dt_ms:g}, one spike per step of {dt_ms:g} ms, got "
            f"rates from {np.min(rates_hz)} to {np.max(rates_hz)}."
        )
    return per_step
