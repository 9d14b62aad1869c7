"""The storage as the dashboard sees it: what it reads from the database, and no way to write."""

from __future__ import annotations

import inspect
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import optuna
import pytest
from optuna.distributions import FloatDistribution
from optuna.storages import BaseStorage
from optuna.storages._rdb import models
from optuna.trial import TrialState
from sqlalchemy import event

from optuna_snn.dashboard import ReadOnlyError, open_view
from optuna_snn.workers.errors import RunError
from tests.dashboard.conftest import (
    BEST,
    INFEASIBLE,
    LACKING,
    RUNNING,
    Filled,
    ask,
    plain_storage,
    tell,
)

WRITES = {
    "create_new_study": ([optuna.study.StudyDirection.MINIMIZE], "new"),
    "delete_study": (1,),
    "set_study_user_attr": (1, "key", 1),
    "set_study_system_attr": (1, "key", 1),
    "create_new_trial": (1,),
    "set_trial_param": (RUNNING + 1, "x", 0.5, FloatDistribution(0.0, 1.0)),
    "set_trial_state_values": (RUNNING + 1, TrialState.COMPLETE, [1.0]),
    "set_trial_intermediate_value": (RUNNING + 1, 0, 0.5),
    "set_trial_user_attr": (RUNNING + 1, "key", 1),
    "set_trial_system_attr": (RUNNING + 1, "key", 1),
}


@contextmanager
def trials_read() -> Iterator[list[int]]:
    """The ids of the trials whose rows are read from a database."""
    found: list[int] = []

    def note(trial: models.TrialModel, context: object) -> None:
        found.append(trial.trial_id)

    event.listen(models.TrialModel, "load", note)
    yield found
    event.remove(models.TrialModel, "load", note)


def test_every_abstract_method_that_is_no_reader_is_among_the_writes() -> None:
    abstract = {name for name in BaseStorage.__abstractmethods__ if not name.startswith("get_")}
    assert abstract == WRITES.keys()


@pytest.mark.parametrize("name", WRITES)
def test_writing_is_refused_in_one_line(own_url: str, name: str) -> None:
    view = open_view(own_url)
    with pytest.raises(ReadOnlyError, match=r"^the dashboard only reads: it .+; open the storage"):
        getattr(view, name)(*WRITES[name])


def test_the_view_has_no_other_way_to_write() -> None:
    """As a heartbeat would be one: only the public methods of a plain storage are there."""
    from optuna_snn.dashboard import StudyView

    public = {
        name
        for name, _ in inspect.getmembers(StudyView, inspect.isfunction)
        if not name.startswith("_")
    }
    base = {
        name
        for name, _ in inspect.getmembers(BaseStorage, inspect.isfunction)
        if not name.startswith("_")
    }
    assert public == base | {"look"}


def test_finished_trials_are_read_once(filled: Filled) -> None:
    view = open_view(filled.url)
    view._fresh_s = 0.0
    with trials_read() as first:
        assert len(view.get_all_trials(1)) == RUNNING + 1
    assert len(set(first)) == RUNNING + 1
    with trials_read() as later:
        assert len(view.get_all_trials(1)) == RUNNING + 1
        assert view.get_best_trial(1).number == BEST
    assert set(later) == {RUNNING + 1}


def test_finished_trials_are_made_ready_once(own_url: str) -> None:
    view = open_view(own_url)
    view._fresh_s = 0.0
    before, after = view.look(1).shown, view.look(1).shown
    assert all(a is b for a, b in zip(before[:RUNNING], after[:RUNNING], strict=True))
    assert before[RUNNING] is not after[RUNNING]


def test_the_parts_of_a_page_share_one_look(own_url: str) -> None:
    view = open_view(own_url)
    view._fresh_s = 3600.0
    assert len(view.get_all_trials(1, deepcopy=False)) == RUNNING + 1
    with trials_read() as later:
        view.get_all_trials(1, deepcopy=False)
        view.get_best_trial(1)
    assert later == []


def test_a_constraint_that_is_new_to_the_study_is_missing_in_earlier_trials(own_url: str) -> None:
    view = open_view(own_url)
    view._fresh_s = 0.0
    assert [trial.number for trial in view.look(1).feasible] == [0, BEST]
    study = optuna.load_study(storage=plain_storage(own_url), study_name="digits")
    tell(study, RUNNING + 1, 0.1, {"energy": 0.0, "silent/output": 0.0, "memory": 0.0})
    look = view.look(1)
    assert [trial.number for trial in look.feasible] == [RUNNING + 1]
    assert look.marks[BEST] == "infeasible"
    assert look.shown[BEST].system_attrs["constraints"][-1] > 0
    assert view.get_best_trial(1).number == RUNNING + 1


def test_a_trial_is_shown_anew_when_it_ends(own_url: str) -> None:
    view = open_view(own_url)
    view._fresh_s = 0.0
    assert view.look(1).marks[RUNNING] == "running"
    storage = plain_storage(own_url)
    storage.set_trial_system_attr(RUNNING + 1, "constraints:energy", 2.0)
    storage.set_trial_system_attr(RUNNING + 1, "constraints:silent/output", -1.0)
    storage.set_trial_state_values(RUNNING + 1, TrialState.COMPLETE, [3.0])
    look = view.look(1)
    assert look.marks[RUNNING] == "infeasible"
    assert look.shown[RUNNING].user_attrs["constraint/energy"] == 2.0
    assert view.get_best_trial(1).number == BEST


def test_a_study_in_place_of_a_deleted_one_is_not_taken_for_it(own_url: str) -> None:
    """SQLite gives the ids of the deleted study and of its trials again."""
    view = open_view(own_url)
    view._fresh_s = 0.0
    assert [study.study_name for study in view.get_all_studies()] == ["digits"]
    view.look(1)
    storage = plain_storage(own_url)
    storage.delete_study(1)
    assert view.get_all_studies() == []
    study = optuna.create_study(storage=storage, study_name="digits", direction="maximize")
    tell(study, 0, 0.25, {"energy": 1.0})
    assert (study._study_id, study.trials[0]._trial_id) == (1, 1)
    view.get_all_studies()
    assert [trial.value for trial in view.look(1).shown] == [0.25]


def test_a_database_in_place_of_another_one_is_read_anew(own_url: str, tmp_path: Path) -> None:
    """As after `optuna-snn run --new`, which moves the former database aside."""
    view = open_view(own_url)
    view._fresh_s = 0.0
    assert len(view.look(1).shown) == RUNNING + 1
    file = Path(own_url.removeprefix("sqlite:///"))
    file.rename(tmp_path / "former.db")
    with pytest.raises(RunError, match="there is no database"):
        view.look(1)
    file.touch()  # the new run has not made its tables yet
    for _ in range(2):
        with pytest.raises(RunError, match="has no studies"):
            view.look(1)
    study = optuna.create_study(storage=plain_storage(own_url), study_name="digits")
    tell(study, 0, 0.25, {"energy": 1.0})
    assert [trial.value for trial in view.look(1).shown] == [0.25]


def test_states_and_copies_are_as_of_any_storage(own_url: str) -> None:
    view = open_view(own_url)
    complete = view.get_all_trials(1, states=(TrialState.COMPLETE,))
    assert [trial.number for trial in complete] == [0, INFEASIBLE, BEST, LACKING, 7]
    complete[0].user_attrs["mark"] = "changed"
    assert view.get_all_trials(1)[0].user_attrs["mark"] == "feasible"
    assert view.get_n_trials(1) == RUNNING + 1
    assert view.get_trial(BEST + 1).value == 0.7


def test_without_a_feasible_trial_the_storage_still_answers(sqlite_url: str) -> None:
    study = optuna.create_study(storage=plain_storage(sqlite_url), direction="maximize")
    tell(study, 0, 1.0, {"energy": 1.0})
    tell(study, 1, 2.0, {"energy": 2.0})
    view = open_view(sqlite_url)
    assert view.get_best_trial(1).number == 1
    assert view.look(1).feasible == []


def test_studies_come_in_the_order_of_their_creation(sqlite_url: str) -> None:
    for name in ("b", "a", "c"):
        study = optuna.create_study(storage=plain_storage(sqlite_url), study_name=name)
        ask(study, 0)
    view = open_view(sqlite_url)
    assert [study.study_name for study in view.get_all_studies()] == ["b", "a", "c"]
    assert view.get_study_id_from_name("a") == 2
