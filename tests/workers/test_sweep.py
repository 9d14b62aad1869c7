"""Dead workers' trials are failed once, queued again once, and nobody else's are touched."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import optuna
import pytest
from optuna.distributions import FloatDistribution
from optuna.exceptions import UpdateFinishedTrialError
from optuna.trial import TrialState

from optuna_snn.checkpoints.lineage import RETRY_HISTORY
from optuna_snn.database import create_database, drop_database
from optuna_snn.workers.failures import FAIL_REASON, STOPPED
from optuna_snn.workers.retry import STALE, requeue
from optuna_snn.workers.storage.opening import WorkerStorage, open_storage
from optuna_snn.workers.sweep import silent_trials, sweep
from tests.workers.beats import GRACE_S, age_beats, open_for_test
from tests.workers.faults import lost_answers
from tests.workers.processes import in_processes

pytestmark = pytest.mark.filterwarnings("ignore:Heartbeat of storage is supposed to be used")

DATABASE = "optuna_snn_test_sweep"

UNIFORM = {"x": FloatDistribution(0.0, 1.0)}


@pytest.fixture(scope="module", params=["sqlite", "postgresql"])
def url(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A database for all tests of this file, each of which has a study of its own."""
    if request.param == "sqlite":
        yield str(tmp_path_factory.mktemp("sweep") / "a.db")
        return
    server = request.getfixturevalue("postgres_server_url")
    yield create_database(server, DATABASE)
    drop_database(server, DATABASE)


@pytest.fixture
def name(request: pytest.FixtureRequest) -> str:
    """Name of the test's own study."""
    return str(request.node.name)


def states(study: optuna.Study) -> list[TrialState]:
    return [trial.state for trial in study.get_trials()]


FAIL, RUNNING, WAITING = TrialState.FAIL, TrialState.RUNNING, TrialState.WAITING


def test_a_dead_workers_trial_is_failed_marked_and_queued_again(url: str, name: str) -> None:
    storage = open_for_test(url)
    study = optuna.create_study(storage=storage, study_name=name)
    dead, alive = study.ask(UNIFORM), study.ask(UNIFORM)
    age_beats(storage, GRACE_S + 5)
    storage.record_heartbeat(alive._trial_id)
    sweep(study, storage)
    assert states(study) == [FAIL, RUNNING, WAITING]
    failed, _, retry = study.get_trials()
    assert GRACE_S < failed.system_attrs[STALE] < GRACE_S + 60
    assert retry.params == dead.params
    assert retry.system_attrs[RETRY_HISTORY] == [0]
    sweep(study, storage)
    assert states(study) == [FAIL, RUNNING, WAITING]


def test_a_worker_killed_while_it_claims_or_asks_is_noticed(tmp_path: Path) -> None:
    """The trial has no heartbeat of the worker's own, and its sampler had time to ask."""
    storage = open_for_test(str(tmp_path / "a.db"))
    study = optuna.create_study(storage=storage, study_name="s")
    study.enqueue_trial({"x": 0.5})
    claimed, created = study.ask(), study.ask()
    assert claimed.number == 0
    ages = storage.heartbeat_ages("s")
    assert all(ages[n] == pytest.approx(-5 * GRACE_S, abs=5.0) for n in (0, 1))
    sweep(study, storage)
    assert states(study) == [RUNNING, RUNNING]
    age_beats(storage, GRACE_S + 5)
    sweep(study, storage)
    # What was enqueued is queued again; a trial that nothing was chosen for is no loss.
    assert states(study) == [FAIL, FAIL, WAITING]
    assert study.get_trials()[2].system_attrs["fixed_params"] == {"x": 0.5}
    assert created.number == 1


def test_without_a_first_beat_trials_of_ask_and_tell_live_for_ever(tmp_path: Path) -> None:
    storage = open_storage(str(tmp_path / "a.db"), grace_s=GRACE_S)
    study = optuna.create_study(storage=storage, study_name="s")
    study.enqueue_trial({"x": 0.5})
    study.ask(), study.ask(UNIFORM)
    assert storage.heartbeat_ages("s") == {}
    for _ in range(2):
        sweep(study, storage)
    assert states(study) == [RUNNING, RUNNING]
    assert storage.heartbeat_ages("s") == {}


def test_an_empty_trial_that_never_beat_is_failed_unless_somebody_works_on_it(
    tmp_path: Path,
) -> None:
    plain = open_storage(str(tmp_path / "a.db"), grace_s=GRACE_S)
    others = optuna.create_study(storage=plain, study_name="s")
    left_over, in_use, asked_late = others.ask(), others.ask(), others.ask()
    storage = open_for_test(str(tmp_path / "a.db"))
    study = optuna.load_study(storage=storage, study_name="s")
    sweep(study, storage)
    assert set(storage.heartbeat_ages("s")) == {0, 1, 2}
    in_use.suggest_float("x", 0.0, 1.0)
    others.tell(in_use, 1.0)
    plain.record_heartbeat(asked_late._trial_id)
    age_beats(storage, GRACE_S + 5, left_over.number)
    sweep(study, storage)
    assert states(study) == [FAIL, TrialState.COMPLETE, RUNNING]


def test_only_running_trials_that_hold_nothing_and_never_beat_are_silent() -> None:
    study = optuna.create_study()
    trials = [study.ask() for _ in range(6)]
    trials[1].suggest_float("x", 0.0, 1.0)
    trials[2].set_user_attr("a", 1)
    trials[3].report(0.5, 1)
    study.tell(trials[4], 1.0)
    assert silent_trials(study.get_trials(), {5: 1.0}) == [0]


def failed_without_retry(storage: WorkerStorage, study: optuna.Study) -> None:
    """What a process leaves that dies between failing a stale trial and queueing it again."""
    study_id = storage.get_study_id_from_name(study.study_name)
    for trial_id in storage._get_stale_trial_ids(study_id):
        assert storage.set_trial_state_values(trial_id, FAIL)


def test_a_retry_that_was_lost_is_queued_by_the_next_sweep_and_once(url: str, name: str) -> None:
    storage = open_for_test(url)
    study = optuna.create_study(storage=storage, study_name=name)
    study.ask(UNIFORM)
    age_beats(storage, GRACE_S + 5)
    failed_without_retry(storage, study)
    assert states(study) == [FAIL]
    for _ in range(2):
        sweep(study, storage)
        assert states(study) == [FAIL, WAITING]
    assert study.get_trials()[1].system_attrs[RETRY_HISTORY] == [0]


def test_a_trial_stopped_on_request_whose_retry_was_lost_is_queued_by_the_next_sweep(
    tmp_path: Path,
) -> None:
    storage = open_for_test(str(tmp_path / "a.db"))
    study = optuna.create_study(storage=storage, study_name="s")
    stopped, raised = study.ask(UNIFORM), study.ask(UNIFORM)
    stopped.set_user_attr(FAIL_REASON, STOPPED)
    raised.set_user_attr(FAIL_REASON, "ValueError")
    for trial in (stopped, raised, study.ask(UNIFORM)):  # the last one was failed by hand
        study.tell(trial, state=FAIL)
    for _ in range(2):
        sweep(study, storage)
        assert states(study) == [FAIL, FAIL, FAIL, WAITING]
    assert study.get_trials()[3].params == stopped.params


def test_a_trial_whose_retries_are_spent_stays_failed(tmp_path: Path) -> None:
    storage = open_storage(str(tmp_path / "a.db"), grace_s=GRACE_S, max_retry=2, first_beat=True)
    assert isinstance(storage, WorkerStorage)
    study = optuna.create_study(storage=storage, study_name="s")
    for _ in range(5):
        study.ask({} if states(study) else UNIFORM)
        age_beats(storage, GRACE_S + 5)
        sweep(study, storage)
        if WAITING not in states(study):
            break
    assert states(study) == [FAIL] * 3
    assert study.get_trials()[2].system_attrs[RETRY_HISTORY] == [0, 1]


def test_a_beat_that_comes_between_the_verdict_and_its_execution_saves_the_trial(
    url: str,
) -> None:
    storage = open_for_test(url)
    study = optuna.create_study(storage=storage, study_name="s")
    trial = study.ask(UNIFORM)
    age_beats(storage, GRACE_S + 5)
    (stale,) = storage._get_stale_trial_ids(storage.get_study_id_from_name("s"))
    storage.record_heartbeat(trial._trial_id)
    assert not storage.set_trial_state_values(stale, FAIL)
    assert states(study) == [RUNNING]


def test_of_two_that_fail_one_stale_trial_one_wins(tmp_path: Path) -> None:
    one, other = (open_for_test(str(tmp_path / "a.db")) for _ in range(2))
    study = optuna.create_study(storage=one, study_name="s")
    study.ask(UNIFORM)
    age_beats(one, GRACE_S + 5)
    study_id = one.get_study_id_from_name("s")
    stale = {one._get_stale_trial_ids(study_id)[0], other._get_stale_trial_ids(study_id)[0]}
    (trial_id,) = stale
    assert other.set_trial_state_values(trial_id, FAIL)
    with pytest.raises(UpdateFinishedTrialError):
        one.set_trial_state_values(trial_id, FAIL)


@pytest.mark.slow
def test_a_stale_trial_is_failed_and_queued_once_if_answers_get_lost(url: str, name: str) -> None:
    storage = open_for_test(url)
    # Each lost answer is an outage, after which nobody is stale; not so here.
    storage.patience.was_away_within = lambda seconds: False  # type: ignore[method-assign]
    n_faults = 0
    for seed in range(4):
        study = optuna.create_study(storage=storage, study_name=f"{name}-{seed}")
        study.ask(UNIFORM)
        age_beats(storage, GRACE_S + 5)
        with lost_answers(storage, 1000, share=0.4, seed=seed) as faults:
            sweep(study, storage)
            sweep(study, storage)
        assert states(study) == [FAIL, WAITING]
        n_faults += faults.happened
    assert n_faults > 5


def test_a_second_retry_of_a_trial_is_the_first_one_even_after_its_end(
    url: str, name: str
) -> None:
    storage = open_for_test(url)
    study = optuna.create_study(storage=storage, study_name=name)
    study.add_trial(optuna.create_trial(state=FAIL, params={"x": 0.5}, distributions=UNIFORM))
    failed = study.get_trials()[0]
    requeue(study, failed)
    retry = study.ask(UNIFORM)
    study.tell(retry, 2.0)
    assert states(study) == [FAIL, TrialState.COMPLETE]
    requeue(study, failed)
    assert states(study) == [FAIL, TrialState.COMPLETE]
    assert study.best_value == 2.0
    requeue(study, study.get_trials()[1])  # another forerunner: another retry
    assert states(study)[2:] == [WAITING]


def _sweep(queue: Any, barrier: Any, url: str, name: str) -> None:
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    storage = open_for_test(url)
    study = optuna.load_study(storage=storage, study_name=name)
    barrier.wait()
    try:
        for _ in range(3):
            sweep(study, storage)
        queue.put("done")
    except BaseException as error:
        queue.put(repr(error))


@pytest.mark.slow
def test_processes_that_sweep_at_once_queue_each_dead_trial_once(url: str, name: str) -> None:
    storage = open_for_test(url)
    study = optuna.create_study(storage=storage, study_name=name)
    for _ in range(4):
        study.ask(UNIFORM)
    age_beats(storage, GRACE_S + 5)
    failed_without_retry(storage, study)
    for _ in range(4):
        study.ask(UNIFORM)
    age_beats(storage, GRACE_S + 5)
    assert in_processes(3, _sweep, url, name) == ["done"] * 3
    assert sorted(states(study)) == [FAIL] * 8 + [WAITING] * 8
    retried = sorted(t.system_attrs[RETRY_HISTORY][-1] for t in study.get_trials()[8:])
    assert retried == list(range(8))
