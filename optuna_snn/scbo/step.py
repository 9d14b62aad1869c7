"""What one step draws and ranks points with."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from optuna_snn.scbo.options import Options
from optuna_snn.scbo.paths import Path
from optuna_snn.scbo.slices import Slice
from optuna_snn.scbo.space import Array
from optuna_snn.scbo.thompson import Draws, Goal, evaluate, merit_order


@dataclass(frozen=True)
class Step:
    """The draws of one step, and what its points are ranked by.

    Points (d,) are of the slice that is searched.
    """

    path: Path
    space: Slice
    center: Array | None
    """The point (d,) that the box lies around; None is the whole cube."""
    goal: Goal
    rng: np.random.Generator
    options: Options

    @property
    def has_choices(self) -> bool:
        """Whether there is a centre that other choices could be compared with."""
        return self.center is not None and bool(self.space.is_categorical.any())

    def draws_at(self, x: Array) -> Draws:
        """The draws at points (r, d)."""
        return evaluate(self.path, self.space, x, self.goal)

    def ranked(self, x: Array) -> Array:
        """The points (r, d), the best on the draws first."""
        best_first: Array = x[merit_order(self.draws_at(x))]
        return best_first

    def no_points(self) -> Array:
        """No points of the slice. (0, d)."""
        return np.empty((0, self.space.n_dims))
