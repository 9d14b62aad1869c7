"""`optuna-snn report` on studies in their databases."""

from __future__ import annotations

from pathlib import Path

import optuna
import pytest

from optuna_snn.cli import main
from optuna_snn.workers.identity import WORKER_KEY
from optuna_snn.workers.storage import open_storage
from tests.visualization.studies import stored_spiking_study

FILES = {
    "report.html",
    "overview.png",
    "feasible-history.png",
    "silent-share.png",
    "activity.png",
    "trust-region.png",
    "samples-saved.png",
}


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The current folder: an empty one."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("OPTUNA_SNN_STORAGE", raising=False)
    monkeypatch.setenv("COLUMNS", "200")
    return tmp_path


def dump(study: optuna.Study) -> list[object]:
    """All that the storage holds of the trials."""
    return [
        (t.state, t.values, t.params, t.user_attrs, t.system_attrs, t.datetime_complete)
        for t in study.get_trials()
    ]


def test_the_command_prints_the_report_and_writes_nothing(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    study = stored_spiking_study(folder / "toy.db")
    before = dump(study)
    assert main(["report", "toy", "--top", "2"]) == 0
    printed = capsys.readouterr().out
    best = study.best_trial
    assert f"{best.number}  " in printed and f"{best.value:.4g}" in printed
    assert "silent/output" in printed and "length " in printed
    assert "maximize accuracy" in printed
    assert dump(study) == before
    assert [path.name for path in folder.iterdir()] == ["toy.db"]


def test_a_folder_takes_the_page_and_the_figures(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    stored_spiking_study(folder / "elsewhere.db")
    out = folder / "new" / "report"
    assert main(["report", "toy", "--storage", "elsewhere.db", "--out", str(out)]) == 0
    assert {path.name for path in out.iterdir()} == FILES
    assert all(path.stat().st_size > 10_000 for path in out.iterdir())
    assert f"page: {out / 'report.html'}" in capsys.readouterr().out


def test_a_study_file_names_its_study(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    stored_spiking_study(folder / "toy.db")
    Path("toy.py").write_text("objective = lambda trial: 0.0\n")
    assert main(["report", "toy.py"]) == 0
    assert capsys.readouterr().out.startswith("toy\n")


def test_the_heartbeats_of_running_trials_are_read(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    storage = open_storage(f"sqlite:///{folder / 'toy.db'}")
    study = optuna.create_study(study_name="toy", storage=storage)
    with pytest.warns(UserWarning, match="Heartbeat of storage"):
        trial = study.ask()
    trial.set_user_attr(WORKER_KEY, "node3:77")
    storage.record_heartbeat(trial._trial_id)
    assert main(["report", "toy"]) == 0
    (row,) = (line for line in capsys.readouterr().out.splitlines() if "node3:77" in line)
    assert "trial 0 for 0:0" in row and "heartbeat 0:0" in row


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        (["other"], "error: there is no database other.db; say where the study is with"),
        (["toy.db"], "error: sqlite:///toy.db is a storage, not a study; name the study or"),
        (["other", "--storage", "toy.db"], "error: sqlite:///toy.db has no study 'other'"),
        (["toy", "--top", "0"], "error: --top must be 1 or more, got 0"),
        (["toy", "--out", "toy.db"], "error: --out toy.db cannot be written: "),
    ],
)
def test_the_command_says_in_one_line_what_is_wrong(
    folder: Path, capsys: pytest.CaptureFixture[str], arguments: list[str], line: str
) -> None:
    optuna.create_study(study_name="toy", storage=f"sqlite:///{folder / 'toy.db'}")
    assert main(["report", *arguments]) == 2
    error = capsys.readouterr().err
    assert error.startswith(line) and error.count("\n") == 1


def test_without_plotly_the_command_says_what_to_install(
    folder: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    import sys

    optuna.create_study(study_name="toy", storage=f"sqlite:///{folder / 'toy.db'}")
    monkeypatch.setitem(sys.modules, "plotly", None)
    monkeypatch.setitem(sys.modules, "plotly.graph_objects", None)
    assert main(["report", "toy", "--out", "here"]) == 2
    assert "pip install 'optuna-snn[figures]'" in capsys.readouterr().err
    assert not list(folder.glob("here/*"))
