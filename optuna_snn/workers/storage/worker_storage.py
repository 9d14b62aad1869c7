"""One database for many workers: Optuna's `RDBStorage`, and what many workers need beside it.

Departures:

1. No connection is held, and no transaction blocks others for long (`connections.py`).
2. Every call is repeated while the database is away (`patience.py`).
3. A call may be repeated although it was done: only its answer was lost. So each call can be done
   twice with the effect of once. Most of Optuna's are like that; creating a study or a trial,
   claiming a queued trial and telling a result recognise here what they have done before.
4. No trial is declared stale while healthy workers may have been kept from beating
   (`verdicts.py`); one that is declared so is marked, in the transaction that fails it.
5. A trial is queued again once: a second retry of the same trial is the first one.
6. A claimed trial notes which user attributes it was queued with (`retry.py`).
7. On request a trial has a heartbeat from its first moment. Optuna's begin after the ask, so a
   worker killed in between leaves a trial that nobody would ever end.

Private or version-bound names of Optuna that are used here, and nowhere else in `workers`:
`optuna.storages._rdb.models` (tables of studies, trials, attributes and heartbeats),
`_create_scoped_session`, and the methods of `RDBStorage` that its cache calls or that create a
trial inside a transaction.
"""

from __future__ import annotations

import contextlib
import json
import logging
import sqlite3
import threading
import uuid
import warnings
from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from typing import Any

import sqlalchemy
from optuna.exceptions import DuplicatedStudyError, ExperimentalWarning, UpdateFinishedTrialError
from optuna.storages import RDBStorage
from optuna.storages._rdb import models
from optuna.storages._rdb.storage import _create_scoped_session
from optuna.study import StudyDirection
from optuna.trial import FrozenTrial, TrialState
from sqlalchemy.orm import Session

from optuna_snn.checkpoints.lineage import RETRY_HISTORY
from optuna_snn.workers.retry import QUEUED_ATTRS, STALE
from optuna_snn.workers.storage.calls import CACHE_CALLS, PUBLIC_CALLS
from optuna_snn.workers.storage.connections import begin_well, engine_arguments
from optuna_snn.workers.storage.database_errors import (
    StorageError,
    first_line,
    hint,
    is_transient,
    refusal,
    shown_storage,
)
from optuna_snn.workers.storage.patience import DEFAULT_PATIENCE_S, Patience, repeat_calls
from optuna_snn.workers.storage.verdicts import MissedBeats

__all__ = ["ASK_GRACES", "REPEATED_CALLS", "WorkerStorage"]

ASK_GRACES = 5
"""The first heartbeat is dated so many grace periods ahead: the sampler's time for its ask."""

BEAT_CALLS = ("_get_stale_trial_ids", "heartbeat_ages", "expect_beats")

REPEATED_CALLS = (*PUBLIC_CALLS, *CACHE_CALLS, *BEAT_CALLS)
"""What is repeated as a whole; `record_heartbeat` repeats itself."""

_logger = logging.getLogger("optuna_snn.workers")


class _Memory(threading.local):
    """What the call that this thread is in has done so far, in case it is repeated."""

    study_name = ""
    created: tuple[int, int, datetime | None] | None = None
    """Id, number and start of the trial that was about to be committed."""
    found: int | None = None
    """Id of the trial that was there already."""
    claimed_at: datetime | None = None
    stale: frozenset[int] = frozenset()
    """Ids of the trials that this thread was told are stale."""


@repeat_calls(*REPEATED_CALLS)
class WorkerStorage(RDBStorage):
    """`RDBStorage` with the departures above.

    Args:
        url: a full database URL.
        patience_s: how long a call is repeated while the database is away.
        first_beat: whether trials created or claimed here have a heartbeat at once. Only for
            trials that `Study.optimize` runs: nothing beats for those of ask and tell.
        **kwargs: of `RDBStorage`.
    """

    def __init__(
        self,
        url: str,
        *,
        patience_s: float = DEFAULT_PATIENCE_S,
        first_beat: bool = False,
        **kwargs: Any,
    ) -> None:
        self._patience_s = patience_s
        self._first_beat = first_beat
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ExperimentalWarning)
            super().__init__(url, engine_kwargs=engine_arguments(url), **kwargs)
        self._prepare()

    def _prepare(self) -> None:
        """Set what belongs to a process and is not pickled."""
        name = f"the storage {shown_storage(self.url)}"
        self.patience = Patience(
            self._patience_s,
            name=name,
            is_transient=is_transient,
            describe=lambda error: first_line(error, self.url) + hint(error),
            refusal=lambda error: refusal(error, self.url),
            before_repeat=self.remove_session,
        )
        self._memory = _Memory()
        self._missed_beats = MissedBeats(
            self.engine,
            self.patience,
            grace_s=self._grace_s,
            interval_s=self.heartbeat_interval or 0,
        )
        begin_well(self.engine)

    def __getstate__(self) -> dict[Any, Any]:
        state = super().__getstate__()
        for name in ("patience", "_memory", "_missed_beats"):
            del state[name]
        return state

    def __setstate__(self, state: dict[Any, Any]) -> None:
        super().__setstate__(state)
        self._prepare()

    @property
    def _grace_s(self) -> float:
        return float(self.grace_period or 2 * (self.heartbeat_interval or 0))

    # Studies

    def create_new_study(
        self, directions: Sequence[StudyDirection], study_name: str | None = None
    ) -> int:
        """See `BaseStorage`."""
        if not self.patience.is_repeating:
            self._memory.study_name = study_name or f"no-name-{uuid.uuid4()}"
        name = self._memory.study_name
        try:
            return super().create_new_study(directions, name)
        except DuplicatedStudyError:
            if self.patience.is_repeating:
                study_id = self.get_study_id_from_name(name)
                is_empty = self.get_n_trials(study_id) == 0
                if is_empty and self.get_study_directions(study_id) == list(directions):
                    return study_id
            raise

    def delete_study(self, study_id: int) -> None:
        """See `BaseStorage`."""
        try:
            super().delete_study(study_id)
        except KeyError:
            if not self.patience.is_repeating:
                raise

    # Trials

    def _create_new_trial(
        self, study_id: int, template_trial: FrozenTrial | None = None
    ) -> FrozenTrial:
        if not self.patience.is_repeating:
            self._memory.created = None
        self._memory.found = None
        created = super()._create_new_trial(study_id, template_trial)
        # Optuna describes a trial by its template; one that was there has moved on perhaps.
        return created if self._memory.found is None else self.get_trial(self._memory.found)

    def _get_prepared_new_trial(
        self, study_id: int, template_trial: FrozenTrial | None, session: Session
    ) -> Any:
        """The new trial, in a transaction that holds the lock on the study's creations."""
        present = self._done_before(study_id, template_trial, session)
        if present is None and template_trial is not None:
            present = _same_retry(study_id, template_trial, session)
        if present is not None:
            self._memory.found = present.trial_id
            return present
        trial: Any = super()._get_prepared_new_trial(study_id, template_trial, session)
        if self._first_beat and template_trial is None:
            self._beat_ahead(trial.trial_id, session)
        self._memory.created = (trial.trial_id, trial.number, trial.datetime_start)
        return trial

    def _done_before(self, study_id: int, template: FrozenTrial | None, session: Session) -> Any:
        """The trial that this call has created before, if its commit went through after all."""
        if self._memory.created is None:
            return None
        trial_id, number, start = self._memory.created
        stored: Any = session.get(models.TrialModel, trial_id)
        if stored is None or (stored.study_id, stored.number) != (study_id, number):
            return None
        # A server that crashed may give the id of a lost transaction to somebody else.
        if template is None:
            return stored if stored.datetime_start == start else None
        return stored if _holds(stored, template) else None

    def set_trial_state_values(
        self, trial_id: int, state: TrialState, values: Sequence[float] | None = None
    ) -> bool:
        """See `BaseStorage`."""
        if state == TrialState.RUNNING:
            return self._claim(trial_id)
        if state == TrialState.FAIL and trial_id in self._memory.stale:
            return self._fail_stale(trial_id)
        try:
            return super().set_trial_state_values(trial_id, state, values)
        except UpdateFinishedTrialError:
            if self.patience.is_repeating:
                stored = self.get_trial(trial_id)
                if (stored.state, stored.values or []) == (state, list(values or [])):
                    return True
            raise

    def _claim(self, trial_id: int) -> bool:
        """Make a WAITING trial this worker's own; False if another one was quicker."""
        if not self.patience.is_repeating:
            self._memory.claimed_at = None
        with _create_scoped_session(self.scoped_session) as session:
            trial: Any = models.TrialModel.find_or_raise_by_id(trial_id, session, for_update=True)
            self.check_trial_is_updatable(trial_id, trial.state)
            if trial.state == TrialState.RUNNING:
                claimed_at = self._memory.claimed_at
                return claimed_at is not None and bool(trial.datetime_start == claimed_at)
            self._memory.claimed_at = datetime.now()
            trial.state, trial.datetime_start = TrialState.RUNNING, self._memory.claimed_at
            self._note_queued_attrs(trial, session)
            if self._first_beat:
                self._beat_ahead(trial_id, session)
        return True

    def _note_queued_attrs(self, trial: Any, session: Session) -> None:
        """Store what a queued trial brings, before its objective adds to it."""
        queued = {each.key: json.loads(each.value_json) for each in trial.user_attributes}
        self._set_trial_attr_without_commit(
            session, models.TrialSystemAttributeModel, trial.trial_id, QUEUED_ATTRS, queued
        )

    # Heartbeats

    def record_heartbeat(self, trial_id: int) -> None:
        """See `BaseHeartbeat`; never ends its thread, because the next beat comes anyhow."""
        if self.engine.name == "sqlite" and self._beat_alone(trial_id):
            return
        beat = super().record_heartbeat
        try:
            self.patience.call(lambda: beat(trial_id), seconds=float(self.heartbeat_interval or 0))
        except StorageError as error:
            _logger.debug("a heartbeat was lost: %s", error)

    def _beat_alone(self, trial_id: int) -> bool:
        """Beat by one statement of its own in an SQLite file; whether there was one to renew.

        The thread may have to wait, for minutes, for an objective that keeps the interpreter's
        lock. Between the statements of a transaction it would keep the file locked for everybody.
        """
        renewal = "UPDATE trial_heartbeats SET heartbeat = CURRENT_TIMESTAMP WHERE trial_id = ?"
        try:
            with contextlib.closing(self.engine.raw_connection()) as connection:
                return bool(connection.cursor().execute(renewal, (trial_id,)).rowcount > 0)
        except (sqlite3.Error, sqlalchemy.exc.SQLAlchemyError) as error:
            _logger.debug("a heartbeat was lost: %s", error)
            return True  # the next one comes anyhow

    def heartbeat_ages(self, study_name: str) -> dict[int, float]:
        """Seconds since the last heartbeat of each running trial that ever beat, by number.

        Negative for a trial that has only the first one, dated ahead.
        """
        trial, study, beat = models.TrialModel, models.StudyModel, models.TrialHeartbeatModel
        query = (
            sqlalchemy.select(trial.number, beat.heartbeat)
            .join(study, trial.study_id == study.study_id)
            .join(beat, beat.trial_id == trial.trial_id)
            .where(study.study_name == study_name, trial.state == TrialState.RUNNING)
        )
        with _create_scoped_session(self.scoped_session) as session:
            now = _database_now(session)
            return {
                number: (now - last).total_seconds() for number, last in session.execute(query)
            }

    def expect_beats(self, study_name: str, numbers: Iterable[int]) -> None:
        """Give a first heartbeat to those RUNNING trials that have none."""
        trial, study = models.TrialModel, models.StudyModel
        for number in numbers:
            query = (
                sqlalchemy.select(trial)
                .join(study, trial.study_id == study.study_id)
                .where(study.study_name == study_name, trial.number == number)
                .with_for_update(of=trial)
            )
            with _create_scoped_session(self.scoped_session, True) as session:
                stored: Any = session.execute(query).scalar_one_or_none()
                if stored is None or stored.state != TrialState.RUNNING or stored.heartbeats:
                    continue
                # A grace less than for one that is created now: nobody waits for it (budget.py).
                self._beat_ahead(stored.trial_id, session, graces=ASK_GRACES - 1)

    def _beat_ahead(self, trial_id: int, session: Session, *, graces: int = ASK_GRACES) -> None:
        if self.heartbeat_interval is not None:
            ahead = _database_now(session) + timedelta(seconds=graces * self._grace_s)
            session.add(models.TrialHeartbeatModel(trial_id=trial_id, heartbeat=ahead))

    def _get_stale_trial_ids(self, study_id: int) -> list[int]:
        stale = super()._get_stale_trial_ids(study_id)
        if stale and self._missed_beats.are_possible():
            stale = []
        self._memory.stale = frozenset(stale)
        return stale

    def _fail_stale(self, trial_id: int) -> bool:
        """Fail and mark a trial, unless it has beaten since it was found stale."""
        with _create_scoped_session(self.scoped_session) as session:
            trial: Any = models.TrialModel.find_or_raise_by_id(trial_id, session, for_update=True)
            if self.patience.is_repeating and trial.state == TrialState.FAIL:
                return True  # done before, here or elsewhere: its retry is added once in any case
            self.check_trial_is_updatable(trial_id, trial.state)
            beat = models.TrialHeartbeatModel.where_trial_id(trial_id, session)
            if beat is None:
                return False
            age_s = float((_database_now(session) - beat.heartbeat).total_seconds())
            if age_s <= self._grace_s:
                return False
            attributes = models.TrialSystemAttributeModel
            self._set_trial_attr_without_commit(session, attributes, trial_id, STALE, age_s)
            trial.state, trial.datetime_complete = TrialState.FAIL, datetime.now()
        return True


def _database_now(session: Session) -> datetime:
    """The database's own clock, as in RDBStorage: heartbeats are stamped by it."""
    now: datetime = session.execute(sqlalchemy.select(sqlalchemy.func.now())).scalar_one()
    return now.replace(tzinfo=None)


def _same_retry(study_id: int, template: FrozenTrial, session: Session) -> Any:
    """The trial that repeats the same trial as `template` does, if `template` is a retry."""
    history = template.system_attrs.get(RETRY_HISTORY)
    if template.state != TrialState.WAITING or not history:
        return None
    trial, attribute = models.TrialModel, models.TrialSystemAttributeModel
    query = (
        sqlalchemy.select(trial, attribute.value_json)
        .join(attribute, attribute.trial_id == trial.trial_id)
        .where(trial.study_id == study_id, attribute.key == RETRY_HISTORY)
    )
    for stored, text in session.execute(query):
        if json.loads(text)[-1:] == history[-1:]:
            return stored
    return None


def _holds(stored: Any, template: FrozenTrial) -> bool:
    """Whether `stored` has all that `template` brings; it may have been claimed since."""
    names = {param.param_name for param in stored.params}
    return (
        _has_all(stored.system_attributes, template.system_attrs)
        and _has_all(stored.user_attributes, template.user_attrs)
        and set(template.params) <= names
    )


def _has_all(stored: Iterable[Any], wanted: dict[str, Any]) -> bool:
    attributes = {attribute.key: json.loads(attribute.value_json) for attribute in stored}
    return json.loads(json.dumps(wanted)).items() <= attributes.items()  # type: ignore[no-any-return]
