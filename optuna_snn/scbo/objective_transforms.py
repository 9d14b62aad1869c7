"""The objective as a Gaussian process sees it (SCBO, section 3).

It is maximised here; the transforms are strictly increasing.

Departure from the paper, a choice of `options`: the objective is standardised with its bad tail
compressed, not turned into normal scores of its ranks. A refined draw needs the distances between
the good values, which ranks throw away. So would the huge numbers that many objectives return
where they fail: beside 1e6 all good values are the same. What lies so far below them is left out
of the scale, and comes close.
"""

from __future__ import annotations

from typing import Literal

import numpy as np

from optuna_snn.scbo.space import Array

Objective = Literal["compressed", "standardised", "ranks"]

FAR, MIN_NEAR = 1e3, 5
"""Values are far below a gap of FAR times the distance from the best, of MIN_NEAR at least."""
MIN_EARLY, MAX_EARLY = 10, 30
"""Values, the first ones, that tell how far the objective spreads."""
DEPTH = 3.0
"""Logarithm of the depth of the bad tail from which on it is compressed twice."""


def transform_objective(y: Array, kind: Objective = "compressed") -> Array:
    """The objective (n,) as the model sees it, increasing in y; larger is better, NaN stays."""
    if kind == "compressed":
        return compress_bad_tail(y)
    if kind == "standardised":
        finite = clip_objective(y)
        # The model standardises it; the squares of huge values would overflow there.
        return finite / max(1.0, float(np.abs(finite[~np.isnan(y)]).max(initial=0.0)))
    if kind == "ranks":
        return normal_scores(y)
    raise ValueError(f"objective must be compressed, standardised or ranks, got {kind!r}.")


def normal_scores(y: Array) -> Array:
    """Ranks through the inverse of the normal distribution: the paper's Gaussian copula. (n,)."""
    # SciPy's statistics take half a second to import, and nothing else needs them.
    from scipy.special import ndtri
    from scipy.stats import rankdata

    known = ~np.isnan(y)
    scores = np.full(len(y), np.nan)
    if known.any():
        scores[known] = ndtri((rankdata(y[known]) - 0.5) / known.sum())
    return scores


def compress_bad_tail(y: Array) -> Array:
    """Strictly increasing; linear above the median, logarithmic far below it.

    With the spread s between the median and the best, u = (y - median) / s is kept where
    u >= -1 and becomes -1 - t(log(-u)) below, where t(v) = v up to DEPTH and DEPTH +
    log(1 + v - DEPTH) beyond: values and slopes are continuous. The median is of the values that
    do not lie far below the best (`_near_best`), as the large numbers do that some give to
    failures.
    y: (n,), larger is better, NaN stays. Returns (n,).
    """
    finite = clip_objective(y)
    known = finite[~np.isnan(finite)]
    if len(known) == 0:
        return finite
    # Scaled by the largest magnitude first, so that differences of huge values stay finite.
    unit = max(float(np.abs(known).max()), np.finfo(float).tiny)
    scaled, near = finite / unit, _near_best(known / unit)
    median, best = float(np.median(near)), float(near.max())
    spread = best - median
    if not spread > 0.0:
        spread = median - float(near.min()) or 1.0
    with np.errstate(over="ignore"):
        u = np.clip((scaled - median) / spread, -1e300, None)
    depth = np.log(np.maximum(-u, 1.0))
    depth = np.where(depth > DEPTH, DEPTH + np.log1p(np.maximum(depth - DEPTH, 0.0)), depth)
    return np.where(u < -1.0, -1.0 - depth, u)


def _near_best(y: Array) -> Array:
    """The values (n,) above the first gap of FAR times what lies above it; all if there is none.

    At least MIN_NEAR values lie above a gap, and not all equal. Differences between them would be
    less than the least noise of a model, if the gap counted.
    """
    distance = np.sort(y.max() - y)
    above, below = distance[MIN_NEAR - 1 : -1], distance[MIN_NEAR:]
    gaps = np.flatnonzero((above > 0.0) & (below / FAR > above))
    return y if len(gaps) == 0 else y[y.max() - y <= above[gaps[0]]]


def spread_of_early(y: Array) -> float:
    """Distance of the best value from the median of the first ones (n,).

    These are a third of all, but MIN_EARLY to MAX_EARLY; without those that lie far below the best
    of them. Later values crowd around the best where a search has converged.
    """
    finite = clip_objective(y)
    early = _near_best(finite[: min(MAX_EARLY, max(MIN_EARLY, len(finite) // 3))])
    return float(finite.max() - np.median(early))


def clip_objective(y: Array) -> Array:
    """Replace +inf by the best finite value and -inf by the worst. NaN stays. (n,)."""
    finite = y[np.isfinite(y)]
    best, worst = (float(finite.max()), float(finite.min())) if len(finite) else (0.0, 0.0)
    return np.where(y == np.inf, best, np.where(y == -np.inf, worst, y))
