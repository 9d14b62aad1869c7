"""A snapshot of the study in the unit cube: what the next suggestion is computed from."""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np
from optuna.distributions import BaseDistribution

from optuna_snn.history.parameters import to_points
from optuna_snn.history.records import Snapshot
from optuna_snn.scbo.observations import Observations
from optuna_snn.scbo.space import SearchSpace


def observe(
    snapshot: Snapshot, distributions: Mapping[str, BaseDistribution], space: SearchSpace
) -> tuple[list[str], Observations]:
    """The snapshot in the unit cube: names of the constraints, and what is known.

    Trials outside the space, and trials that taught nothing, are left out.
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
    return names, Observations(
        x=x[is_used],
        y=y[is_used],
        c=c[is_used],
        center=center[0] if len(center) else None,
        pending=pending[pending_inside],
        failed=x[is_failed & is_inside],
    )
