"""Running trials that have outlived the early stop are presumed feasible."""

from __future__ import annotations

import math
from collections.abc import Sequence

import hypothesis.strategies as st
import numpy as np
import optuna
import pytest
from hypothesis import given
from optuna.distributions import FloatDistribution
from optuna.trial import TrialState

from optuna_snn.history import History
from optuna_snn.history.observe import Observed, observe
from optuna_snn.history.survivors import N_REMEMBERED, survivors
from optuna_snn.scbo.trust_region import Settings
from tests.helpers import finished_trial, repeatable

SPACE = {"x": FloatDistribution(0, 1)}


def survivors_by_the_letter(stopped: Sequence[int], running: Sequence[int], w: int) -> list[int]:
    b = list(stopped)[-N_REMEMBERED:]
    overtaken = [sum(b[k] > b[i] for k in range(i)) for i in range(len(b))]
    return [a for a in running if len(b) > w and sum(k > a for k in b) > max([*overtaken, w])]


@repeatable
@given(st.permutations(range(60)), st.integers(0, 60), st.integers(1, 20))
def test_a_survivor_was_overtaken_by_more_than_any_stopped_trial(
    numbers: list[int], n_stopped: int, n_running: int
) -> None:
    stopped, running = numbers[:n_stopped], sorted(numbers[n_stopped:])
    found = survivors(stopped, running, n_running)
    assert found == survivors_by_the_letter(stopped, running, n_running)


def test_trials_that_end_in_the_order_of_their_starts_leave_one_behind() -> None:
    stopped = [n for n in range(30) if n != 4]
    for n_seen in range(30):
        is_left_behind = sum(n > 4 for n in stopped[:n_seen]) > 5
        assert survivors(stopped[:n_seen], [4], 5) == [4] * is_left_behind


def test_only_the_latest_stopped_trials_count() -> None:
    # One that was overtaken by more than are remembered sets the limit until it is forgotten.
    early = [*range(1, N_REMEMBERED + 50), 0]
    late = list(range(len(early) + 1, len(early) + 1 + N_REMEMBERED))
    assert survivors([*early, *late[:40]], [len(early)], 5) == []
    assert survivors([*early, *late], [len(early)], 5) == [len(early)]


def observed(values: Sequence[float | None], n_running: int, n_stopped: int) -> Observed:
    """Finished trials of these values, then n_running that still do, then stopped ones."""
    study = optuna.create_study(direction="maximize")
    for value in values:
        study.add_trial(finished_trial({"x": 0.1}, value, constraints={"c": -0.2}))
    running = [study.ask(SPACE) for _ in range(n_running)]
    for k in range(n_stopped):
        stopped = {"state": TrialState.PRUNED, "finished_at": 1.0 + k}
        study.add_trial(finished_trial({"x": 0.5}, constraints={"c": 1.0 + k}, **stopped))  # type: ignore[arg-type]
    asking = study.ask()._cached_frozen_trial
    assert len(study.trials) == len(values) + len(running) + n_stopped + 1
    snapshot = History(Settings()).read(study, asking, SPACE)
    return observe(snapshot, SPACE)


def test_survivors_may_be_the_centre_without_a_value_beside_trials_that_have_one() -> None:
    _, known, numbers = observed([1.0], n_running=2, n_stopped=9)
    assert numbers == [0, *range(3, 12), 1, 2]
    assert known.may_center.tolist() == [True, *[False] * 9, True, True]
    assert np.isnan(known.y[-2:]).all() and len(known.pending) == 2
    # As the constraints of other feasible trials.
    assert known.c[-2:].tolist() == [[-0.2], [-0.2]]


def test_a_survivor_is_presumed_to_hold_by_a_little_where_nothing_is_known_to_hold() -> None:
    _, known, _ = observed([], n_running=1, n_stopped=9)
    assert known.c[-1, 0] == pytest.approx(-0.05 * np.median(np.arange(1.0, 10.0)))
    assert known.may_center.tolist() == [*[False] * 9, True] and math.isnan(known.y[-1])


def test_what_was_not_overtaken_is_only_pending() -> None:
    _, known, numbers = observed([1.0], n_running=2, n_stopped=3)
    assert numbers == [0, 3, 4, 5]
    assert known.may_center.tolist() == [True, False, False, False] and len(known.pending) == 2
