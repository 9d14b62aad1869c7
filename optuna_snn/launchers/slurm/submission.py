"""Submits a study as a job array through submitit.

submitit pickles the tasks, with the URL of the storage and so with its password, into files, and
writes logs beside them. Each submission has a folder of its own, which only its user can open.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Sequence
from contextlib import redirect_stderr
from dataclasses import dataclass, field, replace
from datetime import datetime
from io import StringIO
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sqlalchemy.engine import make_url

from optuna_snn.launchers.shared_storage import check_shared_storage
from optuna_snn.launchers.slurm.resources import SlurmResources, check_is_one_line
from optuna_snn.launchers.slurm.shell_variables import overriding_variables, without_variables
from optuna_snn.launchers.slurm.task import SupervisedTask
from optuna_snn.launchers.slurm.time_limit import check_time, notice_s, seconds_of
from optuna_snn.workers.errors import RunError
from optuna_snn.workers.run_files import run_files
from optuna_snn.workers.run_settings import RunSettings
from optuna_snn.workers.storage.opening import database_file, normalise_url, open_storage
from optuna_snn.workers.study_file import load_study_file, open_study

if TYPE_CHECKING:
    from submitit import SlurmExecutor

__all__ = ["DEFAULT_MAX_TIMEOUTS", "Submission", "submit_study"]

DEFAULT_MAX_TIMEOUTS = 100
"""submitit's own is 3, after which a long study would lose its tasks one by one. A task ends by
itself when the study has its trials."""

SUBMITIT_OPTIONS = ("array", "job-name", "open-mode", "output", "signal", "time")
"""Options of sbatch that submitit writes itself."""

SBATCH_ERROR = "sbatch: error: "


@dataclass(frozen=True)
class Submission:
    """A submitted job array."""

    job_id: str
    study_name: str
    url: str = field(repr=False)
    """Of the storage, with its password: never print it."""
    array_size: int
    log_folder: Path
    """Of this submission."""
    warnings: Sequence[str]
    """What the user should know about the storage."""


def submit_study(
    settings: RunSettings,
    resources: SlurmResources,
    *,
    log_folder: Path | None = None,
    max_timeouts: int = DEFAULT_MAX_TIMEOUTS,
) -> Submission:
    """Submit a job array whose tasks are supervised runs of one study; return at once.

    The study is created here, before any task starts, so that what is wrong with its file or with
    the storage is said now.

    Args:
        settings: the study and its limits.
        resources: what is asked of SLURM.
        log_folder: the submission's folder is created in it; `<study name>-logs/slurm` in the
            current folder unless given. The nodes have to share it.
        max_timeouts: how often a task that runs out of time is queued again. A preempted one
            always is.

    Raises:
        ValueError: a number out of range.
        RunError: the study file, the storage, the resources or SLURM say no.
    """
    if max_timeouts < 0:
        raise ValueError(f"max_timeouts must be 0 or more, got {max_timeouts}.")
    check_time(resources.time, settings.stop_grace_s)
    definition = load_study_file(settings.study_file)
    name = settings.study_name or definition.name
    check_is_one_line("--study-name", name)
    url = _absolute(normalise_url(settings.storage))
    warnings = check_shared_storage(url, resources.array_size)
    log_folder = log_folder or run_files(url, name).log_folder / "slurm"
    executor_class = _slurm_executor()
    opened = open_storage(url, grace_s=settings.grace_s, patience_s=settings.patience_s)
    open_study(definition, opened, name)
    folder = _private_folder(log_folder)
    notice = notice_s(settings.stop_grace_s)
    task = SupervisedTask(
        replace(settings, study_file=settings.study_file.absolute(), storage=url, study_name=name),
        devices=resources.devices,
        n_slots=resources.n_slots,
        notice_s=notice,
    )
    try:
        executor = executor_class(folder, max_num_timeout=max_timeouts)
        executor.update_parameters(**_parameters(resources, name=name, notice=notice))
        options = {*resources.options(), *SUBMITIT_OPTIONS}
        with without_variables(overriding_variables(options)):
            job_id = _submit(executor, task, resources.array_size)
    except Exception:
        # No job will read the password in there. After an interrupt one may: sbatch may have it.
        shutil.rmtree(folder, ignore_errors=True)
        raise
    return Submission(
        job_id=job_id,
        study_name=name,
        url=url,
        array_size=resources.array_size,
        log_folder=folder,
        warnings=warnings,
    )


def _parameters(resources: SlurmResources, *, name: str, notice: int) -> dict[str, Any]:
    """As submitit names them."""
    options = {
        option: True if value is None else value for option, value in resources.options().items()
    }
    parameters: dict[str, Any] = {
        "job_name": name,
        "time": -(-seconds_of(resources.time) // 60),  # whole minutes, rounded up
        "signal_delay_s": notice,
        "array_parallelism": resources.parallel or resources.array_size,
        "setup": list(resources.setup),
        "stderr_to_stdout": True,
        "wckey": None,  # "submitit" otherwise, which a cluster that checks such keys refuses
        "additional_parameters": options,
    }
    if resources.cpus is not None:
        # From SLURM 22.05 on srun does not take them over from sbatch.
        parameters["srun_args"] = [f"--cpus-per-task={resources.cpus}"]
    return parameters


def _submit(executor: SlurmExecutor, task: SupervisedTask, array_size: int) -> str:
    from submitit.core.utils import FailedJobError, FailedSubmissionError

    try:
        with redirect_stderr(StringIO()):  # submitit prints what it raises
            jobs = executor.submit_array([task] * array_size)
    except (FailedJobError, FailedSubmissionError) as error:
        said = [line.strip().removeprefix(SBATCH_ERROR) for line in str(error).splitlines()]
        raise RunError(f"SLURM refuses the job: {'; '.join(filter(None, said))}") from error
    return str(jobs[0].job_id).partition("_")[0]


def _slurm_executor() -> type[SlurmExecutor]:
    try:
        from submitit import SlurmExecutor
    except ModuleNotFoundError as error:
        if error.name is None or error.name.partition(".")[0] not in ("submitit", "cloudpickle"):
            raise
        raise RunError(
            "SLURM jobs are submitted by submitit: pip install 'optuna-snn[slurm]'; "
            "--print-script needs no package"
        ) from error
    missing = [program for program in ("sbatch", "srun") if shutil.which(program) is None]
    if missing:
        raise RunError(
            f"there is no SLURM here (no program {' and no '.join(missing)} in PATH); submit "
            "where sbatch works, on a login node, or use --print-script and take the script there"
        )
    return SlurmExecutor


def _private_folder(parent: Path) -> Path:
    """A new folder for this submission, closed to other users."""
    stem = f"{datetime.now():%Y-%m-%d_%H%M%S}"
    if "%" in str(parent.absolute()):
        raise RunError(
            f"the log folder {parent.absolute()} has a % in its path, behind which SLURM puts in "
            "names of its own; name another with --log-folder"
        )
    try:
        parent.mkdir(parents=True, exist_ok=True)
        for attempt in range(100):
            folder = parent.absolute() / (stem if attempt == 0 else f"{stem}-{attempt}")
            try:
                folder.mkdir(mode=0o700)
            except FileExistsError:
                continue
            os.chmod(folder, 0o700)  # whatever the umask says
            return folder
    except OSError as error:
        raise RunError(
            f"the log folder {parent} cannot be written: {error}; name another with --log-folder"
        ) from error
    raise RunError(f"the log folder {parent} holds too many submissions of this second")


def _absolute(url: str) -> str:
    """The URL with the path of a file made absolute: a task may start in another folder."""
    file = database_file(url)
    if file is None:
        return url
    return make_url(url).set(database=str(file.absolute())).render_as_string(hide_password=False)
