"""Random search spaces, points in them, and what a later version of a study file makes of them."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np
from optuna.distributions import (
    BaseDistribution,
    CategoricalDistribution,
    FloatDistribution,
    IntDistribution,
)

from optuna_snn.history import to_params, to_space

Space = dict[str, BaseDistribution]

LARGEST = 1.7e308
ODD_CHOICES = (None, True, 3, 0.5, "a", math.nan, "ü,\n")
MAX_VALUES = 100
"""Values of a parameter up to which `values_of` counts them."""


def random_space(rng: np.random.Generator) -> Space:
    """One to five parameters of any kind."""
    return {f"p{k}": random_distribution(rng) for k in range(rng.integers(1, 6))}


def random_distribution(rng: np.random.Generator) -> BaseDistribution:
    """A parameter of any kind, with ordinary or extreme bounds; one in ten has a single value."""
    if rng.random() < 0.1:
        return _single(rng)
    kind = rng.integers(8)
    if kind == 0:
        return CategoricalDistribution([f"c{k}" for k in range(rng.choice([2, 3, 40, 2000]))])
    if kind == 1:
        return IntDistribution(int(rng.integers(-5, 5)), int(rng.integers(6, 10**6)))
    if kind == 2:
        return IntDistribution(1, int(rng.integers(2, 5000)), log=True)
    if kind == 3:
        return FloatDistribution(0.0, int(rng.integers(1, 50)) / 10, step=0.1)
    if kind == 4:
        low = 10.0 ** rng.uniform(-300, 290)
        return FloatDistribution(low, low * 10.0 ** rng.uniform(0.1, 10), log=True)
    if kind == 5:
        return FloatDistribution(-1e308, 1e308)
    if kind == 6:
        return CategoricalDistribution(ODD_CHOICES)
    return FloatDistribution(-1.0, 1.0)


def tiny_space(rng: np.random.Generator) -> Space:
    """One to three parameters of at most three values."""
    kinds = [
        CategoricalDistribution(["a", "b", "c"]),
        CategoricalDistribution([False, True]),
        IntDistribution(0, 1),
        IntDistribution(1, 2, log=True),
        IntDistribution(-2, 2, step=2),
        FloatDistribution(0.0, 1.0, step=0.5),
        _single(rng),
    ]
    return {f"p{k}": kinds[rng.integers(len(kinds))] for k in range(rng.integers(1, 4))}


def _single(rng: np.random.Generator) -> BaseDistribution:
    kinds = [
        FloatDistribution(2.5, 2.5),
        FloatDistribution(1e-3, 1e-3, log=True),
        FloatDistribution(0.1, 0.1, step=0.1),
        IntDistribution(3, 3),
        CategoricalDistribution(["only"]),
    ]
    return kinds[rng.integers(len(kinds))]


def another_version(rng: np.random.Generator, d: BaseDistribution) -> BaseDistribution:
    """The parameter as another version of the study file had it: bounds, scale, step or kind."""
    kind = int(rng.integers(6))
    if kind == 0 or d.single():
        return random_distribution(rng)
    if isinstance(d, CategoricalDistribution):
        return CategoricalDistribution([*d.choices[1:], "new"] if kind < 3 else d.choices[:-1])
    if isinstance(d, IntDistribution):
        return _another_int(kind, d)
    assert isinstance(d, FloatDistribution)
    return _another_float(kind, d)


def _another_int(kind: int, d: IntDistribution) -> BaseDistribution:
    if kind == 1:
        return IntDistribution(d.low, (d.low + d.high) // 2, log=d.log)
    if kind == 2:
        return IntDistribution(d.low, 2 * d.high, log=d.log)
    if kind == 3:
        return IntDistribution(d.high + 1, d.high + 10, log=d.log)
    if kind == 4:
        return IntDistribution(max(d.low, 1), d.high, log=not d.log)
    return FloatDistribution(float(d.low), d.high + 0.5)


def _another_float(kind: int, d: FloatDistribution) -> BaseDistribution:
    if kind == 1:
        return FloatDistribution(d.low / 2 + d.high / 2, d.high, log=d.log)
    if kind == 2:
        return FloatDistribution(d.low, min(2.0 * d.high, LARGEST), log=d.log)
    if kind == 3:
        return FloatDistribution(1.1 * d.high, 1.5 * d.high, log=d.log)
    if kind == 4:
        return FloatDistribution(1e-3 * d.high, d.high, log=not d.log)
    return FloatDistribution(0.0, 1.0, step=0.25)


def params_in(rng: np.random.Generator, space: Mapping[str, BaseDistribution]) -> dict[str, Any]:
    """A random point of the space."""
    # Not by another sampler of Optuna: they overflow at bounds of 1e308.
    return to_params(rng.random(len(space)), space, to_space(space))


def values_of(d: BaseDistribution) -> list[Any]:
    """All values of a parameter; none where there are more than MAX_VALUES."""
    if isinstance(d, CategoricalDistribution):
        return list(d.choices) if len(d.choices) <= MAX_VALUES else []
    assert isinstance(d, IntDistribution | FloatDistribution)
    if d.single():
        return [d.low]
    if d.step is None or (d.high - d.low) / d.step >= MAX_VALUES:
        return []
    return [d.low + k * d.step for k in range(round((d.high - d.low) / d.step) + 1)]
