"""A trial whose worker died is run again, as if for the first time.

Optuna fails a trial whose heartbeat stopped and calls back; the callback here queues a copy of its
parameters. What the dead run had measured must not travel with the copy: a constraint can be set
only once per trial, so an inherited one would block the new value; a sampler's or pruner's record
describes a moment that has passed (a copied rung makes SuccessiveHalving skip it); an accuracy
among the user attributes would be read as the retry's, also where the retry never gets so far.
Optuna's own `RetryHeartbeatStaleTrialCallback` copies all of that. The history keeps its keys, so
that its `retry_history` and `retried_trial_number` read our retries too.

User attributes that a trial was queued with (`study.enqueue_trial(..., user_attrs=...)`) are the
user's and stay, with the values that they had then. They are noted when the trial is claimed
(`WorkerStorage`), for later nobody can tell them from what the objective has written.

To fail a trial and to queue it again are two steps, and a process can die between them. What such
a death leaves can be told (`lost_retries`), and `WorkerStorage` adds a retry only if the trial has
none yet, so any process may finish the work of any other.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import optuna
from optuna.trial import FrozenTrial, TrialState

from optuna_snn.checkpoints.lineage import RETRY_HISTORY
from optuna_snn.workers.failures import FAIL_REASON, STOPPED

__all__ = [
    "DEFAULT_MAX_RETRY",
    "QUEUED_ATTRS",
    "STALE",
    "RetryStaleTrial",
    "forerunner",
    "lost_retries",
    "requeue",
]

DEFAULT_MAX_RETRY = 3

FIRST_TRIAL = "failed_trial"
OWN_PREFIX = "optuna_snn:"
N_DEATHS = OWN_PREFIX + "n_deaths"
"""System attribute: how many forerunners died. Those that were stopped on request did not."""
QUEUED_ATTRS = OWN_PREFIX + "queued_attrs"
"""System attribute: the user attributes that a trial was queued with, as a mapping."""

CHOSEN_BEFORE = ("fixed_params", "grid_id")
KEPT_SYSTEM_ATTRS = (*CHOSEN_BEFORE, "search_space", FIRST_TRIAL, RETRY_HISTORY, N_DEATHS)
"""Enqueued values and GridSampler's cell say *what* to run; everything else says how it went."""

STALE = OWN_PREFIX + "stale"
"""System attribute of a trial that was failed because its heartbeats stopped, written in the same
transaction; its value is their age in seconds."""


class RetryStaleTrial:
    """Callback for `heartbeat_stale_trial_callback`: queues the dead trial's parameters again.

    Args:
        max_retry: a configuration is tried again at most so often; then its last trial stays FAIL.

    Raises:
        ValueError: `max_retry` is negative.
    """

    def __init__(self, *, max_retry: int = DEFAULT_MAX_RETRY) -> None:
        if max_retry < 0:
            raise ValueError(f"max_retry must be 0 or more, got {max_retry}; 0 never retries.")
        self._max_retry = max_retry

    def __call__(self, study: optuna.Study, trial: FrozenTrial) -> None:
        """Queue a copy of `trial` if it is wanted."""
        if self.wants(trial):
            requeue(study, trial)

    def wants(self, trial: FrozenTrial) -> bool:
        """Whether `trial` is to be run again: there is something to repeat, and a retry is left.

        A trial that died before anything was suggested is no loss: the next ask is as good.
        """
        is_chosen = bool(trial.params) or any(key in trial.system_attrs for key in CHOSEN_BEFORE)
        return is_chosen and _n_deaths(trial) < self._max_retry


def requeue(study: optuna.Study, trial: FrozenTrial) -> None:
    """Queue the parameters of `trial` as a WAITING trial that remembers where it comes from.

    Of its user attributes only those come along that it was queued with itself. A queued trial
    that another storage than `WorkerStorage` handed out has no note of them: all are taken for
    the user's then, except those of this package.

    A second call for the same trial changes nothing if the study is stored in a `WorkerStorage`.
    """
    kept = {key: trial.system_attrs[key] for key in KEPT_SYSTEM_ATTRS if key in trial.system_attrs}
    kept[FIRST_TRIAL] = kept.get(FIRST_TRIAL, trial.number)
    kept[RETRY_HISTORY] = [*kept.get(RETRY_HISTORY, []), trial.number]
    kept[N_DEATHS] = _n_deaths(trial) + (trial.user_attrs.get(FAIL_REASON) != STOPPED)
    user_attrs = kept[QUEUED_ATTRS] = _queued_attrs(trial)
    study.add_trial(
        optuna.create_trial(
            state=TrialState.WAITING,
            params=trial.params,
            distributions=trial.distributions,
            user_attrs=user_attrs,
            system_attrs=kept,
        )
    )


def _queued_attrs(trial: FrozenTrial) -> dict[str, Any]:
    """The user attributes that `trial` had before its objective ran, as far as can be told."""
    if QUEUED_ATTRS in trial.system_attrs:
        return dict(trial.system_attrs[QUEUED_ATTRS])
    if not any(key in trial.system_attrs for key in CHOSEN_BEFORE):
        return {}
    return {
        key: value
        for key, value in trial.user_attrs.items()
        if key != FAIL_REASON and not key.startswith(OWN_PREFIX)
    }


def _n_deaths(trial: FrozenTrial) -> int:
    """Deaths among the forerunners of `trial`; Optuna's own callback counts all of them."""
    n_deaths: int = trial.system_attrs.get(
        N_DEATHS, len(trial.system_attrs.get(RETRY_HISTORY, []))
    )
    return n_deaths


def forerunner(trial: FrozenTrial) -> int | None:
    """Number of the trial that `trial` repeats, None if it repeats none."""
    history = trial.system_attrs.get(RETRY_HISTORY)
    return history[-1] if history else None


def lost_retries(
    trials: Sequence[FrozenTrial], is_wanted: Callable[[FrozenTrial], bool]
) -> list[FrozenTrial]:
    """FAIL trials that were to be queued again and were not.

    Args:
        trials: all trials of the study.
        is_wanted: whether a stale trial is to be run again (`RetryStaleTrial.wants`); one that was
            stopped on request always is.
    """
    repeated = {forerunner(trial) for trial in trials}
    return [
        trial
        for trial in trials
        if trial.state == TrialState.FAIL
        and trial.number not in repeated
        and (
            trial.user_attrs.get(FAIL_REASON) == STOPPED
            or (STALE in trial.system_attrs and is_wanted(trial))
        )
    ]
