"""The plain sbatch script: what SLURM reads of it, and what its shell does."""

from __future__ import annotations

import os
import shlex
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from optuna_snn.launchers.slurm import SlurmResources, sbatch_script
from optuna_snn.workers.errors import RunError
from optuna_snn.workers.run_settings import RunSettings

SECRET_URL = "postgresql+psycopg2://user:secret@db.example.org/optuna"

ODD = 'it\'s "50 %" of $HOME; #1 `x` \\'


def script(
    resources: SlurmResources | None = None, *, log_folder: Path | None = None, **settings: Any
) -> str:
    given: dict[str, Any] = {
        "study_file": Path("/home/me/study.py"), "storage": SECRET_URL, "n_trials": 200
    }  # fmt: skip
    return sbatch_script(
        RunSettings(**given | settings),
        resources or SlurmResources(),
        name="digits",
        folder=Path("/home/me"),
        log_folder=log_folder or Path("/home/me/logs"),
        python="/env/bin/python",
    )


def directives(text: str) -> dict[str, str | None]:
    """Option -> value, its quotes removed as sbatch does."""
    words = [shlex.split(line) for line in text.splitlines() if line.startswith("#SBATCH")]
    assert all(len(line) == 2 for line in words)
    pairs = [option.removeprefix("--").partition("=") for _, option in words]
    return {key: value if equals else None for key, equals, value in pairs}


def run(text: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["bash"], input=text, capture_output=True, text=True, check=False, timeout=60,
        env={"PATH": os.environ["PATH"], **environment},
    )  # fmt: skip


def test_the_whole_script() -> None:
    resources = SlurmResources(
        array_size=4, parallel=2, partition="gpu", gpus="2", n_slots=3, time="12:00:00",
        setup=["module load cuda", "ulimit -n 4096"],
    )  # fmt: skip
    text = script(resources, study_name="mine", trial_timeout_s=600.0)
    assert text == (
        """\
#!/bin/bash
#SBATCH --job-name=digits
#SBATCH --array=0-3%2
#SBATCH --time=12:00:00
#SBATCH --partition=gpu
#SBATCH --gpus-per-node=2
#SBATCH --requeue
#SBATCH --chdir=/home/me
#SBATCH --output=/home/me/logs/%A_%a.log
#SBATCH --open-mode=append
#SBATCH --signal=B:USR1@120

module load cuda
ulimit -n 4096
: "${OPTUNA_SNN_STORAGE:?is not set; export it in the shell that calls sbatch, which hands it on}"
# exec: SLURM's signal reaches the run itself, which then stops cleanly.
exec /env/bin/python -m optuna_snn run /home/me/study.py --n-trials 200 --study-name mine"""
        " --trial-timeout 600.0 --grace 60 --patience 300.0 --stop-grace 20.0 --devices all"
        " --slots 3\n"
    )


def test_the_notice_grows_with_the_grace_time_of_trials() -> None:
    assert directives(script(stop_grace_s=500.0))["signal"] == "B:USR1@600"
    with pytest.raises(RunError, match="--time 10 is too short"):
        script(SlurmResources(time="10"), stop_grace_s=500.0)


def test_odd_values_arrive_as_they_are() -> None:
    resources = SlurmResources(sbatch={"comment": ODD}, constraint="[a&b]")
    text = script(
        resources, study_file=Path("/home/me/a b/it's.py"), study_name=ODD,
        log_folder=Path("/home/me/my logs %j"),
    )  # fmt: skip
    found = directives(text)
    assert (found["comment"], found["constraint"]) == (ODD, "[a&b]")
    assert found["output"] == "/home/me/my logs %%j/%A_%a.log"  # %% is a % for SLURM
    assert shlex.split(text.splitlines()[-1])[5:9] == [
        "/home/me/a b/it's.py", "--n-trials", "200", "--study-name",
    ]  # fmt: skip
    printed = run(
        text.replace("exec /env/bin/python", "exec printf '%s|'"), OPTUNA_SNN_STORAGE="s"
    )
    assert f"|--study-name|{ODD}|" in printed.stdout


def test_a_name_cannot_add_an_option() -> None:
    with pytest.raises(RunError, match="--study-name has to be one line"):
        sbatch_script(
            RunSettings(Path("study.py"), SECRET_URL, n_trials=1),
            SlurmResources(),
            name="digits\n#SBATCH --uid=0",
            folder=Path(),
            log_folder=Path(),
        )


def test_bash_takes_the_script() -> None:
    text = script(SlurmResources(sbatch={"comment": ODD}), study_name=ODD)
    assert subprocess.run(["bash", "-n"], input=text, text=True, check=False).returncode == 0


def test_the_storage_comes_from_the_environment_and_is_not_in_the_script() -> None:
    text = script()
    assert "secret" not in text and "db.example.org" not in text
    refused = run(text)
    assert refused.returncode != 0
    assert "OPTUNA_SNN_STORAGE: is not set; export it in the shell" in refused.stderr


def test_the_shell_becomes_the_run_and_so_hears_the_signal() -> None:
    text = script().replace("/env/bin/python -m optuna_snn run", f"{sys.executable} -c {PID} x")
    process = subprocess.Popen(
        ["bash", "-c", text], stdout=subprocess.PIPE, text=True, env={"OPTUNA_SNN_STORAGE": "s"}
    )
    printed, _ = process.communicate(timeout=60)
    assert int(printed) == process.pid


PID = shlex.quote("import os; print(os.getpid())")
