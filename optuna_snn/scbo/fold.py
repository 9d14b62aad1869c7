"""The state of the search as a fold over finished results, in the order in which they finished.

The same results in the same order give the same state in every process: there is nothing else.
Each result carries the tag that was written when its point was chosen. A result is fresh if its
tag names the region of the present state; a stale one may become the incumbent and forgives
failures, but never shrinks the box: with W workers, W - 1 results after every halving were chosen
in the old box.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace

from optuna_snn.scbo.incumbent import Standing, ViolationScale
from optuna_snn.scbo.trust_region import Settings, TrustRegion


@dataclass(frozen=True)
class Tag:
    """What was known when a point was chosen."""

    epoch: int
    generation: int
    length: float
    n_running: int
    """Trials running at that moment, this one included: the number of workers."""
    n_dims: int
    is_initial: bool


@dataclass(frozen=True)
class Outcome:
    """A finished result. `value` is maximised, and None where training was stopped (pruned)."""

    number: int
    value: float | None
    constraints: Mapping[str, float]
    tag: Tag | None = None

    @property
    def is_feasible(self) -> bool:
        """Whether none of its constraints is violated."""
        return all(c <= 0.0 for c in self.constraints.values())


@dataclass(frozen=True)
class State:
    """The region, its incumbent, and the little that the next step of the fold needs."""

    region: TrustRegion
    incumbent: Outcome | None = None
    reference: Outcome | None = None
    """The incumbent at the last success: what the next success is measured against."""
    scale: ViolationScale = field(default_factory=ViolationScale)
    n_fresh: int = 0
    sum_running: int = 0
    has_value: bool = False
    """Whether some result so far had an objective value, or violated nothing."""

    @property
    def known_constraints(self) -> frozenset[str]:
        """Names of all constraints seen so far."""
        return frozenset(self.scale.n_and_log_sum)

    def standing(self, outcome: Outcome) -> Standing:
        """The result's place in the order of results, by the present scale of violations."""
        value = -float("inf") if outcome.value is None else outcome.value
        return Standing(value, self.scale.total_violation(outcome.constraints))


def initial_state(settings: Settings) -> State:
    """The state before any result."""
    return State(TrustRegion(settings.length_init))


def fold(outcomes: Iterable[Outcome], settings: Settings, state: State | None = None) -> State:
    """The state after `outcomes`, from `state` or from the beginning."""
    state = initial_state(settings) if state is None else state
    for outcome in outcomes:
        state = advance(state, outcome, settings)
    return state


def advance(state: State, outcome: Outcome, settings: Settings) -> State:
    """The state after one more result.

    - A stopped result that violates nothing known (pruned for its accuracy) teaches the region
      nothing.
    - A constraint seen for the first time unseats the incumbent, which lacks it.
    - A result that lacks a known constraint is never the incumbent. If what it has is violated,
      it can have improved nothing: a fresh failure; else it moves nothing.
    - A result of an earlier epoch moves nothing.
    - While no value is known the search is not of a region (see `suggest`): counters stand still.
    - A result without a tag (enqueued, added by hand) may be the incumbent and moves no counter.
    """
    was_valued = state.has_value
    if outcome.value is not None or outcome.is_feasible:
        state = replace(state, has_value=True)
    if outcome.value is None and outcome.is_feasible:
        return state
    is_new_name = not outcome.constraints.keys() <= state.known_constraints
    state = replace(state, scale=state.scale.including(outcome.constraints))
    if is_new_name:
        state = replace(state, incumbent=None, reference=None)
    if outcome.tag is not None and outcome.tag.epoch < state.region.epoch:
        return state

    is_fresh = was_valued and _is_fresh(state.region, outcome.tag)
    if is_fresh and outcome.tag is not None:
        state = replace(
            state,
            n_fresh=state.n_fresh + 1,
            sum_running=state.sum_running + outcome.tag.n_running,
        )
    if not outcome.constraints.keys() >= state.known_constraints:
        if is_fresh and not outcome.is_feasible:
            return _after_failure(state, outcome, settings)
        return state
    return _ranked(state, outcome, is_fresh, settings)


def _ranked(state: State, outcome: Outcome, is_fresh: bool, settings: Settings) -> State:
    """The state after a result that can be compared with the incumbent."""
    standing = state.standing(outcome)
    incumbent, reference = state.incumbent, state.reference
    if incumbent is None or reference is None:
        return replace(state, incumbent=outcome, reference=outcome)
    if standing.is_better_than(state.standing(incumbent)):
        state = replace(state, incumbent=outcome)
    if not standing.improves_on(state.standing(reference)):
        return _after_failure(state, outcome, settings) if is_fresh else state
    state = replace(state, reference=state.incumbent)
    if outcome.tag is None:
        return state
    region = state.region.after_success(settings) if is_fresh else state.region.forgiven()
    return _in_region(state, region)


def _after_failure(state: State, outcome: Outcome, settings: Settings) -> State:
    if outcome.tag is None:
        return state
    n_workers = max(1, round(state.sum_running / max(state.n_fresh, 1)))
    tolerated = settings.tolerated_failures(outcome.tag.n_dims, n_workers)
    return _in_region(state, state.region.after_failure(settings, tolerated, n_workers))


def _in_region(state: State, region: TrustRegion) -> State:
    """The state in another region.

    A new generation counts its workers anew, and a new epoch begins without an incumbent.
    """
    if region.epoch > state.region.epoch:
        state = replace(state, incumbent=None, reference=None)
    if region.generation > state.region.generation:
        state = replace(state, n_fresh=0, sum_running=0)
    return replace(state, region=region)


def _is_fresh(region: TrustRegion, tag: Tag | None) -> bool:
    if tag is None or tag.is_initial:
        return False
    present = (region.epoch, region.generation, region.length)
    return (tag.epoch, tag.generation, tag.length) == present
