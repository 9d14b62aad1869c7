"""`optuna-snn submit`: a study as a SLURM job array, or the script for one."""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from optuna_snn.cli.options import (
    DEFAULT_GRACE_S,
    DEFAULT_N_TRIALS,
    DEFAULT_PATIENCE_S,
    DEFAULT_STOP_GRACE_S,
    GraceOption,
    NameOption,
    PatienceOption,
    StopGraceOption,
    StudyArgument,
    TimeoutOption,
    TrialsOption,
    TrialTimeoutOption,
)

if TYPE_CHECKING:
    from optuna_snn.launchers.slurm import SlurmResources
    from optuna_snn.workers.run_settings import RunSettings

__all__ = ["submit_command", "submit_from_run"]

# Of launchers.slurm, which a quick --help cannot import; a test compares.
DEFAULT_TIME = "1-00"
DEFAULT_MAX_TIMEOUTS = 100

STORAGE_VARIABLE = "OPTUNA_SNN_STORAGE"

NO_STORAGE = (
    "the tasks of a job share a database; start one that the nodes can reach, "
    'optuna-snn db start --listen ADDRESS, and export OPTUNA_SNN_STORAGE="$(optuna-snn db url)"'
)


def submit_command(
    study: StudyArgument,
    n_trials: TrialsOption = DEFAULT_N_TRIALS,
    array_size: Annotated[
        int, typer.Option("--array-size", min=1, help="Tasks; each is a run on one node.")
    ] = 1,
    parallel: Annotated[
        int | None,
        typer.Option("--parallel", min=1, help="Tasks that may run at once; all unless given."),
    ] = None,
    partition: Annotated[
        str | None, typer.Option("--partition", "-p", help="As for sbatch.")
    ] = None,
    account: Annotated[str | None, typer.Option("--account", "-A", help="As for sbatch.")] = None,
    qos: Annotated[str | None, typer.Option("--qos", "-q", help="As for sbatch.")] = None,
    constraint: Annotated[
        str | None, typer.Option("--constraint", "-C", help="As for sbatch.")
    ] = None,
    gpus: Annotated[
        str | None,
        typer.Option("--gpus", metavar="[TYPE:]N", help="GPUs of each task; none unless given."),
    ] = None,
    slots: Annotated[
        int,
        typer.Option(
            "--slots", min=1, help="Workers on each GPU; without GPUs, workers of each task."
        ),
    ] = 1,
    cpus: Annotated[int | None, typer.Option("--cpus", min=1, help="CPUs of each task.")] = None,
    memory: Annotated[
        str | None, typer.Option("--memory", metavar="SIZE", help="Of each task, such as 16G.")
    ] = None,
    time: Annotated[
        str,
        typer.Option(
            "--time", "-t", help="Of each task, as for sbatch: 90 (minutes), 12:00:00, 2-00."
        ),
    ] = DEFAULT_TIME,
    max_timeouts: Annotated[
        int | None,
        typer.Option(
            "--max-timeouts",
            min=0,
            help="How often a task that runs out of its time is queued again; "
            f"{DEFAULT_MAX_TIMEOUTS} unless given.",
        ),
    ] = None,
    sbatch: Annotated[
        list[str] | None,
        typer.Option(
            "--sbatch", metavar="KEY=VALUE", help="Any other option of sbatch; may be repeated."
        ),
    ] = None,
    setup: Annotated[
        list[str] | None,
        typer.Option(
            "--setup",
            metavar="LINE",
            help="Shell line to run on the node before, such as 'module load cuda'; may be "
            "repeated.",
        ),
    ] = None,
    log_folder: Annotated[
        Path | None,
        typer.Option("--log-folder", help="Shared by the nodes; <study>-logs/slurm unless given."),
    ] = None,
    print_script: Annotated[
        bool,
        typer.Option("--print-script", help="Print a plain sbatch script; submit nothing."),
    ] = False,
    storage: Annotated[
        str | None,
        typer.Option(
            "--storage",
            envvar=STORAGE_VARIABLE,
            help="URL of a database that the nodes can reach; for one task also an SQLite file.",
        ),
    ] = None,
    study_name: NameOption = None,
    timeout: TimeoutOption = None,
    trial_timeout: TrialTimeoutOption = None,
    stop_grace: StopGraceOption = DEFAULT_STOP_GRACE_S,
    grace: GraceOption = DEFAULT_GRACE_S,
    patience: PatienceOption = DEFAULT_PATIENCE_S,
) -> None:
    """Submit a study to SLURM: a job array, each task a run with its own workers.

    Tasks share the study through its database. One that is preempted, loses its node or runs out
    of time is queued again, until the study has its trials. A worker that dies is started again
    within its task.

    The command returns when SLURM has taken the job. Exit codes: 0, or 2 with one line that says
    what to put right.
    """
    from optuna_snn.launchers.slurm import SlurmResources
    from optuna_snn.launchers.slurm.resources import read_sbatch_options
    from optuna_snn.workers.run_settings import RunSettings

    settings = RunSettings(
        study_file=study,
        storage=storage or "",
        n_trials=n_trials,
        study_name=study_name,
        timeout_s=timeout,
        trial_timeout_s=trial_timeout,
        grace_s=grace,
        patience_s=patience,
        stop_grace_s=stop_grace,
    )
    resources = SlurmResources(
        array_size=array_size,
        parallel=parallel,
        partition=partition,
        account=account,
        qos=qos,
        constraint=constraint,
        gpus=gpus,
        n_slots=slots,
        cpus=cpus,
        memory=memory,
        time=time,
        sbatch=read_sbatch_options(sbatch or ()),
        setup=tuple(setup or ()),
    )
    if print_script:
        _check_script_options(max_timeouts)
        _print_script(settings, resources, log_folder)
    else:
        n_timeouts = DEFAULT_MAX_TIMEOUTS if max_timeouts is None else max_timeouts
        _submit(settings, resources, log_folder, n_timeouts)


def submit_from_run(
    settings: RunSettings,
    *,
    n_workers: int | None,
    devices: Sequence[str] | str | None,
    n_slots: int | None,
) -> int:
    """`optuna-snn run --launcher slurm`: as `submit` with its defaults; the exit code.

    Each worker is a task of its own, on CPUs.
    """
    from optuna_snn.launchers.slurm import SlurmResources
    from optuna_snn.workers.errors import RunError

    if devices is not None or n_slots is not None:
        raise RunError(
            "--launcher slurm asks for no GPUs: use optuna-snn submit with --gpus and --slots"
        )
    _submit(settings, SlurmResources(array_size=n_workers or 1), None, DEFAULT_MAX_TIMEOUTS)
    print("options      optuna-snn submit has them: GPUs, partition, account, time and more")
    return 0


def _submit(
    settings: RunSettings, resources: SlurmResources, log_folder: Path | None, max_timeouts: int
) -> None:
    import optuna

    optuna.logging.set_verbosity(optuna.logging.WARNING)
    from optuna_snn.launchers.slurm import submit_study
    from optuna_snn.launchers.slurm.words import submission_facts
    from optuna_snn.workers.errors import RunError

    if not settings.storage:
        raise RunError(NO_STORAGE)
    _say_where_we_are()
    submission = submit_study(
        settings, resources, log_folder=log_folder, max_timeouts=max_timeouts
    )
    for warning in submission.warnings:
        print(f"warning: {warning}", file=sys.stderr)
    for label, words in submission_facts(
        settings, resources, submission, max_timeouts=max_timeouts
    ):
        print(f"{label:<13}{words}")


def _say_where_we_are() -> None:
    if job := os.environ.get("SLURM_JOB_ID"):
        print(
            f"warning: this is job {job} itself, whose SLURM_ variables the new job inherits; "
            "better submit from a login node",
            file=sys.stderr,
        )


def _check_script_options(max_timeouts: int | None) -> None:
    from optuna_snn.workers.errors import RunError

    if max_timeouts is not None:
        raise RunError(
            "--max-timeouts means nothing to --print-script, whose tasks end with their time; "
            "leave it away, and submit the script again when it is over"
        )


def _print_script(
    settings: RunSettings, resources: SlurmResources, log_folder: Path | None
) -> None:
    """The script on standard output; all else on standard error."""
    from dataclasses import replace

    from optuna_snn.launchers.shared_storage import check_shared_storage
    from optuna_snn.launchers.slurm import sbatch_script
    from optuna_snn.launchers.slurm.shell_variables import overriding_variables
    from optuna_snn.workers.errors import RunError
    from optuna_snn.workers.run_files import run_files
    from optuna_snn.workers.storage.opening import normalise_url
    from optuna_snn.workers.study_file import load_study_file

    definition = load_study_file(settings.study_file)
    name = settings.study_name or definition.name
    warnings: list[str] = []
    if settings.storage:
        url = normalise_url(settings.storage)
        warnings = check_shared_storage(url, resources.array_size)
        folder = log_folder or run_files(url, name).log_folder / "slurm"
    else:
        folder = log_folder or run_files("postgresql://", name).log_folder / "slurm"
    script = sbatch_script(
        replace(settings, study_file=settings.study_file.absolute()),
        resources,
        name=name,
        folder=Path(),
        log_folder=folder,
    )
    try:
        folder.mkdir(parents=True, exist_ok=True)  # SLURM writes no log into a folder not there
    except OSError as error:
        raise RunError(f"the log folder {folder} cannot be written: {error}") from error
    print(script, end="")
    options = re.findall(r"^#SBATCH --([\w-]+)", script, re.MULTILINE)
    if names := overriding_variables(options):
        warnings.append(
            f"sbatch follows {', '.join(names)} of the shell rather than the script; unset "
            "what you do not mean"
        )
    for warning in warnings:
        print(f"warning: {warning}", file=sys.stderr)
    if not settings.storage:
        print(f"before sbatch: {NO_STORAGE}", file=sys.stderr)
    elif settings.storage != os.environ.get(STORAGE_VARIABLE):
        print(
            f"before sbatch: export {STORAGE_VARIABLE} with what you wrote behind --storage, "
            "which may hold a password and so is not in the script",
            file=sys.stderr,
        )
