"""Runs with real worker processes: every trial once, the dead restarted, a clean stop."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Self

import optuna
import pytest
from optuna.trial import TrialState

from optuna_snn.workers.display import Heading
from optuna_snn.workers.errors import RunError
from optuna_snn.workers.failures import FAIL_REASON, STOPPED
from optuna_snn.workers.outcome import RunEnd, RunOutcome
from optuna_snn.workers.progress import Progress
from optuna_snn.workers.slot import SlotState
from optuna_snn.workers.storage import open_storage
from optuna_snn.workers.supervisor import run_study

SHORT = """
import os, time
def objective(trial):
    x = trial.suggest_float("x", 0.0, 1.0)
    trial.set_user_attr("pid", os.getpid())
    trial.set_user_attr("threads", os.environ["OMP_NUM_THREADS"])
    time.sleep(0.3)
    return x
"""


class Recorder:
    """A display that remembers."""

    def __init__(self, heading: Heading) -> None:
        self.heading = heading
        self.shown: list[tuple[Progress, list[SlotState]]] = []
        self.notes: list[str] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        return None

    def show(self, progress: Progress, slots: Sequence[SlotState]) -> None:
        self.shown.append((progress, list(slots)))

    def note(self, text: str) -> None:
        self.notes.append(text)


def run(file: Path, **options: Any) -> tuple[RunOutcome, Recorder]:
    recorders: list[Recorder] = []

    def display(heading: Heading) -> Recorder:
        recorders.append(Recorder(heading))
        return recorders[0]

    outcome = run_study(file, storage=str(file.with_suffix(".db")), display=display, **options)
    return outcome, recorders[0]


@pytest.mark.slow
def test_two_workers_share_the_trials_without_duplicates_or_gaps(
    toy: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", "3")
    file = toy(SHORT)
    outcome, recorder = run(file, n_trials=12, n_workers=2)
    trials = outcome.study.get_trials()
    assert outcome.end is RunEnd.BUDGET_MET
    assert [trial.number for trial in trials] == list(range(len(trials)))
    assert {trial.state for trial in trials} == {TrialState.COMPLETE}
    assert 12 <= len(trials) <= 13  # both may ask for the last one at the same instant
    assert outcome.n_new == len(trials)
    assert len({trial.user_attrs["pid"] for trial in trials}) == 2
    assert {trial.user_attrs["threads"] for trial in trials} == {"3"}
    assert recorder.notes == []
    counts = [progress.n_counted for progress, _ in recorder.shown]
    assert counts == sorted(counts)
    assert (counts[0], counts[-1]) == (0, len(trials))

    again, _ = run(file, n_trials=12, n_workers=2)
    assert (again.end, again.n_new) == (RunEnd.BUDGET_MET, 0)
    assert len(again.study.get_trials()) == len(trials)


@pytest.mark.slow
def test_a_worker_that_dies_is_started_again_and_its_trial_is_retried(
    toy: Callable[..., Path],
) -> None:
    file = toy(
        """
        import os, time
        def objective(trial):
            x = trial.suggest_float("x", 0.0, 1.0)
            if trial.number == 1:
                time.sleep(1.0)  # long enough for a first heartbeat
                os.kill(os.getpid(), 9)
            return x
        """
    )
    outcome, recorder = run(file, n_trials=4, n_workers=1, grace_s=3)
    dead, *others = outcome.study.get_trials()[1:]
    assert outcome.end is RunEnd.BUDGET_MET
    assert dead.state == TrialState.FAIL
    assert [t.params for t in others if "retry_history" in t.system_attrs] == [dead.params]
    assert ["code -9 and is started again" in note for note in recorder.notes] == [True]


@pytest.mark.slow
def test_ten_failures_in_a_row_end_the_run_with_the_last_error(
    toy: Callable[..., Path],
) -> None:
    file = toy(
        """
        def objective(trial):
            raise RuntimeError(f"trial {trial.number} is broken")
        """
    )
    outcome, _ = run(file, n_trials=50, n_workers=2)
    trials = outcome.study.get_trials()
    assert outcome.end is RunEnd.FAILED_IN_A_ROW
    assert 10 <= len(trials) <= 11
    assert outcome.detail in {trial.user_attrs[FAIL_REASON] for trial in trials[9:]}


@pytest.mark.slow
def test_what_a_worker_refuses_is_told_by_the_supervisor(toy: Callable[..., Path]) -> None:
    file = toy(
        """
        def objective(trial):
            from optuna_snn.backends import MissingPackageError
            raise MissingPackageError("Foo is not installed; run: foo")
        """
    )
    with pytest.raises(RunError, match=r"^Foo is not installed; run: foo$"):
        run(file, n_trials=5)


@pytest.mark.slow
def test_the_run_ends_when_its_time_is_over(toy: Callable[..., Path]) -> None:
    begin = time.monotonic()
    outcome, _ = run(toy(SHORT), n_trials=1000, timeout_s=8.0)
    assert outcome.end is RunEnd.TIMED_OUT
    assert time.monotonic() - begin < 25.0
    assert 0 < outcome.n_new == len(outcome.study.get_trials())


HANGING = """
import os, time
def objective(trial):
    x = trial.suggest_float("x", 0.0, 1.0)
    trial.set_user_attr("hangs", os.getpid())
    time.sleep(600)
    return x
"""


def wait_until_running(storage: str, n_trials: int) -> optuna.Study:
    deadline = time.monotonic() + 60
    while True:
        assert time.monotonic() < deadline
        time.sleep(0.2)
        if not Path(storage).exists():
            continue
        opened = open_storage(storage)
        if "toy" not in optuna.get_all_study_names(opened):
            continue
        study = optuna.load_study(study_name="toy", storage=opened)
        if sum("hangs" in trial.user_attrs for trial in study.get_trials()) == n_trials:
            return study


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_stopped_run_leaves_no_process_and_queues_its_trials_again(
    toy: Callable[..., Path], tmp_path: Path, number: signal.Signals
) -> None:
    storage = str(tmp_path / "toy.db")
    words = [sys.executable, "-m", "optuna_snn", "run", str(toy(HANGING)), "--workers", "2"]
    supervisor = subprocess.Popen([*words, "--storage", storage], stdout=subprocess.PIPE)
    study = wait_until_running(storage, 2)
    supervisor.send_signal(number)
    printed, _ = supervisor.communicate(timeout=60)
    assert supervisor.returncode == 130
    assert b"stopped on request" in printed
    trials = study.get_trials()
    assert [trial.state.name for trial in trials] == ["FAIL", "FAIL", "WAITING", "WAITING"]
    assert {trial.user_attrs.get(FAIL_REASON) for trial in trials[:2]} == {STOPPED}
    params = [trial.params for trial in trials]
    assert sorted(params[2:], key=str) == sorted(params[:2], key=str)
    for trial in trials[:2]:
        with pytest.raises(ProcessLookupError):
            os.kill(trial.user_attrs["hangs"], 0)


@pytest.mark.slow
def test_workers_end_after_their_trial_when_the_supervisor_is_killed(
    toy: Callable[..., Path], tmp_path: Path
) -> None:
    storage = str(tmp_path / "toy.db")
    file = toy(HANGING.replace("600", "4"))
    words = [sys.executable, "-m", "optuna_snn", "run", str(file), "--storage", storage]
    supervisor = subprocess.Popen(words, stdout=subprocess.DEVNULL)
    study = wait_until_running(storage, 1)
    supervisor.kill()
    supervisor.wait()
    log = tmp_path / "toy-logs" / "worker-0.log"
    deadline = time.monotonic() + 30
    while f"the supervisor {supervisor.pid} is gone" not in log.read_text():
        assert time.monotonic() < deadline
        time.sleep(0.2)
    assert [trial.state for trial in study.get_trials()] == [TrialState.COMPLETE]


@pytest.mark.slow
def test_a_new_study_leaves_the_old_database_under_a_dated_name(
    toy: Callable[..., Path], tmp_path: Path
) -> None:
    file = toy(SHORT)
    run(file, n_trials=1)
    before = (tmp_path / "toy.db").read_bytes()
    outcome, recorder = run(file, n_trials=1, new=True)
    assert outcome.n_new == 1
    (old,) = tmp_path.glob("toy.2*.db")
    assert old.read_bytes() == before
    assert recorder.notes == [f"kept from before: {old}"]


def test_a_database_in_use_is_not_moved_aside(toy: Callable[..., Path], tmp_path: Path) -> None:
    file = toy(SHORT)
    storage = open_storage(str(tmp_path / "toy.db"))
    study = optuna.create_study(study_name="another", storage=storage)

    def objective(trial: optuna.Trial) -> float:
        while not storage.heartbeat_ages("another"):
            time.sleep(0.05)
        with pytest.raises(RunError, match="running workers of study 'another'"):
            run(file, n_trials=1, new=True)
        return 0.0

    study.optimize(objective, n_trials=1)
    assert (tmp_path / "toy.db").exists()


@pytest.mark.parametrize("options", [{"n_trials": 0}, {"n_trials": 1, "n_workers": 0}])
def test_numbers_out_of_range_are_refused(
    toy: Callable[..., Path], options: dict[str, int]
) -> None:
    with pytest.raises(ValueError, match="must be 1 or more, got 0"):
        run(toy(SHORT), **options)


def test_passwords_travel_by_the_environment_only(
    toy: Callable[..., Path], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    started: list[tuple[list[str], dict[str, str]]] = []

    class FakeSlot:
        state, pid, n_restarts, exit_code = SlotState.FINISHED, None, 0, 0

        def __init__(self, command: list[str], environment: dict[str, str], log: Path) -> None:
            started.append((command, environment))

        def advance(self) -> SlotState:
            return SlotState.FINISHED

        def last_error(self) -> str:
            return ""

    monkeypatch.setattr("optuna_snn.workers.supervisor.Slot", FakeSlot)
    run(toy(SHORT), n_trials=1, n_workers=2)
    url = f"sqlite:///{tmp_path / 'toy.db'}"
    assert [environment["OPTUNA_SNN_STORAGE"] for _, environment in started] == [url] * 2
    assert not any(url in word for command, _ in started for word in command)
    assert os.environ.get("OPTUNA_SNN_STORAGE") is None
