"""The actor: keeps one worker process alive on its node.

The worker is a process of its own, not the actor itself:

1. An actor that runs trials in its main thread hears no call meanwhile, so nobody could stop it in
   order. With threads for calls it runs no method in the main thread any more, and there no alarm
   can interrupt a trial (see workers/stop.py).
2. A worker that crashes, hangs or runs out of memory is started again here, with its last words in
   its log and within the bounds of every worker; the actor and its place in the cluster stay.
3. A worker finds the process as everywhere else: no threads or handlers of Ray's, nothing left
   from the trial before a crash.

What Ray restarts is the actor, when it dies or its node does. Nothing here imports Ray.
"""

from __future__ import annotations

import os
import stat
import sys
import tempfile
import time
import uuid
from datetime import datetime
from pathlib import Path

from optuna_snn.launchers.ray.report import ENDED, NodeTask, SlotReport
from optuna_snn.workers.devices import VISIBLE_DEVICES, SlotDevice
from optuna_snn.workers.errors import RunError
from optuna_snn.workers.identity import short_host
from optuna_snn.workers.run_files import RunFiles
from optuna_snn.workers.supervisor.cores import THREAD_VARIABLES
from optuna_snn.workers.supervisor.slot import Slot, SlotState
from optuna_snn.workers.supervisor.worker_log import WorkerLog, claim_logs

__all__ = ["NodeWorker", "find_study_file"]

SESSION_LOGS = Path("/tmp/ray/session_latest/logs")
"""Ray's own folder for logs, which its dashboard shows: its documented place."""

ENDED_BADLY = (SlotState.RESTARTING, SlotState.GIVEN_UP)


class NodeWorker:
    """One worker process of this node; made, and asked, by the command's machine.

    It starts no process where that is in vain, and reports the reason as a worker that refused.

    Args:
        task: what the worker is to do.
    """

    def __init__(self, task: NodeTask) -> None:
        self._actor = uuid.uuid4().hex
        self._slot: Slot | None = None
        self._refusal = ""
        # The device is this actor's: taken before the worker's environment is made from it.
        self._gpus = os.environ.get(VISIBLE_DEVICES, "") if task.has_gpu else ""
        try:
            if task.has_gpu and not self._gpus:
                raise RunError(
                    f"Ray named no GPU in {VISIBLE_DEVICES} on the node {short_host()}, so that "
                    "the worker would see none; use nodes with NVIDIA GPUs, and do not set "
                    f"RAY_EXPERIMENTAL_NOSET_{VISIBLE_DEVICES} there"
                )
            study_file = find_study_file(task, Path.cwd())
            log = _claim_log(task)
        except RunError as error:
            self._refusal = str(error)
            return
        if task.folder.is_dir():
            os.chdir(task.folder)
        self._slot = Slot(_command(task, study_file), _environment(task, self._gpus), log)

    def look(self, has_done_well: bool) -> SlotReport:
        """Look after the process, and report.

        Args:
            has_done_well: the worker has brought a trial to an end since the last call.
        """
        if self._slot is not None:
            if has_done_well:
                self._slot.has_done_well()
            if self._slot.advance() in ENDED:
                self._slot.log.close()
        return self._report()

    def ask_to_stop(self) -> None:
        """See `Slot`."""
        if self._slot is not None:
            self._slot.ask_to_stop()

    def interrupt(self) -> None:
        """See `Slot`."""
        if self._slot is not None:
            self._slot.interrupt()

    def kill(self) -> SlotReport:
        """See `Slot`; returns what is so then."""
        if self._slot is not None:
            self._slot.kill()
        return self._report()

    def _report(self) -> SlotReport:
        slot = self._slot
        if slot is None:
            return SlotReport(
                self._actor, SlotState.REFUSED, short_host(), None, None, time.time(), 0, None,
                "", self._gpus, "", self._refusal,
            )  # fmt: skip
        return SlotReport(
            actor=self._actor,
            state=slot.state,
            host=short_host(),
            worker=slot.worker,
            pid=slot.pid,
            started_at=slot.started_at.timestamp(),
            n_restarts=slot.n_restarts,
            exit_code=slot.exit_code,
            death=slot.death if slot.state in ENDED_BADLY else "",
            gpus=self._gpus,
            log=str(slot.log.path),
            last_error="" if slot.state is SlotState.RUNNING else slot.log.last_error(),
        )


def find_study_file(task: NodeTask, folder: Path) -> Path:
    """The study file on this node: at its own path, else below `folder` as below the command's.

    The second is how `ray job submit --working-dir` brings files to the nodes.

    Raises:
        RunError: it is not here.
    """
    path = task.folder / task.call.study_file
    if path.is_file():
        return path
    if path.is_relative_to(task.folder):
        shipped = folder / path.relative_to(task.folder)
        if shipped.is_file():
            return shipped
    raise RunError(
        f"the study file {path} is not on the node {short_host()}; keep it in a folder that all "
        "nodes share, or send it: ray job submit --working-dir . -- optuna-snn run ..."
    )


def _claim_log(task: NodeTask) -> WorkerLog:
    """A log in the folder of the run, if the nodes share it, else in one of this node."""
    files = task.call.files
    folder = task.folder / files.folder
    # The command has made the folder of the logs: where it is not there, it is not shared.
    if not (task.folder / files.log_folder).is_dir():
        folder = SESSION_LOGS if os.access(SESSION_LOGS, os.W_OK) else _own_folder()
    return claim_logs(RunFiles(folder, files.stem), short_host(), 1)[0]


def _own_folder() -> Path:
    """A folder of this user's in the node's temporary one, where anybody can make folders.

    Raises:
        RunError: somebody else has made it, or something else that has its name.
    """
    folder = Path(tempfile.gettempdir()) / f"optuna-snn-{os.getuid()}"
    try:
        folder.mkdir(mode=0o700, exist_ok=True)
    except OSError as error:
        raise RunError(
            f"the worker's log cannot be written on {short_host()}: {error}; run in a folder that "
            "all nodes share"
        ) from error
    status = folder.lstat()
    if not stat.S_ISDIR(status.st_mode) or status.st_uid != os.getuid():
        raise RunError(
            f"{folder} on {short_host()} is no folder of this user's, so that logs are not "
            "written there; remove it, or run in a folder that all nodes share"
        )
    return folder


def _command(task: NodeTask, study_file: Path) -> list[str]:
    command = [sys.executable, "-m", "optuna_snn.launchers.ray.tied", "worker", str(study_file)]
    return [*command, *task.call.options, "--parent", str(os.getpid())]


def _environment(task: NodeTask, gpus: str) -> dict[str, str]:
    threads = {name: str(task.n_threads) for name in THREAD_VARIABLES if not os.environ.get(name)}
    return {
        **os.environ,
        **threads,
        # Ray leaves all GPUs to an actor without one.
        **SlotDevice("", gpus).environment(),
        **_clock(task.utc_offset_s),
        "OPTUNA_SNN_STORAGE": task.call.url,
        "PYTHONUNBUFFERED": "1",
    }


def _clock(utc_offset_s: float) -> dict[str, str]:
    """The variable that gives the worker the command's local time, where the node has another.

    The times of trials are local ones, and are compared with the command's. POSIX counts the
    offset westwards.
    """
    here = datetime.now().astimezone().utcoffset()
    if here is None or here.total_seconds() == utc_offset_s:
        return {}
    minutes = round(-utc_offset_s / 60)
    sign = "-" if minutes < 0 else ""
    return {"TZ": f"<run>{sign}{abs(minutes) // 60}:{abs(minutes) % 60:02}"}
