"""Film a person who makes a gesture: limbs become log intensities, and these become events."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from optuna_snn.objectives.datasets.events import Events
from optuna_snn.objectives.datasets.gestures.camera import US_PER_S, EventCamera, record
from optuna_snn.objectives.datasets.gestures.motions import MOTIONS, Limb, Person

__all__ = ["LIGHTINGS", "Lighting", "film_gesture"]

FRAME_US = 4000
"""At the fastest tempo a fingertip moves two pixels in that time, less than an edge is wide."""

EDGE_PX = 2.5
"""Width over which a limb's edge goes from background to limb: the blur of the optics."""

SWAY_PX, SWAY_HZ = 1.0, 0.4
"""Nobody stands still."""

N_WAVES, WAVE_HEIGHT = 4, 0.05
"""The waves of intensity in the background, and the height of each."""

FRAMES_PER_BLOCK = 32
"""Frames rendered at once: small enough for the cache of a processor."""


@dataclass(frozen=True)
class Lighting:
    """Ambient light is added to everything, so that it lowers contrast; darkness brings noise."""

    ambient: float
    noise_hz: float


LIGHTINGS = {
    "led": Lighting(ambient=0.0, noise_hz=0.1),
    "natural": Lighting(ambient=0.4, noise_hz=0.3),
}


def film_gesture(
    gesture: int,
    person: Person,
    lighting: Lighting,
    *,
    duration_ms: int,
    rng: np.random.Generator,
    camera: EventCamera | None = None,
) -> Events:
    """The events of a recording; the gesture starts at a random phase.

    gesture: class, counted from 0, as in `MOTIONS`
    """
    camera = replace(camera or EventCamera(), noise_hz=lighting.noise_hz)
    n_frames = duration_ms * 1000 // FRAME_US + 1
    t_s = np.arange(n_frames) * (FRAME_US / US_PER_S)
    tempo_hz = person.tempo_hz * rng.uniform(0.9, 1.1)
    phase = 2 * np.pi * tempo_hz * t_s + rng.uniform(0, 2 * np.pi)
    sway = SWAY_PX * np.sin(2 * np.pi * SWAY_HZ * t_s[:, None] + rng.uniform(0, 2 * np.pi, size=2))
    # A little scatter of place, so that no two recordings of a person are alike.
    middle = camera.side / 2 + person.middle + rng.uniform(-2, 2, size=2)
    scale = person.scale * camera.side / 128
    limbs = [
        Limb(*(scale * points + middle + sway for points in (limb.root, limb.tip)))
        for limb in MOTIONS[gesture](phase, rng)
    ]
    pixels = _touched_pixels(limbs, person.radius + EDGE_PX, camera.side)
    background = _texture(camera.side, rng).ravel()[pixels]
    log_intensity = _render(limbs, person, background, pixels, camera.side, lighting.ambient)
    return record(log_intensity, pixels, camera, frame_us=FRAME_US, rng=rng)


def _texture(side: int, rng: np.random.Generator) -> NDArray[np.float32]:
    """(side, side) intensities of a background, 1 on average: a few soft waves."""
    y, x = np.mgrid[:side, :side] / side
    columns, rows, starts = rng.uniform([-4, -4, 0], [4, 4, 2 * np.pi], size=(N_WAVES, 3)).T
    waves = np.sin(2 * np.pi * (x[..., None] * columns + y[..., None] * rows) + starts)
    texture: NDArray[np.float32] = (1 + WAVE_HEIGHT * waves.sum(axis=-1)).astype(np.float32)
    return texture


def _touched_pixels(limbs: list[Limb], reach: float, side: int) -> NDArray[np.int64]:
    """Sorted indices y * side + x of the boxes that the limbs stay in."""
    is_touched = np.zeros((side, side), dtype=np.bool_)
    for limb in limbs:
        ends = np.concatenate([limb.root, limb.tip])
        low = np.clip(np.floor(ends.min(axis=0) - reach).astype(int), 0, side)
        high = np.clip(np.ceil(ends.max(axis=0) + reach).astype(int) + 1, 0, side)
        is_touched[low[1] : high[1], low[0] : high[0]] = True
    return np.flatnonzero(is_touched)


def _render(
    limbs: list[Limb],
    person: Person,
    background: NDArray[np.float32],
    pixels: NDArray[np.int64],
    side: int,
    ambient: float,
) -> NDArray[np.float32]:
    """(n_frames, n_pixels) log intensities of those pixels."""
    y, x = (each.astype(np.float32) for each in np.divmod(pixels, side))
    n_frames = len(limbs[0].tip)
    log_intensity = np.empty((n_frames, len(pixels)), dtype=np.float32)
    for start in range(0, n_frames, FRAMES_PER_BLOCK):
        block = slice(start, start + FRAMES_PER_BLOCK)
        squared = np.minimum.reduce([_squared_distance(limb, block, x, y) for limb in limbs])
        cover = np.clip((person.radius - np.sqrt(squared)) / EDGE_PX + 0.5, 0, 1)
        log_intensity[block] = np.log(
            background + cover * (np.float32(person.brightness) - background) + ambient
        )
    return log_intensity


def _squared_distance(
    limb: Limb, block: slice, x: NDArray[np.float32], y: NDArray[np.float32]
) -> NDArray[np.float32]:
    """(n_frames of the block, n_pixels) from each pixel to the line from root to tip."""
    root, along = limb.root[block], limb.tip[block] - limb.root[block]
    root_x, root_y, along_x, along_y = (
        each[:, None].astype(np.float32) for each in (*root.T, *along.T)
    )
    to_x, to_y = x - root_x, y - root_y
    length = np.maximum(along_x**2 + along_y**2, np.float32(1e-6))
    share = np.clip((to_x * along_x + to_y * along_y) / length, 0, 1)
    distance: NDArray[np.float32] = (to_x - share * along_x) ** 2 + (to_y - share * along_y) ** 2
    return distance
