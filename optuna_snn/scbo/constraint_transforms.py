"""Constraints as their Gaussian processes see them (SCBO, section 3).

They are feasible where ``c <= 0``; the transforms keep what is feasible so.

Departures from the paper, each but the last a choice of `options`:

1. Each constraint is divided by its typical size before bilog, so that constraints in units of
   1e4 and of 1e-3 weigh alike.
2. Where a constraint jumps, the jump is taken out. A network that is stopped has most of its
   samples silent, one that is not stopped next to none: nothing lies between, and which of the
   two happens is partly luck. Left in, the gap outweighs what the violations tell of each other,
   which is how far away from silence each network was. And each of two narrow sides is scaled by
   its own mean: what holds is all but equal, and what fails is most of what is known, so that
   otherwise the threshold lies at the edge of all values, and next to no point is ever predicted
   to hold.
   Known errors are not magnified with the differences within a side: however little one feasible
   share differs from another, both are far from the jump.
3. Where no value of a constraint is below 0, those that are 0 count as half a unit below: it is
   one that tells only how far it is violated, and a process of zeros would not dare to move
   where it holds.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from optuna_snn.scbo.space import Array

GAP_RATIO, MIN_VIOLATIONS = 4.0, 5
ROUNDING = 1e-9
MAX_WARPED_SD = 1e3
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
    """Scale each column by its typical size, bilog, and close its gap (departures 1 to 3).

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
