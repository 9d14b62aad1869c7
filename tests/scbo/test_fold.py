"""What finished results teach the trust region, against a slow sequential reference."""

import random
from collections.abc import Iterator
from dataclasses import replace

import pytest

from optuna_snn.scbo.fold import Outcome, State, advance, fold, initial_state
from optuna_snn.scbo.trust_region import MIN_FAILURE_TOLERANCE, Settings
from tests.helpers import tag

SETTINGS = Settings()
N_TO_RESTART = 1 + 7 * MIN_FAILURE_TOLERANCE
"""Equal results that end an epoch: the first is the incumbent, then each of 7 lengths fails."""


def result(number: int, value: float | None, state: State | None = None, **c: float) -> Outcome:
    """A result chosen in the region of `state`; untagged without one."""
    if state is None:
        return Outcome(number, value, c)
    region = state.region
    return Outcome(number, value, c, tag(region.epoch, region.generation, region.length))


class Sequential:
    """The rule of TuRBO for one worker, with our tolerance, written plainly."""

    def __init__(self, n_dims: int) -> None:
        self.n_dims, self.length, self.epoch = n_dims, 0.8, 0
        self.successes = self.failures = 0
        self.best: Outcome | None = None
        self.mark: Outcome | None = None  # best at the last success
        self.seen: list[float] = []

    def violation(self, outcome: Outcome) -> float:
        # One constraint: its typical size is common to both sides of each comparison.
        return max(outcome.constraints["c"], 0.0)

    def beats(self, new: Outcome, old: Outcome, margin: float) -> bool:
        assert new.value is not None and old.value is not None
        if self.violation(new) == 0 and self.violation(old) == 0:
            return new.value > old.value + margin * abs(old.value)
        return self.violation(new) < self.violation(old)

    def observe(self, new: Outcome) -> None:
        if self.best is None or self.mark is None:
            self.best = self.mark = new
            return
        is_success = self.beats(new, self.mark, 1e-3)
        if self.beats(new, self.best, 0.0):
            self.best = new
        if is_success:
            self.mark = self.best
            self.successes, self.failures = self.successes + 1, 0
        else:
            self.successes, self.failures = 0, self.failures + 1
        if self.successes == 3:
            self.length, self.successes = min(2 * self.length, 1.6), 0
        elif self.failures == max(MIN_FAILURE_TOLERANCE, self.n_dims):
            self.length, self.failures = self.length / 2, 0
            if self.length < 2.0**-7:
                self.length, self.epoch = 0.8, self.epoch + 1
                self.best = self.mark = None


def random_outcomes(rng: random.Random, n: int) -> Iterator[tuple[float, float]]:
    """Values that drift upwards now and then, and a constraint that is often violated."""
    level = -5.0
    for _ in range(n):
        level += rng.choice([0.0, 0.0, 0.0, 0.3])
        yield (
            level + rng.choice([0.0, 0.001, rng.gauss(0, 1)]),
            rng.choice([-1.0, rng.gauss(0, 1)]),
        )


@pytest.mark.parametrize("n_dims", [4, 11, 17])
@pytest.mark.parametrize("seed", range(10))
def test_one_worker_follows_the_sequential_rule(n_dims: int, seed: int) -> None:
    state, reference = initial_state(SETTINGS), Sequential(n_dims)
    for i, (value, c) in enumerate(random_outcomes(random.Random(seed), 400)):
        outcome = result(i, value, state, c=c)
        assert outcome.tag is not None
        outcome = replace(outcome, tag=replace(outcome.tag, n_dims=n_dims))
        state = advance(state, outcome, SETTINGS)
        reference.observe(outcome)
        region = state.region
        assert (region.length, region.epoch) == (reference.length, reference.epoch)
        assert (region.n_successes, region.n_failures) == (reference.successes, reference.failures)
        assert state.incumbent == reference.best
    if n_dims == 4:
        assert state.region.epoch > 0  # the streams are long enough for a restart


@pytest.mark.parametrize("seed", range(10))
def test_stale_results_never_shrink_the_box(seed: int) -> None:
    rng, n_workers = random.Random(seed), 16
    state = initial_state(SETTINGS)
    running = [tag(0, 0, 0.8, n_workers, 10) for _ in range(n_workers)]
    n_halvings = 0
    for i, (value, c) in enumerate(random_outcomes(rng, 1500)):
        # Any of the running ones finishes, and asks anew.
        own = running.pop(rng.randrange(n_workers))
        before, state = state, advance(state, Outcome(i, value, {"c": c}, own), SETTINGS)
        now, was = state.region, before.region
        is_fresh = (own.epoch, own.generation, own.length) == (
            was.epoch,
            was.generation,
            was.length,
        )
        if not is_fresh:
            assert replace(now, n_failures=0) == replace(was, n_failures=0)
            assert now.n_failures in (0, was.n_failures)
        is_halved = now.length < was.length or now.epoch > was.epoch
        if is_halved:
            n_halvings += 1
            assert is_fresh and was.n_failures + 1 == 16  # one batch of 16 at 10 dimensions
        running.append(tag(now.epoch, now.generation, now.length, n_workers, 10))
    assert n_halvings >= 5


def after(*steps: tuple[float | None, float], start: State | None = None) -> State:
    """The state after fresh results (value, c)."""
    state = start or initial_state(SETTINGS)
    for i, (value, c) in enumerate(steps):
        state = advance(state, result(i, value, state, c=c), SETTINGS)
    return state


def test_a_stale_improvement_moves_the_centre_and_forgives_failures() -> None:
    state = after((0.0, -1.0), (-1.0, -1.0), (-1.0, -1.0))
    assert state.region.n_failures == 2
    stale = Outcome(9, 1.0, {"c": -1.0}, tag(0, 0, 0.4))
    moved = advance(state, stale, SETTINGS)
    assert moved.incumbent == stale
    assert moved.region == replace(state.region, n_failures=0)


@pytest.mark.parametrize("value", [-9.0, 9.0])
def test_untagged_results_move_no_counter(value: float) -> None:
    state = after((0.0, -1.0), (1.0, -1.0), (-1.0, -1.0), (-1.0, -1.0))
    added = result(9, value, None, c=-1.0)
    moved = advance(state, added, SETTINGS)
    assert moved.region == state.region
    assert (moved.incumbent == added) == (value > 0)


@pytest.mark.parametrize("value", [-9.0, 9.0])
def test_results_of_the_initial_design_shrink_and_grow_nothing(value: float) -> None:
    state = after((0.0, -1.0), (1.0, -1.0))
    design = Outcome(9, value, {"c": -1.0}, tag(is_initial=True))
    assert advance(state, design, SETTINGS).region == state.region


def test_results_of_an_earlier_epoch_move_nothing() -> None:
    state = after(*[(0.0, -1.0)] * (N_TO_RESTART + 10))
    assert state.region.epoch > 0
    for value, c in [(1e9, -1.0), (-1e9, 5.0)]:
        old = Outcome(99, value, {"c": c}, tag(state.region.epoch - 1, 0, 0.8))
        later = advance(state, old, SETTINGS)
        assert (later.region, later.incumbent) == (state.region, state.incumbent)


def test_a_restart_begins_without_an_incumbent() -> None:
    assert after(*[(0.0, -1.0)] * (N_TO_RESTART - 1)).incumbent is not None
    restarted = after(*[(0.0, -1.0)] * N_TO_RESTART)
    assert restarted.region.epoch == 1 and restarted.region.length == 0.8
    assert restarted.incumbent is None and restarted.reference is None


def test_a_feasible_result_takes_the_centre_from_an_infeasible_one_and_counts_as_success() -> None:
    state = after((5.0, 0.1), (-5.0, -1.0))
    assert state.incumbent is not None and state.incumbent.value == -5.0
    assert state.region.n_successes == 1
    assert after((5.0, -1.0), (50.0, 0.1)).region.n_failures == 1


def test_small_gains_move_the_centre_and_count_once_they_add_up() -> None:
    state = after((100.0, -1.0), (100.06, -1.0))
    assert state.incumbent is not None and state.incumbent.value == 100.06
    assert state.region.n_failures == 1  # less than a thousandth above 100
    assert after((100.12, -1.0), start=state).region.n_successes == 1


def test_violations_of_several_constraints_add_up_without_slack() -> None:
    state = after()
    state = advance(state, result(0, 0.0, state, a=1.0, b=1.0), SETTINGS)
    offset = advance(state, result(1, 0.0, state, a=1.9, b=-100.0), SETTINGS)
    # Typical sizes are then sqrt(1 * 1.9) = 1.38 and 1: 1.9 / 1.38 is less than 1 / 1.38 + 1 ...
    assert offset.incumbent is not None and offset.incumbent.number == 1
    # ... but at a = 9, 9 / 3 is more than 1 / 3 + 1, however large the slack in b.
    worse = advance(state, result(1, 0.0, state, a=9.0, b=-1e9), SETTINGS)
    assert worse.incumbent is not None and worse.incumbent.number == 0


def test_a_new_constraint_name_unseats_the_incumbent() -> None:
    state = after((5.0, -1.0), (6.0, -1.0))
    named = result(7, -3.0, state, c=-1.0, d=2.0)
    assert advance(state, named, SETTINGS).incumbent == named
    partial = advance(state, result(7, -3.0, state, d=2.0), SETTINGS)
    assert partial.incumbent is None


def test_a_result_that_lacks_a_known_constraint_is_never_the_incumbent() -> None:
    state = after((1.0, -1.0))
    lacking = advance(state, result(5, 100.0, state), SETTINGS)
    assert lacking.incumbent == state.incumbent
    assert lacking.region == state.region


def test_a_violated_result_that_lacks_a_constraint_is_a_failure() -> None:
    state = advance(
        initial_state(SETTINGS), result(0, 1.0, initial_state(SETTINGS), c=-1.0, d=-1.0), SETTINGS
    )
    failed = advance(state, result(1, None, state, c=3.0), SETTINGS)
    assert failed.incumbent == state.incumbent
    assert failed.region.n_failures == 1


def test_a_stopped_infeasible_result_counts_as_infeasible() -> None:
    first = after((None, 2.0))
    assert first.incumbent is not None and first.incumbent.value is None
    assert after((0.0, 3.0), (None, 1.0)).region.n_successes == 1
    assert after((0.0, 1.0), (None, 2.0)).region.n_failures == 1
    assert after((0.0, -1.0), (None, 2.0)).region.n_failures == 1


def test_while_no_value_is_known_the_region_stands_still() -> None:
    silent = [(None, float(c)) for c in range(40, 0, -1)]
    for outcomes in (silent, silent[::-1]):
        state = after(*outcomes)
        assert state.region == initial_state(SETTINGS).region
        assert state.incumbent is not None and state.incumbent.constraints == {"c": 1.0}
        found = after(*outcomes, (0.0, -1.0))
        assert found.region == state.region
        assert after(*outcomes, (0.0, -1.0), (None, 1.0)).region.n_failures == 1


def test_a_stopped_feasible_result_moves_nothing() -> None:
    state = after((0.0, -1.0), (1.0, -1.0))
    for pruned in (result(5, None, state, c=-1.0), result(5, None, state)):
        assert advance(state, pruned, SETTINGS) == state


def test_folding_in_parts_is_folding_at_once() -> None:
    rng = random.Random(1)
    outcomes = [
        Outcome(
            i, v, {"c": c} if rng.random() < 0.9 else {}, rng.choice([None, tag(), tag(0, 1, 0.4)])
        )
        for i, (v, c) in enumerate(random_outcomes(rng, 200))
    ]
    for cut in (0, 1, 77, 200):
        assert fold(outcomes[cut:], SETTINGS, fold(outcomes[:cut], SETTINGS)) == fold(
            outcomes, SETTINGS
        )
