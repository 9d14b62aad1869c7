"""Eleven gestures as moving limbs, in analogy to those of DVS128 Gesture.

A limb is a capsule: all points within a radius of the line from its root to its tip. Positions are
in pixels of a sensor of 128 x 128, x to the right, y down, (0, 0) at the middle of the person.
The person faces the camera, so that the right arm is on the left; clockwise is as the camera sees
it. What one arm does clockwise and counter-clockwise covers the same pixels: only the order in
time tells the two apart.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

__all__ = ["MOTIONS", "Limb", "Person", "draw_person"]

Array = NDArray[np.floating]


@dataclass(frozen=True)
class Limb:
    """Where a limb is: root and tip, both (n_frames, 2) as x, y."""

    root: Array
    tip: Array


@dataclass(frozen=True)
class Person:
    """How somebody looks and moves.

    middle:      (2,) position of the person in pixels from the middle of the picture
    scale:       size, 1 on average
    tempo_hz:    cycles of a gesture per second
    radius:      half the width of a limb in pixels
    brightness:  intensity of the limbs; that of the background is 1 on average
    """

    middle: Array
    scale: float
    tempo_hz: float
    radius: float
    brightness: float


def draw_person(rng: np.random.Generator) -> Person:
    """Draw somebody at random."""
    ratio = rng.uniform(1.6, 3.0)
    return Person(
        middle=rng.uniform(-6, 6, size=2),
        scale=rng.uniform(0.85, 1.15),
        tempo_hz=rng.uniform(1.0, 2.0),
        radius=rng.uniform(3.0, 5.0),
        brightness=ratio if rng.random() < 0.5 else 1 / ratio,
    )


def _points(x: Array | float, y: Array | float) -> Array:
    return np.stack(np.broadcast_arrays(x, y), axis=-1).astype(np.float64)


def _still(phase: Array, x: float, y: float) -> Array:
    return _points(np.full_like(phase, x), y)


def _clap(phase: Array, rng: np.random.Generator) -> list[Limb]:
    reach = 4 + 8 * (1 + np.cos(phase))
    return [Limb(_still(phase, side * 26, 20), _points(side * reach, 0)) for side in (-1, 1)]


def _wave(side: int) -> Callable[[Array, np.random.Generator], list[Limb]]:
    """A raised forearm that swings like a pendulum."""

    def motion(phase: Array, rng: np.random.Generator) -> list[Limb]:
        angle = 0.7 * np.sin(phase)
        elbow = (side * 28, 10)
        tip = _points(elbow[0] + 28 * np.sin(angle), elbow[1] - 28 * np.cos(angle))
        return [Limb(_still(phase, *elbow), tip)]

    return motion


def _circle(side: int, direction: int) -> Callable[[Array, np.random.Generator], list[Limb]]:
    """A stretched arm that turns about the shoulder; direction 1 is clockwise (y points down)."""

    def motion(phase: Array, rng: np.random.Generator) -> list[Limb]:
        shoulder = (side * 22, -6)
        tip = _points(
            shoulder[0] + 26 * np.cos(phase), shoulder[1] + 26 * np.sin(direction * phase)
        )
        return [Limb(_still(phase, *shoulder), tip)]

    return motion


def _roll(phase: Array, rng: np.random.Generator) -> list[Limb]:
    """Two forearms, one above the other, that turn about each other before the chest."""
    height, shift = 10 * np.sin(phase), 4 * np.cos(phase)
    return [
        Limb(
            _points(side * 22, 8 + side * height),
            _points(-side * 6 + side * shift, 8 + side * height),
        )
        for side in (-1, 1)
    ]


def _drum(phase: Array, rng: np.random.Generator) -> list[Limb]:
    """Two forearms that strike down in turn."""
    return [
        Limb(_still(phase, side * 28, 0), _points(side * 12, 10 + side * 14 * np.sin(phase)))
        for side in (-1, 1)
    ]


def _guitar(phase: Array, rng: np.random.Generator) -> list[Limb]:
    """The right hand strums, the left one slides along the neck."""
    strum = 9 * np.sin(2 * phase)
    slide = 6 * np.sin(0.5 * phase)
    return [
        Limb(_still(phase, -26, 0), _points(-6 + 0.3 * strum, 16 + strum)),
        Limb(_still(phase, 24, 8), _points(34 + slide, -12 - 0.4 * slide)),
    ]


def _other(phase: Array, rng: np.random.Generator) -> list[Limb]:
    """One or two hands on paths of their own, different in each recording."""
    limbs = []
    for side in rng.permutation([-1, 1])[: rng.integers(1, 3)]:
        size, rate = rng.uniform(4, 12, size=(2, 2)), rng.uniform(0.3, 1.3, size=(2, 2))
        start = rng.uniform(0, 2 * np.pi, size=(2, 2))
        path = (size * np.sin(rate * phase[:, None, None] + start)).sum(axis=-1)
        tip = path + np.array([side * rng.uniform(4, 28), rng.uniform(-20, 20)])
        limbs.append(Limb(_still(phase, side * 26, 14), tip))
    return limbs


MOTIONS: tuple[Callable[[Array, np.random.Generator], list[Limb]], ...] = (
    _clap,
    _wave(-1),
    _wave(1),
    _circle(-1, 1),
    _circle(-1, -1),
    _circle(1, 1),
    _circle(1, -1),
    _roll,
    _drum,
    _guitar,
    _other,
)
"""Class -> limbs at phases (n_frames,) in radians, in the order of `DVS_GESTURE.class_names`."""
