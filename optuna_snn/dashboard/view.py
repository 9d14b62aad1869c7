"""The storage as the dashboard is to see it: trials as they are shown, each read once.

Private names of Optuna that are used here: `FrozenTrial._trial_id`, `FrozenStudy._study_id` (the
dashboard asks by them).
"""

from __future__ import annotations

import copy
import threading
import time
from collections.abc import Callable, Container, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from optuna.storages import BaseStorage
from optuna.study import StudyDirection
from optuna.study._frozen import FrozenStudy
from optuna.trial import FrozenTrial, TrialState

from optuna_snn.dashboard.read_only import ReadOnlyStorage
from optuna_snn.dashboard.reading import (
    READING_ERRORS,
    describe_reading_error,
    open_for_reading,
)
from optuna_snn.dashboard.shown_trials import mark_of, shown_trial
from optuna_snn.workers.display.progress import best_trials, constraint_names, is_feasible
from optuna_snn.workers.errors import RunError
from optuna_snn.workers.storage.database_errors import StorageError
from optuna_snn.workers.storage.urls import database_file, normalise_url

__all__ = ["Look", "StudyView", "open_view"]

FRESH_S = 1.0
"""Seconds for which a look at a study counts as new: the dashboard asks several times a page."""


@dataclass(frozen=True)
class Look:
    """The trials of a study at one moment, by number.

    stored:   as they are in the storage
    shown:    as they are shown, in the same order
    marks:    the mark of each, in the same order
    feasible: as shown, the COMPLETE trials that keep every constraint of the study
    names:    of the constraints that the study knows
    """

    stored: Sequence[FrozenTrial]
    shown: Sequence[FrozenTrial]
    marks: Sequence[str]
    feasible: Sequence[FrozenTrial]
    names: frozenset[str]


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
        self._ready: dict[int, tuple[FrozenTrial, frozenset[str], FrozenTrial]] = {}
        """Trial id -> finished trial, the constraints' names it was seen with, as it is shown."""

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
            found = self._look(stored)
            self._looks[study_id] = (time.monotonic(), found)
            return found

    def _look(self, stored: Sequence[FrozenTrial]) -> Look:
        names = constraint_names(stored)
        shown = [self._shown(trial, names) for trial in stored]
        feasible = [
            as_shown
            for trial, as_shown in zip(stored, shown, strict=True)
            if trial.state == TrialState.COMPLETE and is_feasible(trial, names)
        ]
        marks = [mark_of(trial, names) for trial in stored]
        return Look(stored, shown, marks, feasible, names)

    def _shown(self, trial: FrozenTrial, names: frozenset[str]) -> FrozenTrial:
        original, seen_with, shown = self._ready.get(trial._trial_id, (None, None, None))
        # The same object: databases give the id of a deleted trial to the next one.
        if shown is not None and original is trial and seen_with == names:
            return shown
        shown = shown_trial(trial, names)
        if trial.state.is_finished():
            self._ready[trial._trial_id] = (trial, names, shown)
        return shown

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
            return shown_trial(self._backend.get_trial(trial_id), frozenset())

    def get_best_trial(self, study_id: int) -> FrozenTrial:
        """See `BaseStorage`; the best feasible trial, and only if there is none the best one.

        The dashboard cannot do without. `application.py` shows no best trial in that case.
        """
        directions = self.get_study_directions(study_id)
        look = self.look(study_id)
        if len(directions) == 1:
            for best in best_trials(look.stored, directions[0].name.lower(), 1):
                return next(trial for trial in look.shown if trial.number == best.number)
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
