"""The command line: what it says when all is well, and one line with exit code 2 when not."""

from __future__ import annotations

import logging
import os
import subprocess
import sys
from collections.abc import Iterator, Sequence
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import optuna
import pytest
from optuna.exceptions import StorageInternalError

from optuna_snn.backends import install as install_module
from optuna_snn.backends.install import BACKENDS, Backend, BackendStatus, InstallError
from optuna_snn.cli import main
from optuna_snn.cli import options as cli_options
from optuna_snn.workers import stop as stop_module
from optuna_snn.workers.devices import SlotDevice
from optuna_snn.workers.run_settings import RunSettings
from optuna_snn.workers.storage import opening as storage_module
from optuna_snn.workers.supervisor.local_engine import LocalEngine

ROOT = Path(__file__).resolve().parents[1]
COMMANDS = (
    "run", "worker", "submit", "replay", "report", "retrain", "dashboard", "backends", "db",
)  # fmt: skip

TOY = """
import optuna
direction = "maximize"
metric_name = "accuracy"
def sampler():
    return optuna.samplers.RandomSampler()
def pruner():
    return optuna.pruners.NopPruner()
def objective(trial):
    x = trial.suggest_float("x", 0.0, 1.0)
    trial.set_constraint("silent/out", 0.1 if trial.number % 2 else -0.1)
    if trial.number == 2:
        raise optuna.TrialPruned
    return x
"""


@pytest.fixture(autouse=True)
def in_a_folder_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.chdir(tmp_path)
    former = os.environ.get("PYTHONPATH")
    path = str(ROOT) if former is None else os.pathsep.join([str(ROOT), former])
    monkeypatch.setenv("PYTHONPATH", path)
    monkeypatch.delenv("OPTUNA_SNN_STORAGE", raising=False)
    (tmp_path / "toy.py").write_text(TOY)
    handlers = logging.root.handlers[:]
    yield
    logging.root.handlers[:] = handlers


def command(*words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "optuna_snn", *words],
        capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip


def error_line(capsys: pytest.CaptureFixture[str], *words: str) -> str:
    """Run a command line that must fail as an expected error, and return its one line."""
    code = main(words)
    captured = capsys.readouterr()
    assert code == 2
    lines = captured.err.strip().splitlines()
    assert len(lines) == 1, captured.err
    assert lines[0].startswith("error: ")
    return lines[0]


def test_help_names_every_command(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--help"]) == 0
    help_text = capsys.readouterr().out
    assert main([]) == 0
    assert capsys.readouterr().out == help_text
    for word in (*COMMANDS, "--version", "--debug"):
        assert word in help_text


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_has_help(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([name, "--help"]) == 0
    assert "Usage:" in capsys.readouterr().out


def test_version_is_that_of_the_distribution(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--version"]) == 0
    shown = capsys.readouterr().out
    try:
        assert shown == f"optuna-snn {version('optuna-snn')}\n"
    except PackageNotFoundError:
        assert "not installed" in shown


def test_the_default_times_are_those_of_the_modules_that_a_quick_help_cannot_import() -> None:
    assert cli_options.DEFAULT_GRACE_S == storage_module.DEFAULT_GRACE_S
    assert cli_options.DEFAULT_PATIENCE_S == storage_module.DEFAULT_PATIENCE_S
    assert cli_options.DEFAULT_STOP_GRACE_S == stop_module.DEFAULT_STOP_GRACE_S


def test_the_help_of_run_tells_the_exit_codes(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["run", "--help"]) == 0
    words = " ".join(capsys.readouterr().out.split())
    for code in ("0 the study has", "2 expected", "3 ten trials", "4 the workers", "128 + number"):
        assert code in words


def test_every_option_reaches_the_run(monkeypatch: pytest.MonkeyPatch) -> None:
    called: list[dict[str, object]] = []

    class Enough(Exception):
        """Nothing is run."""

    def supervise(engine: LocalEngine, settings: RunSettings, **options: object) -> None:
        called.append({"engine": engine, "settings": settings, **options})
        raise Enough

    monkeypatch.setattr("optuna_snn.workers.supervisor.start.supervise", supervise)
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "3,5")
    words = "--workers 4 --devices cuda:0,cuda:1 --slots 2 --timeout 60 --trial-timeout 2.5"
    words += " --stop-grace 3 --grace 30 --patience 90 --n-trials 7 --study-name other --new"
    with pytest.raises(Enough):
        main(["run", "toy.py", "--storage", "a.db", *words.split()])
    (options,) = called
    del options["display"]
    assert options == {
        "engine": LocalEngine([SlotDevice("cuda:0", "3"), SlotDevice("cuda:1", "5")] * 2),
        "settings": RunSettings(
            study_file=Path("toy.py"),
            storage="a.db",
            n_trials=7,
            study_name="other",
            timeout_s=60.0,
            trial_timeout_s=2.5,
            grace_s=30,
            patience_s=90.0,
            stop_grace_s=3.0,
        ),
        "new": True,
    }


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["run", "missing.py"], "the study file missing.py does not exist"),
        (["run", "toy.py", "--n-trails", "3"], "No such option: --n-trails"),
        (
            ["run", "toy.py", "--n-trials", "0"],
            "'--n-trials': Input should be greater than or equal to 1",
        ),
        (["run", "toy.py", "--workers", "many"], "'--workers': Input should be a valid integer"),
        (["run"], "Missing argument"),
        (["walk"], "No such command 'walk'"),
        (["run", "toy.py", "--storage", "no/where/a.db"], "mkdir -p no/where"),
        (["run", "toy.py", "--storage", "toy.py"], "is a Python file"),
        (["run", "toy.py", "--storage", "mysql+nosuch://h/d"], "is no storage that is known"),
        (["worker", "toy.py", "--storage", "no/where/a.db"], "mkdir -p no/where"),
        (["worker", "missing.py"], "does not exist"),
        (["run", "toy.py", "--devices", "gpu0"], "--devices: 'gpu0' is no device; write cuda:0"),
        (["run", "toy.py", "--slots", "2"], "without devices say --workers 2"),
        (["run", "toy.py", "--devices", "cpu", "--slots", "0"], "'--slots': Input should be"),
        (["run", "toy.py", "--trial-timeout", "0"], "'--trial-timeout': Input should be"),
        (["worker", "toy.py", "--stop-grace", "-1"], "'--stop-grace': Input should be"),
        (["backends", "install", "brian"], "'brian' is none of bindsnet, lava-dl"),
    ],
)
def test_an_expected_error_is_one_line(
    capsys: pytest.CaptureFixture[str], words: Sequence[str], message: str
) -> None:
    assert message in error_line(capsys, *words)


@pytest.mark.parametrize(
    ("code", "message"),
    [
        ("import no_such_module\n", "No module named 'no_such_module' (line 1;"),
        ("x = 1\n", "defines no function objective(trial)"),
        ("def objective(trial): pass\nname = 3\n", "name in broken.py must be a text"),
    ],
)
def test_a_study_file_that_cannot_be_used_is_one_line(
    capsys: pytest.CaptureFixture[str], code: str, message: str
) -> None:
    Path("broken.py").write_text(code)
    assert message in error_line(capsys, "run", "broken.py")
    assert not list(Path().glob("*.db"))  # nothing was begun


def test_a_study_of_another_direction_is_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    optuna.create_study(study_name="toy", storage="sqlite:///toy.db", direction="minimize")
    message = error_line(capsys, "run", "toy.py")
    assert "exists with direction minimize, but toy.py says maximize" in message
    assert "another --study-name" in message


def test_a_storage_that_fails_in_the_middle_is_one_line(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def failing(*arguments: object, **options: object) -> None:
        raise StorageInternalError("in Optuna") from OSError("disk full\nand more")

    monkeypatch.setattr("optuna_snn.workers.supervisor.start.supervise", failing)
    message = error_line(capsys, "run", "toy.py")
    assert "the storage failed: disk full; nothing is lost" in message


def test_new_is_refused_for_a_database_server(capsys: pytest.CaptureFixture[str]) -> None:
    message = error_line(capsys, "run", "toy.py", "--new", "--storage", "mysql+pymysql://h/d")
    assert "another --study-name" in message


@pytest.mark.parametrize("words", [["--debug", "run", "gone.py"], ["run", "gone.py", "--debug"]])
def test_debug_shows_the_traceback_wherever_it_stands(
    capsys: pytest.CaptureFixture[str], words: Sequence[str]
) -> None:
    assert main(words) == 2
    lines = capsys.readouterr().err.strip().splitlines()
    assert lines[0].startswith("Traceback")
    assert lines[-1] == "error: the study file gone.py does not exist"


def test_an_unexpected_error_keeps_its_traceback(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*arguments: object, **options: object) -> None:
        raise ZeroDivisionError("a mistake of ours")

    monkeypatch.setattr("optuna_snn.workers.supervisor.start.supervise", broken)
    with pytest.raises(ZeroDivisionError):
        main(["run", "toy.py"])


@pytest.mark.slow
def test_a_run_prints_its_trials_a_summary_and_leaves_a_figure() -> None:
    done = command("run", "toy.py", "--n-trials", "4", "--storage", "a.db")
    assert (done.returncode, done.stderr) == (0, "")
    lines = done.stdout.splitlines()
    assert [line.split()[1] for line in lines if line.startswith("trial ")][:4] == list("0123")
    assert "Best feasible trials" in done.stdout
    assert "3 complete, 0 silent, 1 pruned, 0 failed" in done.stdout
    assert "(2 of the complete ones infeasible)" in done.stdout
    assert "optuna-snn dashboard --storage sqlite:///a.db\n" in done.stdout
    assert Path("a-toy.png").read_bytes().startswith(b"\x89PNG")

    again = command("run", "toy.py", "--n-trials", "4", "--storage", "a.db")
    assert again.returncode == 0
    assert "nothing was left to do" in again.stdout
    more = command("run", "toy.py", "--n-trials", "5", "--storage", "a.db")
    assert "1 new trials" in more.stdout


@pytest.mark.slow
def test_a_run_whose_trials_all_fail_ends_with_the_last_error_and_code_3() -> None:
    Path("toy.py").write_text(
        TOY.replace("x = trial", "raise OSError('no spikes today')\n    x = trial")
    )
    done = command("run", "toy.py")
    assert done.returncode == 3
    assert "10 trials failed in a row; the last error: OSError: no spikes today" in done.stdout
    assert "Traceback" not in done.stdout + done.stderr


@pytest.mark.slow
def test_the_storage_may_come_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPTUNA_SNN_STORAGE", "from_environment.db")
    assert command("worker", "toy.py", "--n-trials", "1").returncode == 0
    assert Path("from_environment.db").exists()


STATUSES = [
    BackendStatus(BACKENDS[0], "0.3.4", None),
    BackendStatus(BACKENDS[1], None, "lava-dl is not installed; run: optuna-snn ..."),
]


def test_backends_says_what_is_there_and_what_is_missing(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    by_name = {status.backend.name: status for status in STATUSES}
    monkeypatch.setattr(install_module, "backend_status", by_name.__getitem__)
    assert main(["backends"]) == 0
    shown = capsys.readouterr().out.splitlines()
    assert shown[0].split()[:2] == ["bindsnet", "0.3.4"]
    assert "not installed" in shown[1]
    assert "run: optuna-snn ..." in shown[2]


def test_backends_install_installs_and_says_so(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def fake(name: str, *, show: object) -> BackendStatus:
        assert callable(show)
        show("pip install " + name)
        return STATUSES[0]

    monkeypatch.setattr(install_module, "install_backend", fake)
    assert main(["backends", "install", "bindsnet"]) == 0
    assert capsys.readouterr().out == "+ pip install bindsnet\nbindsnet 0.3.4 is ready\n"


def test_a_backend_that_cannot_be_installed_is_one_line(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def failing(name: str, *, show: object) -> Backend:
        raise InstallError("pip failed with exit code 1: pip install x")

    monkeypatch.setattr(install_module, "install_backend", failing)
    assert "pip failed" in error_line(capsys, "backends", "install", "bindsnet")
