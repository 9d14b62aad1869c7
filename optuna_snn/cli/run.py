"""`optuna-snn run` and `optuna-snn worker`."""

from __future__ import annotations

import logging
from datetime import datetime
from typing import TYPE_CHECKING, Annotated

import typer

from optuna_snn.cli.launchers import Launcher, check_options
from optuna_snn.cli.options import (
    DEFAULT_GRACE_S,
    DEFAULT_N_TRIALS,
    DEFAULT_PATIENCE_S,
    DEFAULT_STOP_GRACE_S,
    GraceOption,
    NameOption,
    PatienceOption,
    StopGraceOption,
    StorageOption,
    StudyArgument,
    TimeoutOption,
    TrialsOption,
    TrialTimeoutOption,
)

if TYPE_CHECKING:
    from optuna_snn.workers.display.plain import Display, Heading
    from optuna_snn.workers.supervisor.outcome import RunOutcome

__all__ = ["run", "worker"]

EXIT_UNEXPECTED = 1


def run(
    study: StudyArgument,
    n_trials: TrialsOption = DEFAULT_N_TRIALS,
    launcher: Annotated[
        Launcher,
        typer.Option(
            "--launcher",
            help="Who starts the workers: this machine, a Ray cluster, or SLURM (see submit).",
        ),
    ] = Launcher.LOCAL,
    workers: Annotated[
        int | None,
        typer.Option("--workers", min=1, help="Worker processes; 1, or as --devices say."),
    ] = None,
    devices: Annotated[
        str | None,
        typer.Option(
            "--devices",
            help="cuda:0,cuda:1 (by their order in CUDA_VISIBLE_DEVICES), all, or cpu.",
        ),
    ] = None,
    slots: Annotated[
        int | None, typer.Option("--slots", min=1, help="Workers on each device; 1 unless given.")
    ] = None,
    ray_address: Annotated[
        str | None,
        typer.Option(
            "--ray-address",
            metavar="HOST:PORT",
            help="The Ray cluster; that of RAY_ADDRESS, or of this machine, unless given.",
        ),
    ] = None,
    gpus_per_worker: Annotated[
        float | None,
        typer.Option(
            "--gpus-per-worker", min=0.0, help="On Ray: 0.5 shares a GPU; none unless given."
        ),
    ] = None,
    cpus_per_worker: Annotated[
        float | None,
        typer.Option("--cpus-per-worker", min=0.0, help="On Ray; 1 unless given."),
    ] = None,
    storage: StorageOption = None,
    study_name: NameOption = None,
    timeout: TimeoutOption = None,
    trial_timeout: TrialTimeoutOption = None,
    stop_grace: StopGraceOption = DEFAULT_STOP_GRACE_S,
    grace: GraceOption = DEFAULT_GRACE_S,
    patience: PatienceOption = DEFAULT_PATIENCE_S,
    new: Annotated[
        bool,
        typer.Option("--new", help="Give an existing SQLite file a dated name and begin anew."),
    ] = False,
) -> int:
    """Run a study with worker processes until it has its trials.

    A study that exists is continued; one that others work on is shared.

    Ctrl-C, TERM, HUP, USR1 and USR2 stop the run. Running trials may finish
    within --stop-grace, then they are queued again; at a second signal
    they are queued at once, at a third the workers are killed.

    Exit codes:
    0 the study has its trials, or the time of --timeout is over
    1 unexpected error
    2 expected error, told in one line
    3 ten trials failed in a row
    4 the workers died too often
    128 + number of the signal that stopped the run: 130 INT, 143 TERM
    """
    check_options(
        launcher,
        {
            "--devices": devices,
            "--slots": slots,
            "--new": new or None,
            "--ray-address": ray_address,
            "--gpus-per-worker": gpus_per_worker,
            "--cpus-per-worker": cpus_per_worker,
        },
    )
    from rich.console import Console

    console = Console()
    console.print(f"Loading {study} ...", style="dim")
    import optuna

    optuna.logging.set_verbosity(optuna.logging.WARNING)
    from optuna_snn.workers.display.live import LiveDisplay
    from optuna_snn.workers.display.plain import PlainDisplay
    from optuna_snn.workers.display.steady import shown_if_possible
    from optuna_snn.workers.display.summary import print_summary
    from optuna_snn.workers.run_settings import RunSettings
    from optuna_snn.workers.supervisor.outcome import exit_code

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

    def display(heading: Heading) -> Display:
        return (LiveDisplay if console.is_terminal else PlainDisplay)(heading, console)

    match launcher:
        case Launcher.SLURM:
            from optuna_snn.cli.submit import submit_from_run

            return submit_from_run(settings, n_workers=workers, devices=devices, n_slots=slots)
        case Launcher.RAY:
            from optuna_snn.launchers.ray import RayResources, run_on_ray

            outcome = run_on_ray(
                settings,
                RayResources(
                    n_workers=workers or 1,
                    gpus_per_worker=gpus_per_worker or 0.0,
                    cpus_per_worker=1.0 if cpus_per_worker is None else cpus_per_worker,
                ),
                address=ray_address,
                new=new,
                display=display,
            )
        case Launcher.LOCAL:
            from optuna_snn.workers.devices import assign_devices
            from optuna_snn.workers.supervisor.local_engine import LocalEngine
            from optuna_snn.workers.supervisor.start import supervise

            names = None if devices is None else devices.split(",")
            engine = LocalEngine(assign_devices(names, n_workers=workers, n_slots=slots))
            outcome = supervise(engine, settings, new=new, display=display)
    figure = _figure(outcome)
    with shown_if_possible():
        print_summary(console, outcome, figure=figure)
    return exit_code(outcome)


def worker(
    study: StudyArgument,
    n_trials: TrialsOption = DEFAULT_N_TRIALS,
    storage: StorageOption = None,
    study_name: NameOption = None,
    timeout: TimeoutOption = None,
    trial_timeout: TrialTimeoutOption = None,
    stop_grace: StopGraceOption = DEFAULT_STOP_GRACE_S,
    grace: GraceOption = DEFAULT_GRACE_S,
    patience: PatienceOption = DEFAULT_PATIENCE_S,
    since: Annotated[str | None, typer.Option("--since", hidden=True)] = None,
    parent: Annotated[int | None, typer.Option("--parent", hidden=True)] = None,
) -> int:
    """Run one worker in this process; start as many as you like, wherever the storage is seen.

    It joins whoever works on the study. Signals stop it as they stop a run, and the exit codes are
    the same.
    """
    logging.basicConfig(
        level=logging.INFO, format="%(asctime)s %(name)s %(levelname)s %(message)s"
    )
    from optuna_snn.workers.errors import RunError
    from optuna_snn.workers.leaving import LEAVE_WITHIN_S, leave_within
    from optuna_snn.workers.stop import StopRequest
    from optuna_snn.workers.supervisor.slot import EXPECTED_ERROR
    from optuna_snn.workers.supervisor.worker_log import note_end
    from optuna_snn.workers.worker import WorkerEnd, run_worker

    stop = StopRequest(grace_s=stop_grace, is_supervised=parent is not None)
    code = EXIT_UNEXPECTED
    try:
        end = run_worker(
            study,
            storage=storage,
            n_trials=n_trials,
            study_name=study_name,
            timeout_s=timeout,
            trial_timeout_s=trial_timeout,
            grace_s=grace,
            patience_s=patience,
            stop=stop,
            since=None if since is None else datetime.fromisoformat(since),
            parent_pid=parent,
        )
        code = end.value + ((stop.signal or 0) if end is WorkerEnd.STOPPED else 0)
    except RunError:
        code = EXPECTED_ERROR
        raise
    finally:
        if parent is not None:
            note_end()
            leave_within(LEAVE_WITHIN_S, code)
    return code


def _figure(outcome: RunOutcome) -> str:
    """The path of the study's figure, drawn now, or why there is none."""
    try:
        from optuna_snn.visualization.study_figure import save_study_figure
    except ModuleNotFoundError as error:
        if error.name is None or not error.name.startswith("matplotlib"):
            raise
        return "not drawn; pip install 'optuna-snn[figures]'"
    try:
        return str(save_study_figure(outcome.study, outcome.files.figure))
    except OSError as error:
        return f"not drawn: {error}"
