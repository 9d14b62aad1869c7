"""The trust region's length and counters, and how a result moves them (SCBO, section 3; TuRBO).

The region is the box of side ``length`` around the best point, in the unit cube. It doubles after
enough successes, halves after enough failures, and a restart begins a new epoch once it is smaller
than the smallest length.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

LENGTH_INIT, LENGTH_MIN, LENGTH_MAX = 0.8, 2.0**-7, 1.6
SUCCESS_TOLERANCE = 3
MIN_FAILURE_TOLERANCE = 10
"""TuRBO has 4: in few dimensions the box then collapses around the first local optimum."""
FAILING_SHARE = 0.4
"""Part of the tolerated failures after which a region is failing."""


@dataclass(frozen=True)
class Settings:
    """Lengths and tolerances of the region; lengths are fractions of the unit cube's side.

    Raises ValueError unless 0 < length_min <= length_init <= length_max and both tolerances are
    at least 1. `failure_tolerance` None follows the dimension and the number of workers.
    """

    length_init: float = LENGTH_INIT
    length_min: float = LENGTH_MIN
    length_max: float = LENGTH_MAX
    success_tolerance: int = SUCCESS_TOLERANCE
    failure_tolerance: int | None = None

    def __post_init__(self) -> None:
        for name in ("length_init", "length_min", "length_max"):
            value = getattr(self, name)
            if isinstance(value, bool) or not isinstance(value, int | float):
                raise ValueError(f"{name} must be a number, got {value!r}.")
        if not 0.0 < self.length_min <= self.length_init <= self.length_max < math.inf:
            raise ValueError(
                "Need 0 < length_min <= length_init <= length_max < inf, got length_min="
                f"{self.length_min}, length_init={self.length_init}, length_max={self.length_max}."
            )
        for name in ("success_tolerance", "failure_tolerance"):
            value = getattr(self, name)
            if value is None and name == "failure_tolerance":
                continue
            if isinstance(value, bool) or not isinstance(value, int) or value < 1:
                raise ValueError(f"{name} must be an integer of at least 1, got {value!r}.")

    def tolerated_failures(self, n_dims: int, n_workers: int) -> int:
        """Failures in a row that halve the region: ceil(max(10, d) / q) batches of q workers."""
        if self.failure_tolerance is not None:
            return self.failure_tolerance
        return n_workers * math.ceil(max(MIN_FAILURE_TOLERANCE, n_dims) / n_workers)


@dataclass(frozen=True)
class TrustRegion:
    """One state of the region. `generation` counts the lengths, `epoch` the restarts."""

    length: float
    epoch: int = 0
    generation: int = 0
    n_successes: int = 0
    n_failures: int = 0

    def is_failing(self, tolerated: int) -> bool:
        """Whether so many results in a row have failed that others may lie elsewhere."""
        return self.n_failures >= FAILING_SHARE * tolerated

    def after_success(self, settings: Settings) -> TrustRegion:
        """The next state after a fresh improvement: doubled at the success tolerance."""
        n_successes = self.n_successes + 1
        if n_successes < settings.success_tolerance:
            return replace(self, n_successes=n_successes, n_failures=0)
        return self._resized(min(2.0 * self.length, settings.length_max))

    def after_failure(self, settings: Settings, tolerated: int, n_workers: int) -> TrustRegion:
        """The next state after a fresh result that did not improve.

        Halved at the last tolerated failure. A streak of successes ends after as many failures
        as workers run at once, since that many were under way together.
        """
        n_failures = self.n_failures + 1
        if n_failures >= tolerated:
            halved = self._resized(self.length / 2.0)
            return halved if halved.length >= settings.length_min else self._restarted(settings)
        n_successes = 0 if n_failures >= n_workers else self.n_successes
        return replace(self, n_successes=n_successes, n_failures=n_failures)

    def forgiven(self) -> TrustRegion:
        """The next state after an improvement from an older region: it only clears failures."""
        return replace(self, n_failures=0)

    def _resized(self, length: float) -> TrustRegion:
        return TrustRegion(length, self.epoch, self.generation + 1)

    def _restarted(self, settings: Settings) -> TrustRegion:
        return TrustRegion(settings.length_init, self.epoch + 1, self.generation + 1)
