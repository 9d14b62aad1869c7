"""A call whose commit was done and whose answer was lost is done once, on each database."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import Any

import optuna
import pytest
from optuna.distributions import FloatDistribution
from optuna.exceptions import DuplicatedStudyError, UpdateFinishedTrialError
from optuna.study import StudyDirection
from optuna.trial import TrialState

from optuna_snn.database import create_database, drop_database
from optuna_snn.workers.storage.opening import WorkerStorage, open_storage
from tests.workers.faults import lost_answers, lost_commits, refused_connections

pytestmark = pytest.mark.filterwarnings("ignore:Heartbeat of storage is supposed to be used")

DATABASE = "optuna_snn_test_lost_answers"

UNIFORM = FloatDistribution(0.0, 1.0)


@pytest.fixture(scope="module", params=["sqlite", "postgresql"])
def storage(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[WorkerStorage]:
    """One for all tests of this file, each of which has a study of its own: tables take long."""
    if request.param == "sqlite":
        url, server = str(tmp_path_factory.mktemp("lost") / "a.db"), None
    else:
        server = request.getfixturevalue("postgres_server_url")
        url = create_database(server, DATABASE)
    opened = open_storage(url, patience_s=20.0, first_beat=True)
    assert isinstance(opened, WorkerStorage)
    yield opened
    if server is not None:
        drop_database(server, DATABASE)


@pytest.fixture
def name(request: pytest.FixtureRequest) -> str:
    """Name of the test's own study."""
    return str(request.node.name)


def new_study(storage: WorkerStorage, name: str) -> int:
    return storage.create_new_study([StudyDirection.MINIMIZE], name)


FAULTS = pytest.mark.parametrize("fault", [lost_answers, lost_commits])


@FAULTS
def test_a_result_is_told_once(storage: WorkerStorage, name: str, fault: Any) -> None:
    trial_id = storage.create_new_trial(new_study(storage, name))
    with fault(storage) as faults:
        assert storage.set_trial_state_values(trial_id, TrialState.COMPLETE, [0.1 + 0.2])
    assert faults.happened == 1
    trial = storage.get_trial(trial_id)
    assert (trial.state, trial.values) == (TrialState.COMPLETE, [0.1 + 0.2])


@pytest.mark.parametrize("state", [TrialState.PRUNED, TrialState.FAIL])
def test_an_end_without_values_is_told_once(
    storage: WorkerStorage, name: str, state: TrialState
) -> None:
    trial_id = storage.create_new_trial(new_study(storage, name))
    with lost_answers(storage):
        assert storage.set_trial_state_values(trial_id, state)
    assert storage.get_trial(trial_id).state == state


def test_a_result_that_others_told_differently_is_not_taken_for_ones_own(
    storage: WorkerStorage, name: str
) -> None:
    trial_id = storage.create_new_trial(new_study(storage, name))
    storage.set_trial_state_values(trial_id, TrialState.COMPLETE, [1.0])
    with lost_answers(storage), pytest.raises(UpdateFinishedTrialError):
        storage.set_trial_state_values(trial_id, TrialState.COMPLETE, [2.0])
    with pytest.raises(UpdateFinishedTrialError):  # nothing was repeated: no benefit of the doubt
        storage.set_trial_state_values(trial_id, TrialState.COMPLETE, [1.0])


@FAULTS
def test_a_trial_is_created_once(storage: WorkerStorage, name: str, fault: Any) -> None:
    study_id = new_study(storage, name)
    storage.create_new_trial(study_id)
    with fault(storage) as faults:
        trial_id = storage.create_new_trial(study_id)
    assert faults.happened == 1
    trials = storage.get_all_trials(study_id)
    assert [trial.number for trial in trials] == [0, 1]
    assert trials[1]._trial_id == trial_id


def test_each_creation_makes_a_trial_of_its_own_after_a_fault(
    storage: WorkerStorage, name: str
) -> None:
    study_id = new_study(storage, name)
    with lost_answers(storage):
        first = storage.create_new_trial(study_id)
    assert storage.create_new_trial(study_id) != first
    assert len(storage.get_all_trials(study_id)) == 2


@FAULTS
def test_a_trial_is_queued_once_with_all_that_it_brings(
    storage: WorkerStorage, name: str, fault: Any
) -> None:
    study = optuna.create_study(storage=storage, study_name=name)
    with fault(storage) as faults:
        study.enqueue_trial({"x": 0.5}, user_attrs={"tuple": (1, 2), "none": None})
    assert faults.happened == 1
    (trial,) = study.get_trials()
    assert trial.state == TrialState.WAITING
    assert trial.user_attrs == {"tuple": [1, 2], "none": None}
    assert study.ask().suggest_float("x", 0.0, 1.0) == 0.5


@FAULTS
def test_a_queued_trial_is_claimed_by_the_worker_whose_answer_was_lost(
    storage: WorkerStorage, name: str, fault: Any
) -> None:
    study = optuna.create_study(storage=storage, study_name=name)
    study.enqueue_trial({"x": 0.5})
    trial_id = study.get_trials()[0]._trial_id
    with fault(storage) as faults:
        assert storage.set_trial_state_values(trial_id, TrialState.RUNNING)
    assert faults.happened == 1
    assert not storage.set_trial_state_values(trial_id, TrialState.RUNNING)
    assert [trial.state for trial in study.get_trials()] == [TrialState.RUNNING]
    assert set(storage.heartbeat_ages(name)) == {0}


def test_a_trial_that_somebody_else_claimed_is_not_taken_for_ones_own(
    storage: WorkerStorage, name: str
) -> None:
    study = optuna.create_study(storage=storage, study_name=name)
    study.enqueue_trial({"x": 0.5})
    other = study.ask()
    with lost_answers(storage) as faults:
        assert not storage.set_trial_state_values(other._trial_id, TrialState.RUNNING)
    assert faults.happened == 1


@FAULTS
def test_a_study_is_created_once(storage: WorkerStorage, name: str, fault: Any) -> None:
    with fault(storage) as faults:
        study_id = storage.create_new_study([StudyDirection.MAXIMIZE], name)
    assert faults.happened == 1
    assert storage.get_study_id_from_name(name) == study_id
    assert [study.study_name for study in storage.get_all_studies()].count(name) == 1


def test_a_study_without_a_name_is_created_once(storage: WorkerStorage) -> None:
    before = len(storage.get_all_studies())
    with lost_answers(storage):
        study_id = storage.create_new_study([StudyDirection.MAXIMIZE])
    assert len(storage.get_all_studies()) == before + 1
    assert storage.get_study_name_from_id(study_id).startswith("no-name-")


def test_a_study_that_exists_already_is_said_to_exist_also_after_a_fault(
    storage: WorkerStorage, name: str
) -> None:
    storage.create_new_trial(new_study(storage, name))
    with refused_connections(storage) as faults, pytest.raises(DuplicatedStudyError):
        new_study(storage, name)
    assert faults.happened == 1
    with pytest.raises(DuplicatedStudyError):
        new_study(storage, name)


def test_a_study_is_deleted_once(storage: WorkerStorage, name: str) -> None:
    study_id = new_study(storage, name)
    with lost_answers(storage):
        storage.delete_study(study_id)
    assert name not in {study.study_name for study in storage.get_all_studies()}
    with pytest.raises(KeyError):
        storage.delete_study(study_id)


def params_and_attributes(storage: WorkerStorage, study_id: int, trial_id: int) -> str:
    trial = storage.get_trial(trial_id)
    return json.dumps(
        [
            trial.params,
            trial.intermediate_values,
            trial.user_attrs,
            trial.system_attrs,
            storage.get_study_user_attrs(study_id),
            storage.get_study_system_attrs(study_id),
        ]
    )


WRITES: dict[str, Callable[[WorkerStorage, int, int], Any]] = {
    "param": lambda s, study, trial: s.set_trial_param(trial, "x", 0.25, UNIFORM),
    "report": lambda s, study, trial: s.set_trial_intermediate_value(trial, 3, 0.5),
    "user attribute": lambda s, study, trial: s.set_trial_user_attr(trial, "a", [1]),
    "system attribute": lambda s, study, trial: s.set_trial_system_attr(trial, "b", {"c": 1}),
    "study attribute": lambda s, study, trial: s.set_study_user_attr(study, "d", 1),
    "study system attribute": lambda s, study, trial: s.set_study_system_attr(study, "e", 1),
}


@pytest.mark.parametrize("write", WRITES)
def test_what_is_written_into_a_trial_or_a_study_is_there_once(
    storage: WorkerStorage, name: str, write: str
) -> None:
    study_id = new_study(storage, name)
    trial_id, plain_id = (storage.create_new_trial(study_id) for _ in range(2))
    before = params_and_attributes(storage, study_id, trial_id)
    with lost_answers(storage) as faults:
        WRITES[write](storage, study_id, trial_id)
    assert faults.happened == 1
    after = params_and_attributes(storage, study_id, trial_id)
    assert after != before
    WRITES[write](storage, study_id, plain_id)
    assert params_and_attributes(storage, study_id, plain_id) == after


@FAULTS
def test_a_heartbeat_is_recorded(storage: WorkerStorage, name: str, fault: Any) -> None:
    trial_id = storage.create_new_trial(new_study(storage, name))
    assert storage.heartbeat_ages(name)[0] < -100.0  # the first one, dated ahead
    with fault(storage) as faults:
        storage.record_heartbeat(trial_id)
    # In an SQLite file it is renewed outside any transaction, of which nothing can be lost.
    assert faults.happened == (0 if storage.engine.name == "sqlite" else 1)
    assert storage.heartbeat_ages(name)[0] > -1.0


@pytest.mark.slow
def test_a_whole_study_survives_a_database_that_loses_a_third_of_its_answers(
    storage: WorkerStorage, name: str
) -> None:
    def objective(trial: optuna.Trial) -> float:
        x = trial.suggest_float("x", 0.0, 1.0)
        trial.report(x, 0)
        trial.set_user_attr("twice", 2 * x)
        return x

    with lost_answers(storage, 1000, share=0.3) as faults:
        study = optuna.create_study(storage=storage, study_name=name)
        study.enqueue_trial({"x": 0.5})
        study.optimize(objective, n_trials=3)
    assert faults.happened > 5
    trials = study.get_trials()
    assert [trial.state for trial in trials] == [TrialState.COMPLETE] * 3
    assert trials[0].params == {"x": 0.5}
    assert all(t.value == t.params["x"] == t.intermediate_values[0] for t in trials)
    assert all(t.user_attrs == {"twice": 2 * t.params["x"]} for t in trials)
