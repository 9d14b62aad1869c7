"""A snapshot of the study in the unit cube: what the next suggestion is computed from."""

from __future__ import annotations

import math
from collections.abc import Container, Mapping
from typing import Any, NamedTuple

import numpy as np
from optuna.distributions import BaseDistribution

from optuna_snn.history.parameters import has_needed, to_points, to_space
from optuna_snn.history.reader import Snapshot
from optuna_snn.history.rows import FAILED
from optuna_snn.scbo.constraint_transforms import typical_size
from optuna_snn.scbo.observations import Observations
from optuna_snn.scbo.space import Array

PRESUMED_SLACK = 0.05
"""Slack of a survivor's constraint, as part of its typical size, while no other is known."""


class Observed(NamedTuple):
    """Names of the constraints (m,), what is known, and the numbers of the trials (n,)."""

    names: list[str]
    known: Observations
    numbers: list[int]


def observe(
    snapshot: Snapshot,
    distributions: Mapping[str, BaseDistribution],
    conditional: Container[str] = (),
) -> Observed:
    """The snapshot in the unit cube, NaN where a point lacks a conditional parameter.

    Trials outside the space, and trials that taught nothing, are left out. Survivors are known
    by what their constraints are presumed to be, and they may be the centre, without a value.
    """
    rows, state, space = snapshot.rows, snapshot.state, to_space(distributions)
    is_inside = has_needed(rows.x, distributions, conditional)
    is_failed = rows.epoch == FAILED
    teaches = ~np.isnan(rows.y) | ~np.isnan(rows.c).all(axis=1)
    is_used = is_inside & ~is_failed & teaches
    # Most often all are used: a slice copies nothing, which 10,000 trials would feel.
    used = slice(None) if is_used.all() else is_used
    x, y, c, c_sd = rows.x[used], rows.y[used], rows.c[used], rows.c_sd[used]
    incumbent = -1 if state.incumbent is None else state.incumbent.number
    # The incumbent may be a trial without a tag, which counts to no epoch but the first.
    is_here = (rows.epoch[used] == state.region.epoch) | (rows.number[used] == incumbent)
    may_center = rows.may_center[used] & is_here & ~np.isnan(c).any(axis=1)
    center = rows.x[is_inside & (rows.number == incumbent)]

    pending, pending_inside = to_points(snapshot.pending, distributions, space, conditional)
    presumed, presumed_inside = to_points(
        snapshot.survivors.values(), distributions, space, conditional
    )
    presumed = presumed[presumed_inside]
    n_presumed = len(presumed)
    if n_presumed:
        x = np.concatenate([x, presumed])
        y = np.append(y, np.full(n_presumed, math.nan))
        c = np.concatenate([c, np.tile(_presumed(c), (n_presumed, 1))])
        c_sd = np.concatenate([c_sd, np.zeros((n_presumed, c.shape[1]))])
        may_center = np.append(may_center, np.ones(n_presumed, dtype=bool))
    known = Observations(
        x=x,
        y=y,
        c=c,
        center=center[0] if len(center) else None,
        pending=pending[pending_inside],
        tried=rows.x if is_inside.all() else rows.x[is_inside],
        failed=rows.x[is_failed & is_inside],
        may_center=may_center,
        c_sd=c_sd if c_sd.any() else None,
    )
    survivors = [n for n, i in zip(snapshot.survivors, presumed_inside, strict=True) if i]
    numbers = [*rows.number[used].tolist(), *survivors]
    return Observed(sorted(state.known_constraints), known, numbers)


def is_taken(
    params: Mapping[str, Any],
    snapshot: Snapshot,
    distributions: Mapping[str, BaseDistribution],
    conditional: Container[str] = (),
) -> bool:
    """Whether another trial has this point of a discrete space in which some are still free."""
    from optuna_snn.scbo.novelty import is_exhausted, unused
    from optuna_snn.scbo.patterns import impute, imputed

    space = to_space(distributions)
    x, _ = to_points([params], distributions, space, conditional)
    known = impute(space, observe(snapshot, distributions, conditional).known)
    return len(unused(space, known, imputed(space, x))) == 0 and not is_exhausted(space, known)


def _presumed(c: Array) -> Array:
    """What each constraint (n, m) of a survivor is presumed to be: as of other feasible trials.

    (m,). Where there is none, a little below 0; NaN where nothing is known of the constraint.
    """
    return np.array([_presumed_value(column[np.isfinite(column)]) for column in c.T])


def _presumed_value(c: Array) -> float:
    held = c[c < 0.0]
    if len(held):
        return -typical_size(held)
    return -PRESUMED_SLACK * typical_size(c) if len(c) else math.nan
