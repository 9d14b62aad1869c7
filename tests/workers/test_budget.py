"""What counts against the budget, and whose trial is on its way."""

from __future__ import annotations

from datetime import datetime, timedelta

import optuna
import pytest
from optuna.trial import FrozenTrial, TrialState

from optuna_snn.workers.budget import n_counted, n_on_their_way
from optuna_snn.workers.storage.worker_storage import ASK_GRACES

NOW = datetime(2026, 1, 1, 12)
GRACE_S = 60.0
AHEAD_S = ASK_GRACES * GRACE_S
"""So far ahead of the database's clock is the first heartbeat dated."""


def trial(number: int, state: TrialState, age_s: float = 0.0) -> FrozenTrial:
    frozen = optuna.create_trial(
        state=TrialState.RUNNING if state == TrialState.WAITING else state,
        value=1.0 if state == TrialState.COMPLETE else None,
    )
    frozen.number, frozen.state = number, state
    started = NOW - timedelta(seconds=age_s)
    frozen.datetime_start = None if state == TrialState.WAITING else started
    return frozen


def test_complete_and_pruned_trials_count_and_no_others() -> None:
    trials = [trial(number, state) for number, state in enumerate(TrialState)]
    assert n_counted(trials) == 2


@pytest.mark.parametrize(
    ("age_s", "beats", "n"),
    [
        (0.0, {}, 1),  # just created: its first beat is on the way
        (GRACE_S + 1, {}, 0),  # never beat: nobody works on it
        (GRACE_S + 1, {0: 5.0}, 1),  # a long training that beats
        (GRACE_S + 1, {0: 500.0}, 1),  # stale: the sweep will fail it, then it no longer runs
        (GRACE_S + 1, {1: 5.0}, 0),  # somebody else's beat
        (5.0, {0: 5.0 - AHEAD_S}, 1),  # its sampler asks: the first beat lies ahead
        (GRACE_S + 1, {0: GRACE_S + 1 - AHEAD_S}, 0),  # too long for an ask: left over, perhaps
        (3600.0, {0: 5.0 - AHEAD_S}, 1),  # asks, on a machine whose clock is an hour behind
        (-3600.0, {0: GRACE_S + 1 - AHEAD_S}, 0),  # left over from one that is an hour ahead
    ],
)
def test_a_running_trial_is_on_its_way_if_somebody_works_on_it(
    age_s: float, beats: dict[int, float], n: int
) -> None:
    trials = [trial(0, TrialState.RUNNING, age_s)]
    assert n_on_their_way(trials, beats, grace_s=GRACE_S, now=NOW) == n


def test_waiting_and_finished_trials_are_not_on_their_way() -> None:
    states = [s for s in TrialState if s != TrialState.RUNNING]
    trials = [trial(number, state) for number, state in enumerate(states)]
    assert n_on_their_way(trials, {}, grace_s=GRACE_S, now=NOW) == 0
