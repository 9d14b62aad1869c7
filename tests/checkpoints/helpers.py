"""Trials that die and are retried, and blocks of a checkpoint that are left by a death."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import optuna
import pytest
from optuna.trial import TrialState

from optuna_snn.checkpoints import Checkpoint
from optuna_snn.workers.retry import requeue

Requeue = Callable[[optuna.Study, optuna.trial.FrozenTrial], None]


def asked(study: optuna.Study, x: float | None = 0.5) -> optuna.Trial:
    """A running trial with the parameter x; the next in the queue if x is None."""
    if x is not None:
        study.enqueue_trial({"x": x})
    trial = study.ask()
    trial.suggest_float("x", 0.0, 1.0)
    return trial


def retried(study: optuna.Study, trial: optuna.Trial, again: Requeue = requeue) -> optuna.Trial:
    """The trial was failed by others and asked for again."""
    study.tell(trial.number, state=TrialState.FAIL)
    again(study, study.trials[trial.number])
    return asked(study, x=None)


class Killed(BaseException):
    """What stands in for the end of a process."""


@contextmanager
def killed() -> Iterator[None]:
    with pytest.raises(Killed):
        yield
        raise AssertionError("the block was to be left by Killed")


def saved(trial: optuna.Trial, folder: Path, state: dict[str, Any], **options: Any) -> None:
    """Save a state and die."""
    with killed(), Checkpoint(trial, folder, **options) as checkpoint:
        checkpoint.save(state)
        raise Killed


def loaded(trial: Any, folder: Path, **options: Any) -> dict[str, Any] | None:
    """Load and die."""
    state = None
    with killed(), Checkpoint(trial, folder, **options) as checkpoint:
        state = checkpoint.load()
        raise Killed
    return state


def files(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.rglob("*") if path.is_file())
