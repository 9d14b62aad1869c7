"""What is known when a point is asked for."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from optuna_snn.scbo.space import Array


@dataclass(frozen=True)
class Observations:
    """What is known when a point is asked for, in the unit cube; larger objectives are better."""

    x: Array
    """Snapped points of finished trials (n, d)."""
    y: Array
    """Objective (n,), NaN where it is unknown (stopped early)."""
    c: Array
    """Constraints (n, m), feasible <= 0, NaN where a trial lacks one."""
    center: Array | None
    """The incumbent's point (d,)."""
    pending: Array
    """Points of running trials (k, d)."""
    failed: Array
    """Points of failed trials (k, d)."""
    survivors: Array = field(default_factory=lambda: np.empty((0, 0)))
    """Points (k, d) of running trials that are presumed feasible, where no finished one is."""
