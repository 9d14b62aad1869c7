"""One trial in a worker: asked, trained, told, and what becomes of it when that does not work.

the objective raises, or returns no number   FAIL, with the reason
it takes longer than the time limit          FAIL, with the reason; not queued again
memory runs out                              FAIL, with the reason; caches are freed
somebody asks to stop, and the grace is over FAIL, with the reason; queued again
another process has ended the trial          its result is kept: see kept_results.py
the database stays away                      its result is kept, and the worker ends
"""

from __future__ import annotations

import gc
import logging
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import optuna
from optuna.trial import FrozenTrial, Trial, TrialState

from optuna_snn.backends import MissingPackageError
from optuna_snn.workers.errors import RunError
from optuna_snn.workers.failures import (
    FAIL_REASON,
    STOPPED,
    describe_error,
    is_out_of_memory,
    time_limit_reason,
    unusable_value,
)
from optuna_snn.workers.identity import WORKER_KEY, this_worker
from optuna_snn.workers.kept_results import KeptResult, append_to_file, attach_to_study
from optuna_snn.workers.retry import requeue
from optuna_snn.workers.stop import StopRequest, StopRequested, TrialTimeLimit
from optuna_snn.workers.storage.database_errors import StorageError
from optuna_snn.workers.study_file import StudyFile

__all__ = ["run_trial"]

_logger = logging.getLogger(__name__)


def run_trial(
    study: optuna.Study,
    definition: StudyFile,
    stop: StopRequest,
    *,
    limit_s: float | None,
    waited_s: Callable[[], float],
    late_file: Path,
) -> None:
    """Ask, train and tell one trial.

    Args:
        study: the study.
        definition: has the objective.
        stop: may interrupt the objective.
        limit_s: seconds that the objective may take, None for no limit.
        waited_s: see `Patience.waited_s`; that time does not count.
        late_file: where a result is kept that comes too late.

    Raises:
        RunError: the objective needs a package that is not installed, or the database is lost.
    """
    _OneTrial(study, definition, stop, limit_s, waited_s, late_file).run()


class _OneTrial:
    def __init__(
        self,
        study: optuna.Study,
        definition: StudyFile,
        stop: StopRequest,
        limit_s: float | None,
        waited_s: Callable[[], float],
        late_file: Path,
    ) -> None:
        self._study = study
        self._definition = definition
        self._stop = stop
        self._limit_s = limit_s
        self._waited_s = waited_s
        self._late_file = late_file
        self._number = -1
        self._value: object = None
        self._result = ""
        """What the objective came to, in words; empty while it has not ended."""
        self._reason: str | None = None
        """Why the trial failed, once that is stored."""
        self._missing: MissingPackageError | None = None
        """The package whose absence ended it: no other trial can do better."""
        self._was_out_of_memory = False

    def run(self) -> None:
        try:
            self._study.optimize(self._objective, n_trials=1, catch=(Exception,))
        except StopRequested:
            requeue(self._study, self._stored())
            _logger.info("trial %d was stopped and queued again", self._number)
        except Exception as error:  # whatever Optuna makes of a trial that others ended
            if (lost := _storage_error(error)) is not None:
                self._keep_unsent_result(lost)
                raise lost from error
            if not self._was_ended_by_others():
                raise
            self._keep_late_result(error)
        if self._missing is not None:
            raise RunError(str(self._missing)) from self._missing
        if self._was_out_of_memory:
            # Only now: until `optimize` returned, the traceback held the network's tensors.
            _free_memory()

    def _objective(self, trial: Trial) -> float:
        """The user's objective; a failure leaves its reason in the trial."""
        self._number = trial.number
        try:
            trial.set_user_attr(WORKER_KEY, this_worker())
            with self._stop.interrupting(self._limit_s, self._waited_s):
                value = self._definition.objective(trial)
        except optuna.TrialPruned:
            self._result = "pruned"
            raise
        except StopRequested:
            self._store_reason(trial, STOPPED)
            raise
        except TrialTimeLimit as error:
            assert self._limit_s is not None
            self._store_reason(trial, time_limit_reason(self._limit_s))
            raise TimeoutError(self._result) from error
        except SystemExit as error:
            # Optuna would leave the trial running, and the exit code would be taken for the
            # worker's.
            self._store_reason(trial, f"the objective called sys.exit({error.code!r:.80})")
            raise RuntimeError(self._result) from error
        except Exception as error:
            self._missing = error if isinstance(error, MissingPackageError) else None
            self._was_out_of_memory = is_out_of_memory(error)
            self._store_reason(trial, describe_error(error))
            raise
        self._value, self._result = value, "complete"
        if reason := unusable_value(value):
            self._store_reason(trial, reason)
        return value

    def _store_reason(self, trial: Trial, reason: str) -> None:
        self._result = f"failed: {reason}"
        trial.set_user_attr(FAIL_REASON, reason)
        self._reason = reason

    def _was_ended_by_others(self) -> bool:
        """Whether another process ended the trial while this worker still held it.

        Optuna then raises ValueError, AssertionError or UpdateFinishedTrialError from `optimize`,
        whatever `catch` says.
        """
        if self._number < 0:
            return False
        stored = self._stored()
        if not stored.state.is_finished():
            return False
        match stored.state:
            case TrialState.FAIL:
                told_here = self._reason is not None
            case TrialState.PRUNED:
                told_here = self._result == "pruned"
            case _:
                told_here = self._result == "complete" and stored.value == self._value
        return not told_here

    def _keep_late_result(self, error: Exception) -> None:
        stored = self._stored()
        why = f"another process had ended the trial as {stored.state.name}"
        if stored.state == TrialState.FAIL:
            why += " (was this worker without a heartbeat for too long?)"
        result = self._result or "not finished"
        _logger.warning(
            "trial %d: %s; it came to: %s, value %r (%s)",
            self._number, why, result, self._value, describe_error(error),
        )  # fmt: skip
        if self._result in ("complete", "pruned"):
            kept = self._kept(why, stored.params, stored.user_attrs)
            append_to_file(self._late_file, kept)
            attach_to_study(self._study, kept)

    def _keep_unsent_result(self, error: StorageError) -> None:
        if self._result in ("complete", "pruned"):
            append_to_file(self._late_file, self._kept(f"it could not be stored: {error}", {}, {}))

    def _kept(
        self, why: str, params: Mapping[str, Any], user_attrs: Mapping[str, Any]
    ) -> KeptResult:
        return KeptResult(
            study=self._study.study_name,
            trial=self._number,
            state=self._result,
            value=self._value,
            why=why,
            params=params,
            user_attrs=user_attrs,
        )

    def _stored(self) -> FrozenTrial:
        return self._study.get_trials(deepcopy=False)[self._number]


def _storage_error(error: BaseException) -> StorageError | None:
    """The storage's error behind `error`.

    Where storing a result fails, Optuna raises an UnboundLocalError of its own on the way out.
    """
    seen: BaseException | None = error
    while seen is not None:
        if isinstance(seen, StorageError):
            return seen
        seen = seen.__cause__ or seen.__context__
    return None


def _free_memory() -> None:
    """Give back what a network that did not fit has left behind."""
    gc.collect()
    torch = sys.modules.get("torch")
    if torch is not None and torch.cuda.is_initialized():
        torch.cuda.empty_cache()
