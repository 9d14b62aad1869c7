"""Which trials are one and the same training: a first one, and the retries of dead ones.

A retry has a number of its own. The trials before it stand in its system attribute
RETRY_HISTORY, where Optuna's `RetryHeartbeatStaleTrialCallback` and the workers of this package
put them. Optuna's own reader of it is not used, for it warns of being experimental at each call.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

import optuna
from optuna.trial import BaseTrial, FrozenTrial, TrialState

RETRY_HISTORY = "retry_history"
"""System attribute: numbers of the trials that a trial retries, the first one first."""


@dataclass(frozen=True)
class Lineage:
    """A trial and the trials that it retries.

    number:        of the trial
    forerunners:   numbers of the trials before it, the first one first
    first_started: when the first of all started, by the clock of its worker; None if unknown
    """

    number: int
    forerunners: tuple[int, ...]
    first_started: datetime | None

    @property
    def first(self) -> int:
        """Number of the first trial; that of the trial itself if it is no retry."""
        return self.forerunners[0] if self.forerunners else self.number


def lineage_of(trial: optuna.Trial) -> Lineage:
    """Return the lineage of a running trial, by what its storage knows."""
    trials = {each.number: each for each in trial.study.get_trials(deepcopy=False)}
    forerunners = _forerunners(trials[trial.number])
    first = trials.get(forerunners[0]) if forerunners else trials[trial.number]
    return Lineage(trial.number, forerunners, None if first is None else first.datetime_start)


def is_running(trial: optuna.Trial) -> bool:
    """Whether the storage still has the trial as RUNNING: nobody has failed it meanwhile."""
    return any(
        each.number == trial.number
        for each in trial.study.get_trials(deepcopy=False, states=(TrialState.RUNNING,))
    )


def first_trial_number(trial: BaseTrial) -> int:
    """Return the number of the first trial of a training; the trial's own if it is no retry.

    Randomness that is seeded by it is the same in a retry as in the trial that died.
    """
    if isinstance(trial, optuna.Trial):
        return lineage_of(trial).first
    if isinstance(trial, FrozenTrial):
        return next(iter(_forerunners(trial)), trial.number)
    return trial.number


def retried_numbers(trials: Iterable[FrozenTrial]) -> set[int]:
    """Return the numbers of dead trials that another trial has tried again."""
    return {number for trial in trials for number in _forerunners(trial)}


def _forerunners(trial: FrozenTrial) -> tuple[int, ...]:
    return tuple(trial.system_attrs.get(RETRY_HISTORY, ()))
