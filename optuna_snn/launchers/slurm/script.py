"""A plain sbatch script: the same job array without submitit, to read, change and keep.

What it cannot do is to requeue itself when its time is over: `exec` leaves no shell that could ask
for it. It stops cleanly then, and the same script, submitted again, goes on.
"""

from __future__ import annotations

import shlex
import sys
from pathlib import Path

from optuna_snn.launchers.slurm.resources import SlurmResources, check_is_one_line
from optuna_snn.launchers.slurm.time_limit import check_time, notice_s
from optuna_snn.workers.run_settings import RunSettings

__all__ = ["sbatch_script"]

NO_STORAGE = "is not set; export it in the shell that calls sbatch, which hands it on"


def sbatch_script(
    settings: RunSettings,
    resources: SlurmResources,
    *,
    name: str,
    folder: Path,
    log_folder: Path,
    python: str = sys.executable,
) -> str:
    """The text of the script.

    The storage is not in it, since its URL may hold a password: the task takes the variable
    OPTUNA_SNN_STORAGE from the shell that called sbatch.

    Args:
        settings: the study and its limits.
        resources: what is asked of SLURM.
        name: of the job.
        folder: where the run leaves its files, shared by the nodes.
        log_folder: where each task leaves its log; SLURM does not create it.
        python: the interpreter on the nodes.

    Raises:
        RunError: the time is too short for the grace time of trials, or the name is no line.
    """
    check_is_one_line("--study-name", name)
    check_time(resources.time, settings.stop_grace_s)
    throttle = "" if resources.parallel is None else f"%{resources.parallel}"
    options = {
        "job-name": name,
        "array": f"0-{resources.array_size - 1}{throttle}",
        "time": resources.time,
        **resources.options(),
        "chdir": str(folder.absolute()),
        "output": f"{_literal(log_folder.absolute())}/%A_%a.log",
        "open-mode": "append",
        "signal": f"B:USR1@{notice_s(settings.stop_grace_s)}",
    }
    words = [
        python, "-m", "optuna_snn", "run", *settings.words(),
        "--devices", ",".join(resources.devices), "--slots", str(resources.n_slots),
    ]  # fmt: skip
    return "\n".join(
        [
            "#!/bin/bash",
            *(_directive(option, value) for option, value in options.items()),
            "",
            *resources.setup,
            f': "${{OPTUNA_SNN_STORAGE:?{NO_STORAGE}}}"',
            "# exec: SLURM's signal reaches the run itself, which then stops cleanly.",
            f"exec {shlex.join(words)}",
            "",
        ]
    )


def _directive(option: str, value: str | None) -> str:
    """A line that sbatch reads; it takes quotes as a shell does."""
    return f"#SBATCH --{option}" if value is None else f"#SBATCH --{option}={shlex.quote(value)}"


def _literal(path: Path) -> str:
    """A path in which SLURM replaces nothing."""
    return str(path).replace("%", "%%")
