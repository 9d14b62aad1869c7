"""The trust region of the SNN paper's authors' asynchronous SCBO: replayed, and searched with.

As we read their implementation, every completion counts, also of points that were chosen in an
older box; two successes in a row double the box, two failures halve it; a success is an
improvement by 1e-5. Fourteen failures in a row collapse the box, whatever the dimension and the
number of workers. Results of the initial design move nothing but the best.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import NamedTuple
from unittest import mock

from optuna_snn.scbo import fold, incumbent
from optuna_snn.scbo.trust_region import LENGTH_INIT, LENGTH_MAX, LENGTH_MIN, Settings, TrustRegion

TOLERANCE = 2
IMPROVEMENT = 1e-5


class Result(NamedTuple):
    """A finished evaluation. The value is maximised; feasible where all constraints are <= 0."""

    value: float
    constraints: Sequence[float]
    is_initial: bool
    """Whether it belongs to an initial design, whose results move no counter."""

    @property
    def violation(self) -> float:
        """Sum over the violated constraints."""
        return sum(max(c, 0.0) for c in self.constraints)


def replayed_lengths(results: Sequence[Result]) -> list[float]:
    """Side of the box after each result by the authors' rule.

    A restart forgets the best result, and the next one counts as a success. No new design follows
    it here: the results are those of another search.
    """
    length, n_successes, n_failures = LENGTH_INIT, 0, 0
    best: Result | None = None
    lengths = []
    for result in results:
        is_success = best is None or _improves(result, best)
        best = result if is_success else best
        if not result.is_initial:
            n_successes = n_successes + 1 if is_success else 0
            n_failures = 0 if is_success else n_failures + 1
        if n_successes == TOLERANCE:
            length, n_successes = min(2.0 * length, LENGTH_MAX), 0
        elif n_failures == TOLERANCE:
            length, n_failures = length / 2.0, 0
        if length < LENGTH_MIN:
            length, best = LENGTH_INIT, None
        lengths.append(length)
    return lengths


def _improves(result: Result, best: Result) -> bool:
    if result.violation > 0.0 or best.violation > 0.0:
        return result.violation < best.violation
    return result.value > best.value + IMPROVEMENT * abs(best.value)


@contextmanager
def authors_rule() -> Iterator[None]:
    """Within, samplers with both tolerances at 2 move their box by the authors' rule.

    Patched in `optuna_snn.scbo`: `fold._is_fresh` takes every tagged result of the present epoch
    that is not of its design; `incumbent.IMPROVEMENT` is theirs; and a failure always ends a
    streak of successes, as for one worker. Total violations stay scaled, as ours are.
    """

    def is_counted(region: TrustRegion, tag: fold.Tag | None) -> bool:
        return tag is not None and not tag.is_initial and tag.epoch == region.epoch

    after_failure = TrustRegion.after_failure

    def ends_streaks(
        region: TrustRegion, settings: Settings, tolerated: int, n_workers: int
    ) -> TrustRegion:
        return after_failure(region, settings, tolerated, n_workers=1)

    with (
        mock.patch.object(fold, "_is_fresh", is_counted),
        mock.patch.object(incumbent, "IMPROVEMENT", IMPROVEMENT),
        mock.patch.object(TrustRegion, "after_failure", ends_streaks),
    ):
        yield


def moves(lengths: Sequence[float]) -> tuple[int, int]:
    """How often the box was halved, and how often it began anew instead (a restart)."""
    steps = list(zip([LENGTH_INIT, *lengths], lengths, strict=False))
    n_halvings = sum(after < before for before, after in steps)
    return n_halvings, sum(after > 2.0 * before for before, after in steps)
