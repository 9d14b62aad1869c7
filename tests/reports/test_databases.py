"""`optuna-snn report` on SQLite and on PostgreSQL, also while a worker runs the study."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from html import unescape
from pathlib import Path

import optuna
import pytest
from optuna.storages import RDBStorage
from optuna.trial import TrialState
from sqlalchemy.pool import NullPool

from optuna_snn.cli import main
from optuna_snn.workers.identity import worker_name
from optuna_snn.workers.storage import normalise_url
from tests.visualization.studies import spiking_study

WAITING_STUDY = """
import time
from pathlib import Path

direction = "maximize"
metric_name = "accuracy"


def objective(trial):
    x = trial.suggest_float("x", 0.0, 1.0)
    Path("began").touch()
    while not Path("go").exists():
        time.sleep(0.05)
    return x
"""


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The current folder: an empty one."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("OPTUNA_SNN_STORAGE", raising=False)
    monkeypatch.setenv("COLUMNS", "200")
    return tmp_path


@pytest.fixture(params=["sqlite", "postgresql"])
def url(request: pytest.FixtureRequest, folder: Path) -> str:
    """An empty database of each kind."""
    if request.param == "sqlite":
        return f"sqlite:///{folder / 'study.db'}"
    found: str = request.getfixturevalue("postgres_url")
    return found


def plain_storage(url: str) -> RDBStorage:
    return RDBStorage(normalise_url(url), engine_kwargs={"poolclass": NullPool})


def page_words(out: Path) -> str:
    """What the page says, without its scripts and its markup."""
    text = (out / "report.html").read_text(encoding="utf-8")
    return unescape(re.sub(r"<script.*?</script>|<[^>]+>", " ", text, flags=re.DOTALL))


def drawn_trials(out: Path) -> int:
    """Marks in the overview of the page that stand for feasible and other complete trials."""
    text = (out / "report.html").read_text(encoding="utf-8")
    (found,) = re.findall(r'<script type="application/json" id="drawings">(.*?)</script>', text)
    traces = json.loads(found)["overview"]["light"]["data"]
    return sum(len(t["x"]) for t in traces if t.get("name", "").startswith(("feasible", "infeas")))


def test_terminal_and_page_report_a_study_of_each_database(
    url: str, capsys: pytest.CaptureFixture[str], folder: Path
) -> None:
    study = optuna.create_study(storage=plain_storage(url), study_name="toy", direction="maximize")
    study._storage.set_study_system_attr(study._study_id, "study:metric_names", ["accuracy"])
    study.add_trials(spiking_study().trials)
    assert main(["report", "toy", "--storage", url, "--out", "out"]) == 0
    printed, best = capsys.readouterr().out, spiking_study().best_trial
    words = page_words(folder / "out")
    for each in (printed, words):
        assert "maximize accuracy" in each and "silent/output" in each
        assert re.search(rf"\b{best.number}\s+{best.value:.4g}\b", each)
    complete = [t for t in study.trials if t.state == TrialState.COMPLETE]
    assert drawn_trials(folder / "out") == len(complete)
    assert len(list((folder / "out").glob("*.png"))) == 6


@pytest.fixture
def worker(url: str, folder: Path) -> Iterator[subprocess.Popen[str]]:
    """A worker in the middle of its first trial, which ends when there is a file `go`."""
    Path("toy.py").write_text(WAITING_STUDY)
    command = [sys.executable, "-m", "optuna_snn", "worker", "toy.py", "--n-trials", "1"]
    root = str(Path(__file__).resolve().parents[2])
    process = subprocess.Popen(
        command,
        env=os.environ | {"OPTUNA_SNN_STORAGE": str(url), "PYTHONPATH": root},
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
    )  # fmt: skip
    try:
        wait_for(lambda: Path("began").exists() or process.poll() is not None)
        if process.poll() is not None:
            pytest.fail(f"the worker has ended:\n{process.communicate()[0]}")
        yield process
    finally:
        process.kill()
        process.communicate()


def wait_for(condition: Callable[[], bool]) -> None:
    """Wait until it holds; a test that would hang fails."""
    for _ in range(2400):
        if condition():
            return
        time.sleep(0.05)
    pytest.fail("waited for two minutes in vain")


@pytest.mark.slow
def test_a_study_that_runs_is_reported_with_its_live_worker(
    url: str,
    worker: subprocess.Popen[str],
    folder: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert main(["report", "toy", "--storage", url, "--out", "out"]) == 0
    printed = capsys.readouterr().out
    assert "1 running" in printed
    (row,) = (line for line in printed.splitlines() if worker_name(worker.pid) in line)
    assert re.search(r"trial 0 for \d+:\d\d, (heartbeat \d+:\d\d ago|before its first heart)", row)
    assert "without a heartbeat" not in printed
    words = re.sub(r"\s+", " ", page_words(folder / "out"))
    assert f"{worker_name(worker.pid)} trial 0 for " in words
    assert "1 running" in words

    Path("go").touch()
    worker.communicate(timeout=120)
    (trial,) = optuna.load_study(storage=plain_storage(url), study_name="toy").trials
    assert trial.state == TrialState.COMPLETE  # the report had not disturbed it
    assert main(["report", "toy", "--storage", url]) == 0
    printed = capsys.readouterr().out
    (row,) = (line for line in printed.splitlines() if worker_name(worker.pid) in line)
    assert "no trial for" in row and "running" not in printed
