"""What is known when a point is asked for."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import numpy as np
import numpy.typing as npt

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
    tried: Array
    """Points of all finished trials, also of those that taught nothing (t, d)."""
    failed: Array
    """Points of failed trials (k, d)."""
    may_center: npt.NDArray[np.bool_] = field(default_factory=lambda: np.empty(0, dtype=bool))
    """Which rows may be the centre in place of the incumbent (n,): feasible trials of this epoch
    that have a value, and running ones that are presumed feasible."""
    c_sd: Array | None = None
    """Standard deviation of the error of each constraint (n, m), 0 where it is not known to have
    one; None is all 0."""

    @property
    def is_feasible(self) -> npt.NDArray[np.bool_]:
        """Which rows have all constraints, and these hold. (n,)."""
        return np.asarray((self.c <= 0.0).all(axis=1))

    @property
    def lacked(self) -> npt.NDArray[np.bool_]:
        """Which coordinates some of the points do not have: NaN, in a conditional space. (d,)."""
        return np.asarray(np.isnan(self.x).any(axis=0) | np.isnan(self.tried).any(axis=0))

    def rows(self, kept: npt.NDArray[np.bool_] | npt.NDArray[np.int64]) -> Observations:
        """The same with some of the rows, by mask or index."""
        return replace(
            self,
            x=self.x[kept],
            y=self.y[kept],
            c=self.c[kept],
            c_sd=None if self.c_sd is None else self.c_sd[kept],
            may_center=self.may_center[kept] if len(self.may_center) else self.may_center,
        )

    def columns(self, kept: npt.NDArray[np.bool_]) -> Observations:
        """The same with some of the coordinates (d,)."""
        return replace(
            self,
            x=self.x[:, kept],
            center=None if self.center is None else self.center[kept],
            pending=self.pending[:, kept],
            tried=self.tried[:, kept],
            failed=self.failed[:, kept],
        )
