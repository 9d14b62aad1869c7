"""`optuna-snn retrain` on a study in its database."""

from __future__ import annotations

import io
import re
from pathlib import Path

import optuna
import pytest
from rich.console import Console

from optuna_snn.cli import main
from optuna_snn.retraining import Repeat, RetrainedTrial, read_results
from optuna_snn.retraining.table import print_retrained

STUDY_FILE = """
from tests.retraining.toy import Toy
direction = "maximize"
metric_name = "accuracy"
objective = Toy()
"""


@pytest.fixture
def database(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The database of a run of study file toy.py in the current folder."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("OPTUNA_SNN_STORAGE", raising=False)
    Path("toy.py").write_text(STUDY_FILE)
    study = optuna.create_study(direction="maximize", study_name="toy", storage="sqlite:///toy.db")
    from tests.retraining.toy import Toy

    for x, silence in ((0.5, -0.1), (0.9, 0.2), (0.7, -0.1)):
        study.enqueue_trial({"x": x, "silence": silence})
    study.optimize(Toy(), n_trials=3)
    study.set_metric_names(["accuracy"])
    return tmp_path / "toy.db"


def test_the_command_reports_test_accuracy_beside_the_validation_figure(
    database: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["retrain", "toy.py", "--top", "1", "--repeats", "2"]) == 0
    printed = capsys.readouterr().out
    folder = database.parent / "toy-retrained"
    (trial,) = read_results(folder)
    assert (trial.number, len(trial.repeats)) == (2, 2)
    row = rf"2\s+0\.7\s+{trial.mean:.4f} ± {trial.spread:.4f}\s+2\s+out {trial.spikes['out']:.4g}"
    assert re.search(row, printed)
    assert "validation accuracy" in printed and "results.json" in printed
    stored = optuna.load_study(study_name="toy", storage=f"sqlite:///{database}")
    assert stored.user_attrs["retrained/2"]["test_mean"] == trial.mean


def test_the_command_says_in_one_line_what_is_wrong(
    database: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["retrain", "toy.py", "--top", "0"]) == 2
    assert capsys.readouterr().err == "error: --top must be 1 or more, got 0\n"


def test_another_folder_takes_results_and_weights(database: Path) -> None:
    main(["retrain", "toy.py", "--top", "1", "--repeats", "1", "--folder", "elsewhere"])
    names = sorted(path.name for path in Path("elsewhere").iterdir())
    assert names == ["results.json", "trial-2-repeat-1.npz"]


def test_fewer_feasible_trials_than_asked_for_are_told(
    database: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["retrain", "toy.py", "--top", "5", "--repeats", "1"]) == 0
    assert "only 2 of 5 trials: no others are feasible and COMPLETE" in capsys.readouterr().out


def test_who_interrupts_it_is_told_how_to_go_on(
    database: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupt(*arguments: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("tests.retraining.toy.Toy.retrain", interrupt)
    assert main(["retrain", "toy.py"]) == 130
    assert "trainings are in toy-retrained; --resume keeps them" in capsys.readouterr().out


def test_the_study_file_is_told_the_device(
    database: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPTUNA_SNN_DEVICE", "cpu")  # to be put back after the test
    with Path("toy.py").open("a") as file:
        file.write(
            "from pathlib import Path\n"
            "from optuna_snn.workers import worker_device\n"
            "Path('device').write_text(worker_device())\n"
        )
    main(["retrain", "toy.py", "--top", "1", "--repeats", "1"])
    assert Path("device").read_text() == "cpu"
    main(["retrain", "toy.py", "--top", "1", "--repeats", "1", "--device", "cuda:1"])
    assert Path("device").read_text() == "cuda:1"


def test_the_test_accuracy_stays_in_one_line_however_many_layers_there_are() -> None:
    spikes = {f"layer{i}": 100.0 * i for i in range(8)}
    repeats = tuple(Repeat(i, i, 1.0, 0.5 + i / 100, spikes) for i in (1, 2))
    console = Console(width=80, file=io.StringIO())
    print_retrained(console, [RetrainedTrial(3, 0.7, {}, repeats)], metric_name="accuracy")
    printed = console.file.getvalue()  # type: ignore[attr-defined]
    assert "0.5150 ± 0.0071" in printed
    assert "validation" in printed and "…" not in printed
    assert all(f"{name} {mean:.4g}" in printed for name, mean in spikes.items())
