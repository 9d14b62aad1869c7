"""Runs a study with worker processes of this machine: starts, watches, restarts and stops them.

The supervisor decides nothing about the study. Budget, retries and the search live in the storage,
so workers that somebody else starts on the same study simply join, and so does a second
supervisor. When the supervisor itself is killed, its workers end after their running trials.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

from optuna_snn.workers.devices import assign_devices
from optuna_snn.workers.display.plain import Display, Heading, PlainDisplay
from optuna_snn.workers.display.steady import SteadyDisplay
from optuna_snn.workers.run_files import default_storage, run_files
from optuna_snn.workers.run_settings import RunSettings
from optuna_snn.workers.stop import StopRequest
from optuna_snn.workers.storage.opening import (
    DEFAULT_GRACE_S,
    normalise_url,
    open_storage,
    shown_url,
)
from optuna_snn.workers.storage.patience import DEFAULT_PATIENCE_S
from optuna_snn.workers.study_file import load_study_file, open_study
from optuna_snn.workers.supervisor.engine import Engine
from optuna_snn.workers.supervisor.local_engine import LocalEngine
from optuna_snn.workers.supervisor.new_study import begin_anew
from optuna_snn.workers.supervisor.outcome import RunOutcome
from optuna_snn.workers.supervisor.supervised_run import SupervisedRun

__all__ = ["run_study", "supervise"]


def run_study(
    study_file: str | Path,
    *,
    n_trials: int,
    n_workers: int | None = None,
    devices: Sequence[str] | None = None,
    n_slots: int | None = None,
    storage: str | None = None,
    study_name: str | None = None,
    timeout_s: float | None = None,
    trial_timeout_s: float | None = None,
    grace_s: int = DEFAULT_GRACE_S,
    patience_s: float = DEFAULT_PATIENCE_S,
    stop: StopRequest | None = None,
    new: bool = False,
    display: Callable[[Heading], Display] = PlainDisplay,
) -> RunOutcome:
    """Run worker processes until the study has `n_trials` COMPLETE and PRUNED trials.

    SIGINT, SIGTERM, SIGHUP, SIGUSR1 and SIGUSR2 stop the run: running trials may finish within the
    grace time of `stop`, then, or at a second signal, they end as FAIL and their parameters are
    queued again. A worker that does not react within KILL_AFTER_S, or at a third signal, is
    killed, and its trial is found stale by the next run.

    Args:
        study_file: path of the study file.
        n_trials: trials of the whole study, earlier runs included.
        n_workers: worker processes; 1 unless devices say another number. No more are started than
            trials are missing.
        devices: "cuda:0", "cuda:1", ..., "cpu"; or alone "all"; see devices.py.
        n_slots: workers per device; 1 unless given.
        storage: see `open_storage`; `<study name>.db` in the current folder unless given.
        study_name: overrides the study file's.
        timeout_s: start no trial after so many seconds; running ones finish.
        trial_timeout_s: a trial that takes longer is interrupted and fails; it is not retried.
        grace_s: see `open_storage`.
        patience_s: see `open_storage`.
        stop: who may ask the run to stop, and how long running trials may go on then;
            `StopRequest()` unless given.
        new: give an existing SQLite database a dated name first, and begin anew.
        display: makes what shows the run; lines on standard output unless given.

    Raises:
        ValueError: a number out of range.
        RunError: the devices, the study file, the storage or the study are not usable.
    """
    settings = RunSettings(
        study_file=Path(study_file),
        storage=storage or "",
        n_trials=n_trials,
        study_name=study_name,
        timeout_s=timeout_s,
        trial_timeout_s=trial_timeout_s,
        grace_s=grace_s,
        patience_s=patience_s,
    )
    engine = LocalEngine(assign_devices(devices, n_workers=n_workers, n_slots=n_slots))
    return supervise(engine, settings, stop=stop, new=new, display=display)


def supervise(
    engine: Engine,
    settings: RunSettings,
    *,
    stop: StopRequest | None = None,
    new: bool = False,
    display: Callable[[Heading], Display] = PlainDisplay,
) -> RunOutcome:
    """Run the workers that `engine` starts, as `run_study` does with those of this machine.

    Args:
        engine: starts the workers.
        settings: the study and its limits.
        stop: as for `run_study`; its grace time unless given is that of `settings`.
        new: as for `run_study`.
        display: as for `run_study`.

    Raises:
        ValueError: a number out of range.
        RunError: the study file, the storage or the study are not usable.
    """
    stop = stop or StopRequest(grace_s=settings.stop_grace_s)
    definition = load_study_file(settings.study_file)
    name = settings.study_name or definition.name
    url = normalise_url(settings.storage or default_storage(name))
    engine.check(url)
    files = run_files(url, name)
    moved = begin_anew(url, files, settings.grace_s) if new else []
    opened = open_storage(url, grace_s=settings.grace_s, patience_s=settings.patience_s)
    run = SupervisedRun(
        study=open_study(definition, opened, name),
        storage=opened,
        definition=definition,
        settings=replace(settings, storage=url, study_name=name, stop_grace_s=stop.grace_s),
        files=files,
        engine=engine,
        stop=stop,
    )
    heading = Heading(
        study_name=name,
        storage=shown_url(url),
        metric_name=definition.metric_name,
        direction=definition.direction,
        n_trials=settings.n_trials,
        n_workers=engine.n_workers,
        log_folder=files.log_folder,
    )
    with SteadyDisplay(display(heading)) as shown:
        for path in moved:
            shown.note(f"kept from before: {path}")
        return run.run(shown)
