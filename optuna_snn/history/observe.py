"""A snapshot of the study in the unit cube: what the next suggestion is computed from."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
from optuna.distributions import BaseDistribution

from optuna_snn.history.parameters import to_points
from optuna_snn.history.records import Snapshot
from optuna_snn.scbo.observations import Observations
from optuna_snn.scbo.space import Array, SearchSpace
from optuna_snn.scbo.transforms import typical_size

PRESUMED_SLACK = 0.05
"""Slack of a survivor's constraint, as part of its typical size, while no other is known."""


class Observed(NamedTuple):
    """Names of the constraints (m,), what is known, and the numbers of its survivors."""

    names: list[str]
    known: Observations
    survivors: list[int]


def observe(
    snapshot: Snapshot, distributions: Mapping[str, BaseDistribution], space: SearchSpace
) -> Observed:
    """The snapshot in the unit cube.

    Trials outside the space, and trials that taught nothing, are left out. Survivors are known
    by what their constraints are presumed to be; while no finished trial is feasible they may be
    the centre.
    """
    names = sorted(snapshot.state.known_constraints)
    x, is_inside = to_points((r.params for r in snapshot.records), distributions, space)
    c = np.array(
        [
            [
                r.outcome.constraints.get(name, math.nan) if r.outcome else math.nan
                for name in names
            ]
            for r in snapshot.records
        ]
    ).reshape(len(snapshot.records), len(names))
    y = np.array([r.y for r in snapshot.records])
    is_failed = np.array([r.outcome is None for r in snapshot.records], dtype=bool)
    is_used = is_inside & ~is_failed & ~(np.isnan(y) & np.isnan(c).all(axis=1))
    pending, pending_inside = to_points(snapshot.pending, distributions, space)
    incumbent = snapshot.state.incumbent
    is_center = np.array(
        [incumbent is not None and r.number == incumbent.number for r in snapshot.records],
        dtype=bool,
    )
    center = x[is_center & is_inside]
    presumed, presumed_inside = to_points(snapshot.survivors.values(), distributions, space)
    presumed = presumed[presumed_inside]
    has_feasible = incumbent is not None and incumbent.is_feasible
    known = Observations(
        x=np.concatenate([x[is_used], presumed]),
        y=np.append(y[is_used], np.full(len(presumed), math.nan)),
        c=np.concatenate([c[is_used], np.tile(_presumed(c[is_used]), (len(presumed), 1))]),
        center=center[0] if len(center) else None,
        pending=pending[pending_inside],
        failed=x[is_failed & is_inside],
        survivors=presumed[:0] if has_feasible else presumed,
    )
    numbers = [n for n, i in zip(snapshot.survivors, presumed_inside, strict=True) if i]
    return Observed(names, known, numbers)


def _presumed(c: Array) -> Array:
    """What each constraint (n, m) of a survivor is presumed to be: as of other feasible trials.

    (m,). Where there is none, a little below 0; NaN where nothing is known of the constraint.
    """
    return np.array([_presumed_value(column[np.isfinite(column)]) for column in c.T])


def _presumed_value(c: Array) -> float:
    held = c[c < 0.0]
    if len(held):
        return float(np.median(held))
    return -PRESUMED_SLACK * typical_size(c) if len(c) else math.nan
