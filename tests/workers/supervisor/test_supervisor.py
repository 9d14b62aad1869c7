"""Runs with real worker processes: every trial once, the dead restarted, a clean stop."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any, Self

import optuna
import pytest
from optuna.trial import TrialState

from optuna_snn.workers.devices import SlotDevice
from optuna_snn.workers.display.plain import Heading
from optuna_snn.workers.display.progress import Progress
from optuna_snn.workers.errors import RunError
from optuna_snn.workers.failures import FAIL_REASON
from optuna_snn.workers.identity import WORKER_KEY, worker_name
from optuna_snn.workers.run_files import RunFiles
from optuna_snn.workers.storage.opening import open_storage
from optuna_snn.workers.supervisor import crew as crew_module
from optuna_snn.workers.supervisor.crew import WorkerView
from optuna_snn.workers.supervisor.outcome import RunEnd, RunOutcome
from optuna_snn.workers.supervisor.slot import SlotState
from optuna_snn.workers.supervisor.start import run_study
from optuna_snn.workers.supervisor.worker_log import WorkerLog, claim_logs

SHORT = """
import os, time
VARIABLES = ("OMP_NUM_THREADS", "CUDA_VISIBLE_DEVICES", "OPTUNA_SNN_DEVICE")
def objective(trial):
    x = trial.suggest_float("x", 0.0, 1.0)
    trial.set_user_attr("pid", os.getpid())
    trial.set_user_attr("environment", [os.environ.get(name, "unset") for name in VARIABLES])
    time.sleep(0.3)
    return x
"""


class Recorder:
    """A display that remembers."""

    def __init__(self, heading: Heading) -> None:
        self.heading = heading
        self.shown: list[tuple[Progress, list[WorkerView]]] = []
        self.notes: list[str] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        return None

    def show(
        self, progress: Progress, workers: Sequence[WorkerView], away_since: datetime | None
    ) -> None:
        self.shown.append((progress, list(workers)))

    def note(self, text: str) -> None:
        self.notes.append(text)


def has_ended(pid: int) -> bool:
    """Whether the process has ended; one that nobody waits for stays as a zombie."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except OSError:
        return True


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
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "9")
    file = toy(SHORT)
    outcome, recorder = run(file, n_trials=12, n_workers=2)
    trials = outcome.study.get_trials()
    assert outcome.end is RunEnd.BUDGET_MET
    assert [trial.number for trial in trials] == list(range(len(trials)))
    assert {trial.state for trial in trials} == {TrialState.COMPLETE}
    assert 12 <= len(trials) <= 13  # both may ask for the last one at the same instant
    assert outcome.n_new == len(trials)
    assert len({trial.user_attrs["pid"] for trial in trials}) == 2
    # What the user has set stays as it is; without devices so does the list of GPUs.
    environments = {tuple(trial.user_attrs["environment"]) for trial in trials}
    assert environments == {("3", "9", "unset")}
    own = {worker_name(trial.user_attrs["pid"]) for trial in trials}
    assert {trial.user_attrs[WORKER_KEY] for trial in trials} == own
    seen = {
        view.trial.number
        for _, views in recorder.shown
        for view in views
        if view.trial is not None
    }
    assert seen <= set(range(len(trials)))
    assert seen
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
    assert dead.user_attrs[FAIL_REASON] == (
        "its worker was killed by SIGKILL, signal 9 (out of memory?)"
    )
    (note,) = recorder.notes
    assert note.startswith("worker 0 was killed by SIGKILL, signal 9 (out of memory?); it is")


@pytest.mark.slow
def test_a_trial_that_hangs_where_no_signal_reaches_it_is_failed_and_the_run_goes_on(
    toy: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its worker blocks the alarm, as a call into C does that never comes back."""
    monkeypatch.setattr(crew_module, "KILL_AFTER_S", 3.0)
    file = toy(
        """
        import signal, time
        def objective(trial):
            x = trial.suggest_float("x", 0.0, 1.0)
            if trial.number == 0:
                signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGALRM])
                time.sleep(600)
            return x
        """
    )
    outcome, recorder = run(file, n_trials=1, trial_timeout_s=4.0)
    hung, *others = outcome.study.get_trials()
    assert outcome.end is RunEnd.BUDGET_MET
    assert hung.state == TrialState.FAIL
    assert hung.user_attrs[FAIL_REASON] == (
        "time limit of 4 s; its worker did not react and was killed"
    )
    assert [trial.state for trial in others] == [TrialState.COMPLETE]
    assert "retry_history" not in others[0].system_attrs
    assert "worker 0 hung in trial 0 beyond the time limit of 4 s" in recorder.notes[0]


@pytest.mark.slow
def test_each_worker_sees_its_own_device(
    toy: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "3,GPU-5d5ba0d6")
    monkeypatch.setattr("optuna_snn.workers.supervisor.cores.n_cores", lambda _: 6)
    file = toy(
        SHORT.replace(
            "time.sleep(0.3)",
            """
    for other in range(60 * 20):  # until the other worker has begun as well
        if len(trial.study.get_trials(deepcopy=False)) > 1:
            break
        time.sleep(0.05)
    """,
        )
    )
    outcome, recorder = run(file, n_trials=2, devices=["cuda:1", "cpu"])
    trials = outcome.study.get_trials()
    seen = {tuple(trial.user_attrs["environment"]) for trial in trials}
    assert seen == {("3", "GPU-5d5ba0d6", "cuda:0"), ("3", "", "cpu")}
    assert [view.device for view in recorder.shown[0][1]] == ["cuda:1", "cpu"]


def test_devices_that_are_not_there_end_the_run_before_it_begins(
    toy: Callable[..., Path], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    with pytest.raises(RunError, match="leaves this process no device"):
        run(toy(SHORT), n_trials=1, devices=["all"])
    assert not (tmp_path / "toy.db").exists()


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
def test_what_one_worker_refuses_the_others_do(toy: Callable[..., Path], tmp_path: Path) -> None:
    file = toy(
        f"""
        import time
        from pathlib import Path
        def objective(trial):
            from optuna_snn.backends import MissingPackageError
            x = trial.suggest_float("x", 0.0, 1.0)
            try:
                Path({str(tmp_path / "first")!r}).touch(exist_ok=False)
            except FileExistsError:
                time.sleep(0.3)
                return x
            raise MissingPackageError("Foo is not installed; run: foo")
        """
    )
    outcome, recorder = run(file, n_trials=12, n_workers=2)
    assert outcome.end is RunEnd.BUDGET_MET
    states = [trial.state for trial in outcome.study.get_trials()]
    assert sorted(states) == sorted([TrialState.COMPLETE] * 12 + [TrialState.FAIL])
    (note,) = recorder.notes
    assert "cannot work and is not started again: Foo is not installed; run: foo" in note


@pytest.mark.slow
@pytest.mark.parametrize("code", [0, 3])
def test_a_library_that_calls_exit_in_a_trial_costs_its_worker_a_restart(
    toy: Callable[..., Path], code: int
) -> None:
    file = toy(
        f"""
        import os
        def objective(trial):
            x = trial.suggest_float("x", 0.0, 1.0)
            if trial.number == 1:
                os._exit({code})
            return x
        """
    )
    outcome, recorder = run(file, n_trials=3, grace_s=4)
    assert outcome.end is RunEnd.BUDGET_MET
    trials = outcome.study.get_trials()
    assert trials[1].user_attrs[FAIL_REASON] == f"its worker ended with code {code}"
    (note,) = recorder.notes
    assert note.startswith(f"worker 0 ended with code {code}; it is started again")


@pytest.mark.slow
def test_threads_and_processes_that_the_objective_has_left_do_not_keep_the_run(
    toy: Callable[..., Path],
) -> None:
    file = toy(
        """
        import multiprocessing, threading, time
        def objective(trial):
            threading.Thread(target=time.sleep, args=(100_000,), name="a library's").start()
            child = multiprocessing.Process(target=time.sleep, args=(100_000,))
            child.start()
            trial.set_user_attr("child", child.pid)
            return trial.suggest_float("x", 0.0, 1.0)
        """
    )
    outcome, _ = run(file, n_trials=2)
    assert outcome.end is RunEnd.BUDGET_MET
    (log,) = outcome.files.log_folder.iterdir()
    assert "the objective has left running: a library's" in log.read_text()
    for trial in outcome.study.get_trials():
        assert has_ended(trial.user_attrs["child"])


@pytest.mark.slow
def test_the_run_ends_when_its_time_is_over(toy: Callable[..., Path]) -> None:
    outcome, _ = run(toy(SHORT), n_trials=10_000, timeout_s=8.0)
    assert outcome.end is RunEnd.TIMED_OUT
    states = {trial.state for trial in outcome.study.get_trials()}
    assert states <= {TrialState.COMPLETE}  # those that ran have finished


@pytest.mark.slow
def test_a_run_whose_workers_die_too_often_ends_with_their_last_words(
    toy: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("optuna_snn.workers.supervisor.slot.MAX_RESTARTS", 1)
    file = toy(
        """
        import os, sys
        def objective(trial):
            print("the last words", file=sys.stderr, flush=True)
            os._exit(70)
        """
    )
    outcome, recorder = run(file, n_trials=2)
    assert outcome.end is RunEnd.WORKERS_LOST
    assert outcome.detail.startswith("the last words (logs: ")
    assert ["; it is started again" in note for note in recorder.notes] == [True, False]
    assert "worker 0 ended with code 70; it died too often" in recorder.notes[1]


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


@pytest.mark.parametrize(("name", "stem"), [("toy", "toy"), ("another", "toy-another")])
def test_a_database_whose_workers_are_still_starting_is_not_moved_aside(
    toy: Callable[..., Path], tmp_path: Path, name: str, stem: str
) -> None:
    """They have no trial yet, and no heartbeat; but they hold their logs."""
    file = toy(SHORT)
    optuna.create_study(study_name=name, storage=open_storage(str(tmp_path / "toy.db")))
    (log,) = claim_logs(RunFiles(tmp_path, stem), "node1", 1)
    with pytest.raises(RunError, match=r"from the run that writes to .*worker-node1-0\.log"):
        run(file, n_trials=1, new=True)
    log.close()
    assert (tmp_path / "toy.db").exists()


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
        state, pid, worker, n_restarts, exit_code = SlotState.FINISHED, None, None, 0, 0

        def __init__(
            self,
            command: list[str],
            environment: dict[str, str],
            log: WorkerLog,
            device: SlotDevice,
        ) -> None:
            started.append((command, environment))
            self.log, self.device = log, device

        def advance(self) -> SlotState:
            return SlotState.FINISHED

    monkeypatch.setattr("optuna_snn.workers.supervisor.local_engine.Slot", FakeSlot)
    run(toy(SHORT), n_trials=2, n_workers=2)
    url = f"sqlite:///{tmp_path / 'toy.db'}"
    assert [environment["OPTUNA_SNN_STORAGE"] for _, environment in started] == [url] * 2
    assert not any(url in word for command, _ in started for word in command)
    assert os.environ.get("OPTUNA_SNN_STORAGE") is None
