"""Virtual time, the authors' rule, and that workers with samplers of their own agree."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import hypothesis.strategies as st
import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given

from benchmarks.asynchrony import loss, table
from benchmarks.authors_rule import (
    LENGTH_INIT,
    TOLERANCE,
    Result,
    authors_rule,
    moves,
    replayed_lengths,
)
from benchmarks.problems import PROBLEMS
from benchmarks.virtual_time import RULES, AsyncRun, Event, parsed, search, virtual_order
from optuna_snn.scbo.fold import Outcome, State, Tag, advance, initial_state
from optuna_snn.scbo.trust_region import Settings
from tests.helpers import repeatable

SETTINGS = Settings(success_tolerance=TOLERANCE, failure_tolerance=TOLERANCE)


def feasible(value: float, is_initial: bool = False) -> Result:
    return Result(value, (-1.0,), is_initial)


def infeasible(violation: float, is_initial: bool = False) -> Result:
    return Result(0.0, (violation,), is_initial)


def test_a_worker_begins_anew_when_it_ends() -> None:
    # Worker 1 does the evaluations 1, 2 and 3 while worker 0 is busy until 3.
    assert list(virtual_order([3.0, 1.0, 1.0, 5.0], 2)) == [
        Event(0.0, 0, 0, is_end=False),
        Event(0.0, 1, 1, is_end=False),
        Event(1.0, 1, 1, is_end=True),
        Event(1.0, 1, 2, is_end=False),
        Event(2.0, 1, 2, is_end=True),
        Event(2.0, 1, 3, is_end=False),
        Event(3.0, 0, 0, is_end=True),
        Event(7.0, 1, 3, is_end=True),
    ]


def test_one_worker_does_one_after_the_other() -> None:
    events = list(virtual_order([2.0, 1.0, 4.0], 1))
    assert [(e.number, e.is_end) for e in events] == [(n, b) for n in range(3) for b in (0, 1)]
    assert events[-1].time == 7.0


@repeatable
@given(st.lists(st.floats(0.01, 100.0), max_size=30), st.integers(1, 40))
def test_all_evaluations_end_and_no_worker_is_idle_before(
    durations: list[float], n_workers: int
) -> None:
    n_running, n_begun, now = 0, 0, 0.0
    for event in virtual_order(durations, n_workers):
        assert event.time >= now
        if event.is_end:
            assert n_running == min(n_workers, len(durations) - (n_begun - n_running))
        else:
            assert event.number == n_begun
        now = event.time
        n_begun += not event.is_end
        n_running += -1 if event.is_end else 1
    assert (n_begun, n_running) == (len(durations), 0)


def test_fourteen_failures_collapse_the_authors_box() -> None:
    lengths = replayed_lengths([feasible(1.0, is_initial=True), *[feasible(0.0)] * 14])
    halved = [LENGTH_INIT * 0.5**k for k in (0, 1, 1, 2, 2, 3, 3, 4, 4, 5, 5, 6, 6)]
    assert lengths == [LENGTH_INIT, *halved, LENGTH_INIT]
    assert moves(lengths) == (6, 1)


def test_two_successes_in_a_row_double_the_authors_box() -> None:
    results = [
        infeasible(5.0, is_initial=True),  # the best of the design
        infeasible(9.0, is_initial=True),  # worse, but of the design: no failure
        infeasible(4.0),  # success 1: less violated
        infeasible(4.0),  # failure 1, which ends the streak
        infeasible(3.0),  # success 1
        feasible(-10.0),  # success 2: feasible. Doubled
        infeasible(0.1),  # failure 1
        feasible(-10.0 + 0.5e-4),  # failure 2: better, but by less than 1e-5. Halved
        feasible(-10.0 + 2e-4),  # success 1
        feasible(-9.0),  # success 2. Doubled
    ]
    assert replayed_lengths(results) == [0.8] * 5 + [1.6] * 2 + [0.8] * 2 + [1.6]


def test_the_authors_box_forgets_its_best_at_a_restart() -> None:
    collapse = [feasible(1.0, is_initial=True), *[feasible(0.0)] * 14]
    lengths = replayed_lengths([*collapse, infeasible(2.0), infeasible(1.0)])
    assert lengths[-2:] == [0.8, 1.6]


def folded(results: Sequence[Result]) -> list[State]:
    """Our states after each result. Every tag is stale: the fold's own rule would not count it."""
    states = [initial_state(SETTINGS)]
    for number, r in enumerate(results):
        tag = Tag(0, 99, 0.3, n_running=7, n_dims=10, is_initial=r.is_initial)
        outcome = Outcome(number, r.value, {"c": r.constraints[0]}, tag)
        states.append(advance(states[-1], outcome, SETTINGS))
    return states[1:]


@repeatable
@given(st.lists(st.tuples(st.integers(-3, 9), st.integers(-1, 2)), max_size=60))
def test_the_patched_fold_is_the_replayed_rule(drawn: list[tuple[int, int]]) -> None:
    results = [feasible(0.0, is_initial=True)] if drawn and drawn[0][1] < 0 else []
    results = results or [infeasible(2.5, is_initial=True)]
    results += [Result(float(y), (float(c),), is_initial=False) for y, c in drawn]
    with authors_rule():
        states = folded(results)
    n_before_restart = sum(s.region.epoch == 0 for s in states)
    ours = [s.region.length for s in states[:n_before_restart]]
    assert replayed_lengths(results)[:n_before_restart] == ours


def test_our_own_rule_is_back_after_the_authors() -> None:
    results = [feasible(1.0, is_initial=True), *[feasible(0.0)] * 14]
    with authors_rule():
        assert folded(results)[-1].region.epoch == 1
    assert folded(results)[-1].region.length == LENGTH_INIT


@pytest.mark.parametrize("rule", RULES)
def test_workers_with_samplers_of_their_own_agree(rule: str) -> None:
    problem = replace(PROBLEMS["hartmann6"], budget=18, n_startup_trials=8)
    found = search(rule, 4, problem, seed=0)
    assert (found.n_disagreements, found.n_duplicates) == (0, 0)
    assert len(found.lengths) == len(found.replayed) == problem.budget
    assert 8 <= found.n_initial < problem.budget
    assert found.best == sorted(found.best, key=lambda b: (b[0], -b[1]))


def test_workers_that_choose_as_if_alone_choose_otherwise() -> None:
    problem = replace(PROBLEMS["hartmann6"], budget=18, n_startup_trials=8)

    def points(rule: str) -> npt.NDArray[np.float64]:
        found: list[list[float]] = []

        def evaluate(params: Mapping[str, Any]) -> tuple[float, tuple[float, ...]]:
            found.append([params[name] for name in problem.space])
            return problem.evaluate(params)

        search(rule, 4, replace(problem, evaluate=evaluate), seed=0)
        return np.array(found)

    # Two runs of one rule may differ in what several threads of a sum round.
    distance = np.abs(points("ours") - points("alone")).max(axis=1)
    assert distance[: problem.n_startup_trials].max() == 0.0
    assert distance.max() > 0.05


def run_of(n_workers: int, first: float, last: float) -> AsyncRun:
    return AsyncRun(
        "ours", "p", 0, 9, [(3, first), (9, last)], [1.0], 1.0,
        "ours", n_workers, 9.0, 3, first, 0, 0, [0.8], [0.8],
    )  # fmt: skip


def test_loss_is_a_share_of_what_one_worker_gained() -> None:
    # One worker goes from 6 to 1, many to 2: a fifth of the gain is lost.
    assert loss([run_of(15, 8.0, 2.0)], [run_of(1, 6.0, 1.0)]) == pytest.approx(0.2)
    assert "| 20.0 %, 20.0 % |" in table([run_of(15, 8.0, 2.0), run_of(1, 6.0, 1.0)])


def test_those_that_choose_as_if_alone_lose_against_one_worker_of_our_rule() -> None:
    alone = replace(run_of(15, 8.0, 2.0), rule="alone")
    assert "| 20.0 %, 20.0 % |" in table([alone, run_of(1, 6.0, 1.0)])


@pytest.mark.parametrize("name", ["ours", "theirs-w4", "ours-w0", "ours-wx"])
def test_a_search_of_another_name_is_refused(name: str) -> None:
    with pytest.raises(ValueError, match="RULE-wWORKERS"):
        parsed(name)
