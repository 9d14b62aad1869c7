"""Which of two results is better: feasible before infeasible, then value, then total violation.

Values are maximised; a constraint is feasible where it is <= 0.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, replace

IMPROVEMENT = 1e-3
"""Relative margin by which a feasible value must grow to count as a success (TuRBO, SCBO)."""


@dataclass(frozen=True)
class ViolationScale:
    """Typical size of each constraint's violations: their geometric mean over the results so far.

    Total violations add constraints of different units; divided by their typical size they weigh
    alike. A running mean, so that the scale after n results depends on those n alone.
    """

    n_and_log_sum: Mapping[str, tuple[int, float]] = field(default_factory=dict)

    def including(self, constraints: Mapping[str, float]) -> ViolationScale:
        """The scale after one more result."""
        updated = dict(self.n_and_log_sum)
        for name, value in constraints.items():
            n, log_sum = updated.get(name, (0, 0.0))
            if 0.0 < value < math.inf:
                n, log_sum = n + 1, log_sum + math.log(value)
            updated[name] = (n, log_sum)
        return replace(self, n_and_log_sum=updated)

    def total_violation(self, constraints: Mapping[str, float]) -> float:
        """Sum over the violated constraints of value / typical size; 0 where none is violated."""
        total = 0.0
        for name, value in constraints.items():
            if value > 0.0:
                n, log_sum = self.n_and_log_sum.get(name, (0, 0.0))
                total += math.inf if math.isinf(value) else _ratio(value, log_sum / max(n, 1))
        return total


def _ratio(value: float, log_scale: float) -> float:
    """Value divided by scale, kept above 0: however small, a violation stays one."""
    exponent = math.log(value) - log_scale
    return math.exp(max(exponent, -700.0)) if exponent < 700.0 else math.inf


@dataclass(frozen=True)
class Standing:
    """A result's place in the order: its value if feasible, else its total violation."""

    value: float
    violation: float

    @property
    def is_feasible(self) -> bool:
        """Whether nothing is violated."""
        return self.violation <= 0.0

    def is_better_than(self, other: Standing) -> bool:
        """Strictly better, by however little."""
        if self.is_feasible and other.is_feasible:
            return self.value > other.value
        return self.violation < other.violation

    def improves_on(self, other: Standing) -> bool:
        """Better by enough to count as a success."""
        if self.is_feasible and other.is_feasible and math.isfinite(other.value):
            return self.value > other.value + IMPROVEMENT * abs(other.value)
        return self.is_better_than(other)
