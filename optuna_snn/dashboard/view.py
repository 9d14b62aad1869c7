"""The storage as the dashboard is to see it: trials as they are shown, each read once.

Private names of Optuna that are used here: `FrozenTrial._trial_id`, `FrozenStudy._study_id` (the
dashboard asks by them).
"""

from __future__ import annotations

import copy
import threading
import time
from collections.abc import Callable, Container, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from optuna.storages import BaseStorage
from optuna.study import StudyDirection
from optuna.study._frozen import FrozenStudy
from optuna.trial import FrozenTrial, TrialState

from optuna_snn.dashboard.looks import Look, ShownTrials
from optuna_snn.dashboard.read_only import ReadOnlyStorage
from optuna_snn.dashboard.reading import (
    READING_ERRORS,
    describe_reading_error,
    open_for_reading,
)
from optuna_snn.dashboard.shown_trials import shown_trial
from optuna_snn.stored_spikes import readable_report
from optuna_snn.workers.errors import RunError
from optuna_snn.workers.storage.database_errors import StorageError
from optuna_snn.workers.storage.urls import database_file, normalise_url

__all__ = ["StudyView", "open_view"]

FRESH_S = 1.0
"""Seconds for which a look at a study counts as new: the dashboard asks several times a page."""


def open_view(url: str) -> StudyView:
    """Return a view of the studies in an SQLite file or behind a URL, which is only read.

    Raises:
        RunError: there is no such storage, or it cannot be read; one line, without a password.
    """
    full_url = normalise_url(url)
    file = database_file(full_url)
    return StudyView(
        lambda: open_for_reading(full_url),
        describe=lambda error: describe_reading_error(error, full_url),
        identity=lambda: None if file is None else _file_identity(file),
    )


class StudyView(ReadOnlyStorage):
    """Optuna's storage for readers. Whatever would write raises ReadOnlyError.

    Trials come as `shown_trials` describes them. A finished trial is read and made ready once; two
    looks within FRESH_S are the same one, so that all parts of a page agree. Several threads may
    use one view.

    A storage that cannot be read just now raises what `unavailable` makes of the reason, in one
    line: StorageError unless it is set to something else.

    What was read is forgotten, and the storage opened anew, when a study has gone or another file
    stands in the place of the database (`optuna-snn run --new`): the next study may have the same
    id, and its trials those of the former ones.

    Args:
        opened: opens the storage, with a cache of its own.
        describe: why it cannot be read, from what it raised.
        identity: what changes when another storage stands in its place.
        fresh_s: instead of FRESH_S.
    """

    def __init__(
        self,
        opened: Callable[[], BaseStorage],
        *,
        describe: Callable[[BaseException], str] = str,
        identity: Callable[[], object] = lambda: None,
        fresh_s: float = FRESH_S,
    ) -> None:
        self.unavailable: Callable[[str], Exception] = StorageError
        self._opened = opened
        self._describe = describe
        self._identity = identity
        self._fresh_s = fresh_s
        self._lock = threading.RLock()
        self._open()

    def _open(self) -> None:
        identity = self._identity()
        self._backend = self._opened()
        self._seen_identity = identity  # of what was opened: not before that has succeeded
        self._studies: dict[int, str] = {}
        """Id -> name, as seen last."""
        self._looks: dict[int, tuple[float, Look]] = {}
        self._shown_trials = ShownTrials()

    def _open_anew_if_replaced(self) -> None:
        with self._lock, self._reading():
            if self._identity() != self._seen_identity:
                self._open()

    # Trials

    def look(self, study_id: int) -> Look:
        """Return the trials of a study, read now or within the last FRESH_S.

        Raises KeyError if there is no such study.
        """
        with self._lock:
            seen_at, known = self._looks.get(study_id, (float("-inf"), None))
            if known is not None and time.monotonic() - seen_at < self._fresh_s:
                return known
            self._open_anew_if_replaced()
            with self._reading():
                stored = self._backend.get_all_trials(study_id, deepcopy=False)
            found = self._shown_trials.look_at(stored)
            self._looks[study_id] = (time.monotonic(), found)
            return found

    def get_all_trials(
        self,
        study_id: int,
        deepcopy: bool = True,
        states: Container[TrialState] | None = None,
    ) -> list[FrozenTrial]:
        """See `BaseStorage`."""
        trials = [
            trial for trial in self.look(study_id).shown if states is None or trial.state in states
        ]
        return copy.deepcopy(trials) if deepcopy else trials

    def get_trial(self, trial_id: int) -> FrozenTrial:
        """See `BaseStorage`; the trial lacks no constraint, as its study is not looked at."""
        with self._reading():
            trial = self._backend.get_trial(trial_id)
        return shown_trial(trial, frozenset(), readable_report(trial))

    def get_best_trial(self, study_id: int) -> FrozenTrial:
        """See `BaseStorage`; the best feasible trial, and only if there is none the best one.

        The dashboard cannot do without. `application.py` shows no best trial in that case.
        """
        directions = self.get_study_directions(study_id)
        look = self.look(study_id)
        if len(directions) == 1 and look.feasible:
            sign = -1.0 if directions[0] == StudyDirection.MAXIMIZE else 1.0
            return min(look.feasible, key=lambda t: (sign * (t.value or 0.0), t.number))
        return super().get_best_trial(study_id)

    # Studies

    def get_all_studies(self) -> list[FrozenStudy]:
        """See `BaseStorage`; in the order in which they were created."""
        self._open_anew_if_replaced()
        with self._lock, self._reading():
            studies = self._backend.get_all_studies()
            names = {study._study_id: study.study_name for study in studies}
            if not self._studies.items() <= names.items():
                self._open()
            self._studies = names
        return sorted(studies, key=lambda study: study._study_id)

    def get_study_id_from_name(self, study_name: str) -> int:
        """See `BaseStorage`."""
        with self._reading():
            return self._backend.get_study_id_from_name(study_name)

    def get_study_name_from_id(self, study_id: int) -> str:
        """See `BaseStorage`."""
        with self._reading():
            return self._backend.get_study_name_from_id(study_id)

    def get_study_directions(self, study_id: int) -> list[StudyDirection]:
        """See `BaseStorage`."""
        with self._reading():
            return self._backend.get_study_directions(study_id)

    def get_study_user_attrs(self, study_id: int) -> dict[str, Any]:
        """See `BaseStorage`."""
        with self._reading():
            return self._backend.get_study_user_attrs(study_id)

    def get_study_system_attrs(self, study_id: int) -> dict[str, Any]:
        """See `BaseStorage`."""
        with self._reading():
            return self._backend.get_study_system_attrs(study_id)

    def remove_session(self) -> None:
        """See `BaseStorage`."""
        self._backend.remove_session()

    @contextmanager
    def _reading(self) -> Iterator[None]:
        try:
            yield
        except (*READING_ERRORS, RunError) as error:
            raise self.unavailable(self._describe(error)) from error


def _file_identity(file: Path) -> tuple[int, int] | None:
    """What no two files have in common; None where there is none."""
    try:
        found = file.stat()
    except FileNotFoundError:
        return None
    return found.st_dev, found.st_ino
