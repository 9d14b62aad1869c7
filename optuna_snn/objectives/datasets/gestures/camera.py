"""A model of a dynamic vision sensor: what light changes at its pixels become which events.

A pixel remembers the logarithm of its intensity at its last event. When the present one departs
from it by the pixel's threshold, it sends ON or OFF and remembers the new level; then it is blind
for the refractory period (Lichtsteiner, Posch & Delbruck, IEEE J. Solid-State Circuits 43, 2008).
Thresholds differ a little between pixels, and each sends a few events without cause.

Symbols: u = log intensity in thresholds, counted from its value at the start; k = level that the
pixel remembers, an integer. The rule above is k <- clip(k, floor(u), ceil(u)), the play operator:
k follows u, but stays when u turns back by less than 1.

Departures:
1. Intensities are known at the frames of a film and taken as linear in the logarithm between them.
2. An event within the refractory period is lost, but the level it would have set is remembered.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from optuna_snn.objectives.datasets.events import Events

__all__ = ["EventCamera", "record"]

US_PER_S = 1e6


@dataclass(frozen=True)
class EventCamera:
    """The properties of a sensor of side x side pixels.

    threshold:     change of the natural logarithm of the intensity that makes an event
    mismatch:      standard deviation of the threshold over pixels
    refractory_us: shortest time between two events of a pixel
    noise_hz:      rate of events without cause of each pixel
    """

    side: int = 128
    threshold: float = 0.2
    mismatch: float = 0.02
    refractory_us: int = 1000
    noise_hz: float = 0.1


def record(
    log_intensity: NDArray[np.float32],
    pixels: NDArray[np.int64],
    camera: EventCamera,
    *,
    frame_us: int,
    rng: np.random.Generator,
) -> Events:
    """Film pixels whose intensity changes; the others of the sensor send noise only.

    log_intensity: (n_frames, n_pixels), frame i at i * frame_us
    pixels:        (n_pixels,) y * side + x, each once
    """
    thresholds = camera.threshold + camera.mismatch * rng.standard_normal(len(pixels))
    thresholds = np.maximum(thresholds, camera.threshold / 2).astype(np.float32)
    u = (log_intensity - log_intensity[0]) / thresholds
    which, is_on, t_us = _crossings(u, frame_us)
    pixel = pixels[which]

    duration_us = (len(log_intensity) - 1) * frame_us
    n_noise = rng.poisson(camera.noise_hz * camera.side**2 * duration_us / US_PER_S)
    pixel = np.concatenate([pixel, rng.integers(camera.side**2, size=n_noise)])
    is_on = np.concatenate([is_on, rng.random(n_noise) < 0.5])
    t_us = np.concatenate([t_us, rng.integers(duration_us + 1, size=n_noise)])

    order = np.lexsort((t_us, pixel))
    order = order[_outside_refractory(pixel[order], t_us[order], camera.refractory_us)]
    order = order[np.argsort(t_us[order], kind="stable")]
    y, x = np.divmod(pixel[order], camera.side)
    return Events(x, y, is_on[order], t_us[order])


def _crossings(
    u: NDArray[np.float32], frame_us: int
) -> tuple[NDArray[np.int64], NDArray[np.bool_], NDArray[np.int64]]:
    """Column of u, polarity and time of each event, without order; u is (n_frames, n_pixels)."""
    low, high = np.floor(u), np.ceil(u)
    k = np.zeros_like(u)
    for i in range(1, len(u)):
        np.clip(k[i - 1], low[i], high[i], out=k[i])
    change = np.diff(k, axis=0)
    frame, which = np.nonzero(change)
    n_levels = np.abs(change[frame, which]).astype(np.int64)
    # A change by several levels is as many events: repeat its row, and count 1, 2, ... within it.
    row = np.repeat(np.arange(len(frame)), n_levels)
    count = np.arange(len(row)) - np.repeat(np.cumsum(n_levels) - n_levels, n_levels) + 1
    frame, which = frame[row], which[row]
    is_on = change[frame, which] > 0
    level = k[frame, which] + np.where(is_on, count, -count)
    before, after = u[frame, which], u[frame + 1, which]
    t_us = np.rint((frame + (level - before) / (after - before)) * frame_us).astype(np.int64)
    return which, is_on, t_us


def _outside_refractory(
    pixel: NDArray[np.int64], t_us: NDArray[np.int64], refractory_us: int
) -> NDArray[np.int64]:
    """Indices of the events that are sent; the arguments are sorted by pixel, then by time.

    A pixel's first event is sent, then the first one that is refractory_us or more after it, and
    so on: all pixels take that step together.
    """
    n = len(pixel)
    span = (t_us.max(initial=0) if n else 0) + refractory_us + 1
    keys = pixel * span + t_us
    following = np.maximum(np.searchsorted(keys, keys + refractory_us), np.arange(1, n + 1))
    current = np.flatnonzero(np.diff(pixel, prepend=-1))
    sent = np.zeros(n, dtype=np.bool_)
    while len(current):
        sent[current] = True
        following_now = following[current]
        is_there = following_now < n
        current, following_now = current[is_there], following_now[is_there]
        current = following_now[pixel[following_now] == pixel[current]]
    return np.flatnonzero(sent)
