"""The tutorial's study file and its commands, as a reader makes and runs them."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import optuna
import pytest

from tests.docs.blocks import DOCS, read_blocks
from tests.docs.test_command_lines import calls, shell_blocks

TUTORIAL = DOCS / "tutorial.md"
N_TRIALS = "4"
"""In the place of the tutorial's 60."""


def study_file() -> str:
    """What the tutorial tells its reader to put into `digits_study.py`."""
    python = [block.text for block in read_blocks(TUTORIAL) if block.is_python]
    last = next(number for number, text in enumerate(python) if "def objective" in text)
    added = next(text for text in python if text.startswith("direction ="))
    return "\n".join([*python[: last + 1], added])


@pytest.mark.slow
def test_the_commands_of_the_tutorial_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("OPTUNA_SNN_STORAGE", raising=False)
    (tmp_path / "digits_study.py").write_text(study_file())
    lines = [words for block in shell_blocks(TUTORIAL) for words in calls(block.text)]
    assert [words[0] for words in lines] == ["run", "replay"]
    for words in lines:
        if "--n-trials" in words:
            words[words.index("--n-trials") + 1] = N_TRIALS
        done = subprocess.run(
            [sys.executable, "-m", "optuna_snn", *words],
            cwd=tmp_path, capture_output=True, text=True, timeout=300, check=False,
        )  # fmt: skip
        assert done.returncode == 0, done.stdout + done.stderr
    assert "0.05" in done.stdout
    study = optuna.load_study(
        study_name="digits_study", storage=f"sqlite:///{tmp_path / 'digits_study.db'}"
    )
    assert len(study.trials) >= int(N_TRIALS)
    assert study.metric_names == ["accuracy"]
    assert all(trial.state.is_finished() for trial in study.trials)
