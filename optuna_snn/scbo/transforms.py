"""Transforms of what was observed, before a Gaussian process sees it (SCBO, section 3).

The objective is maximised here; the transforms of it are strictly increasing.
Constraints are feasible where ``c <= 0``; the transforms of them keep what is feasible so.

Departures from the paper, each but the last a choice of `options`:

1. The objective is standardised with its bad tail compressed, not turned into normal scores of
   its ranks: a refined draw needs the distances between the good values, which ranks throw away.
   So would the huge numbers that many objectives return where they fail: beside 1e6 all good
   values are the same. What lies so far below them is left out of the scale, and comes close.
2. Each constraint is divided by its typical size before bilog, so that constraints in units of
   1e4 and of 1e-3 weigh alike.
3. Where a constraint jumps, the jump is taken out. A network that is stopped has most of its
   samples silent, one that is not stopped next to none: nothing lies between, and which of the
   two happens is partly luck. Left in, the gap outweighs what the violations tell of each other,
   which is how far away from silence each network was. And each of two narrow sides is scaled by
   its own mean: what holds is all but equal, and what fails is most of what is known, so that
   otherwise the threshold lies at the edge of all values, and next to no point is ever predicted
   to hold.
   Known errors are not magnified with the differences within a side: however little one feasible
   share differs from another, both are far from the jump.
"""

from __future__ import annotations

from typing import Literal, NamedTuple

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float64]
Objective = Literal["compressed", "standardised", "ranks"]

GAP_RATIO, MIN_VIOLATIONS = 4.0, 5
ROUNDING = 1e-9
MAX_WARPED_SD = 1e3
FAR, MIN_NEAR = 1e3, 5
"""Values are far below a gap of FAR times the distance from the best, of MIN_NEAR at least."""
MIN_EARLY, MAX_EARLY = 10, 30
"""Values, the first ones, that tell how far the objective spreads."""
DEPTH = 3.0
"""Logarithm of the depth of the bad tail from which on it is compressed twice."""
ZERO_SLACK = 0.5
"""In units of warped constraints."""


def bilog(c: Array) -> Array:
    """sign(c) log(1 + |c|): compresses large magnitudes and keeps the sign. Any shape."""
    return np.sign(c) * np.log1p(np.abs(c))


def typical_size(c: Array) -> float:
    """Median magnitude of the finite, non-zero entries; 1 where there is none. (n,)."""
    magnitudes = np.abs(c[np.isfinite(c) & (c != 0.0)])
    if len(magnitudes) == 0:
        return 1.0
    # The median of two is their mean: relative to the largest, it cannot overflow.
    largest = float(magnitudes.max())
    size = largest * float(np.median(magnitudes / largest))
    return size if size > 0.0 else largest


def warp_constraints(
    c: Array, is_scaled: bool = True, is_gap_closed: bool = True, is_gap_scaled: bool = True
) -> Array:
    """Scale each column by its typical size, bilog, and close its gap (departures 2 to 4).

    c: (n, m), NaN where a trial lacks the constraint (stays NaN); infinities become the largest
    finite magnitude of their column. Returns (n, m), positive where `c` is.
    """
    warped = np.empty_like(c)
    for j in range(c.shape[1]):
        column = _column(c[:, j], is_scaled)
        warped[:, j] = close_gap(column, is_gap_scaled) if is_gap_closed else column
    is_zero = warped == 0.0
    is_least = ~(c < 0.0).any(axis=0)
    warped = np.where(is_zero & (c == 0.0) & is_least, -ZERO_SLACK, warped)
    # A tiny value divided by a large scale becomes 0, and infeasible must not become feasible.
    return np.where(is_zero & (c != 0.0), np.copysign(np.finfo(float).tiny, c), warped)


def warped_sd(c: Array, sd: Array, is_scaled: bool = True, is_gap_scaled: bool = True) -> Array:
    """Standard deviation that warped constraints are taken to have, from their own; each (n, m).

    By the slope of the warp, 1 / (size + |c|) with the column's typical size; NaN stays. Where a
    gap is closed and its two sides are scaled, their means come to lie 2 apart, and the errors are
    scaled as their distance is. More than MAX_WARPED_SD is as good as not observed.
    """
    warped = np.empty_like(c)
    for j in range(c.shape[1]):
        size = typical_size(c[:, j]) if is_scaled else 1.0
        column = _column(c[:, j], is_scaled)
        gap = gap_of(column) if is_gap_scaled else None
        has_gap = gap is not None and gap.is_split
        distance = column[column > 0.0].mean() - column[column <= 0.0].mean() if has_gap else 2.0
        with np.errstate(over="ignore"):
            warped[:, j] = sd[:, j] / (size + np.abs(c[:, j])) * 2.0 / distance
    capped: Array = np.minimum(warped, MAX_WARPED_SD)
    return capped


def _column(c: Array, is_scaled: bool) -> Array:
    """One constraint (n,), warped, with its gap."""
    return _scaled_bilog(c) if is_scaled else bilog(clip_infinities(c))


def _scaled_bilog(c: Array) -> Array:
    with np.errstate(over="ignore", under="ignore"):
        scaled = c / typical_size(c)
    return bilog(clip_infinities(scaled))


def jumps(c: Array) -> npt.NDArray[np.bool_]:
    """Which columns of the constraints c (n, m) have a gap around 0. (m,)."""
    return np.array([gap is not None for gap in _gaps(c)], dtype=bool)


def is_split(c: Array) -> npt.NDArray[np.bool_]:
    """Which columns of the constraints c (n, m) jump from one narrow side to another. (m,)."""
    return np.array([gap is not None and gap.is_split for gap in _gaps(c)], dtype=bool)


def _gaps(c: Array) -> list[Gap | None]:
    return [gap_of(_scaled_bilog(column)) for column in c.T]


class Gap(NamedTuple):
    """A gap around 0 in one constraint's values."""

    low: float
    """Its lower end, at most 0."""
    high: float
    """Its upper end."""
    spread: float
    """Standard deviation of the values above it."""
    is_split: bool
    """Whether it is GAP_RATIO times as wide as the standard deviation of those below as well."""


def gap_of(warped: Array) -> Gap | None:
    """The gap around 0 in one constraint's values (n,).

    None where there is none: it has to be GAP_RATIO times as wide as the violations' standard
    deviation, of at least MIN_VIOLATIONS of them, and to have something on its other side.
    """
    violated, held = warped[warped > 0.0], warped[warped <= 0.0]
    if len(violated) < MIN_VIOLATIONS or len(held) == 0:
        return None
    low, high, spread = float(held.max()), float(violated.min()), float(violated.std())
    # The standard deviation of equal values is their rounding.
    is_gap = spread > ROUNDING * high and high - low > GAP_RATIO * spread
    if not is_gap:
        return None
    return Gap(low, high, spread, is_split=high - low > GAP_RATIO * float(held.std()))


def close_gap(warped: Array, is_scaled: bool = True) -> Array:
    """Move both sides of a gap to half a standard deviation from 0; else no change. (n,).

    is_scaled: whether the means of two narrow sides are scaled to +-1.
    """
    gap = gap_of(warped)
    if gap is None:
        return warped
    above = warped - gap.high + 0.5 * gap.spread
    below = warped - gap.low - 0.5 * gap.spread
    is_violated, holds = warped > 0.0, warped <= 0.0
    if is_scaled and gap.is_split:
        above /= float(above[is_violated].mean())
        below /= -float(below[holds].mean())
    return np.where(is_violated, above, below)


def clip_infinities(values: Array) -> Array:
    """Replace infinities by the largest and smallest finite entry (or +-1). NaN stays. (n,)."""
    finite = values[np.isfinite(values)]
    top = float(finite.max()) if len(finite) else 1.0
    bottom = float(finite.min()) if len(finite) else -1.0
    clipped = np.where(values == np.inf, max(top, 1.0), values)
    return np.where(values == -np.inf, min(bottom, -1.0), clipped)


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
    # Here, since `import optuna_snn` reads this file and SciPy's statistics take half a second.
    from scipy.special import ndtri
    from scipy.stats import rankdata

    known = ~np.isnan(y)
    scores = np.full(len(y), np.nan)
    if known.any():
        scores[known] = ndtri((rankdata(y[known]) - 0.5) / known.sum())
    return scores


def compress_bad_tail(y: Array) -> Array:
    """Strictly increasing; linear above the median, logarithmic far below it (departure 1).

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
