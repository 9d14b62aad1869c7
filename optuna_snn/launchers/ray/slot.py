"""One worker of the cluster, as the supervisor sees it: a slot like that of a local process."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

from optuna_snn.launchers.ray.remote import Remote, WorkerGoneError, WorkerUnavailableError
from optuna_snn.launchers.ray.report import ENDED, SlotReport
from optuna_snn.workers.devices import SlotDevice
from optuna_snn.workers.supervisor.slot import SlotState

__all__ = ["RayLog", "RaySlot"]

LOST_AFTER_S = 20.0
"""An actor that does not answer for so long is taken for dead. Ray takes some 15 s to miss a node,
and has a killed actor back within some 2 s where there is room."""

ANSWER_S = 10.0
"""Time for an actor to kill its worker."""

POLL_S = 0.1


@dataclass(frozen=True)
class RayLog:
    """Where a worker writes to, on its node."""

    path: str
    """With its host."""
    error: str = ""

    def last_error(self) -> str:
        """The last error line of the worker that ended."""
        return self.error or "(nothing known)"

    def close(self) -> None:
        """It belongs to the actor."""


class RaySlot:
    """A worker of the cluster.

    Ray makes the actor again when it or its node dies. The slot learns of that by the name of the
    worker, which is another one then.

    Args:
        remote: the actor.
        is_over: whether there is nothing left to do for a worker that has no place yet.
    """

    def __init__(self, remote: Remote, is_over: Callable[[], bool]) -> None:
        self.log = RayLog("(no node yet)")
        self.device = SlotDevice("")
        self.n_restarts = 0
        self.exit_code: int | None = None
        self.death = ""
        self.started_at = datetime.now()
        self._remote = remote
        self._is_over = is_over
        self._state = SlotState.WAITING
        self._report: SlotReport | None = None
        self._n_restarts_before = 0
        """Of the actors before the present one, and those of the actor itself."""
        self._silent_since: float | None = None
        self._has_done_well = False
        self._is_stopping = False
        self._remote.begin_look(False)

    @property
    def state(self) -> SlotState:
        """The state when the slot last advanced."""
        return self._state

    @property
    def pid(self) -> int | None:
        """Process id of the worker on its node."""
        running = self._running()
        return None if running is None else running.pid

    @property
    def worker(self) -> str | None:
        """Name of the worker among all of a study."""
        running = self._running()
        return None if running is None else running.worker

    def advance(self) -> SlotState:
        """Take what the actor has reported, ask anew, and return the state after that."""
        if self._state in ENDED:
            return self._state
        has_place = self._state is SlotState.RUNNING
        if not has_place and self._is_over():
            self._end(SlotState.FINISHED)
            return self._state
        try:
            report = self._remote.report()
        except WorkerUnavailableError:
            self._be_silent()
        except WorkerGoneError as error:
            self._be_gone(str(error))
        else:
            if report is None:
                return self._state
            self._take(report)
        if self._state not in ENDED:
            self._remote.begin_look(self._has_done_well)
            self._has_done_well = False
        return self._state

    def has_done_well(self) -> None:
        """The worker has brought a trial to an end; the actor is told with the next look."""
        self._has_done_well = True

    def ask_to_stop(self) -> None:
        """Ask the worker to stop after its trial; one that has no place gives up its wish."""
        self._is_stopping = True
        if self._state is SlotState.RUNNING:
            self._remote.tell("ask_to_stop")
        elif self._state not in ENDED:
            self._end(SlotState.STOPPED)

    def interrupt(self) -> None:
        """Ask the worker to give up its trial now, which it queues again."""
        self._is_stopping = True
        if self._state is SlotState.RUNNING:
            self._remote.tell("interrupt")
        elif self._state not in ENDED:
            self._end(SlotState.STOPPED)

    def kill(self) -> None:
        """End the process at once; unless stopping it is started again like any that crashed."""
        if self._state is not SlotState.RUNNING:
            return
        try:
            self._take(self._remote.kill_worker(ANSWER_S))
        except WorkerUnavailableError:
            if self._is_stopping:
                self._end(SlotState.STOPPED)
        except WorkerGoneError as error:
            self._be_gone(str(error))

    def join(self, deadline: float) -> bool:
        """Wait for the worker until `deadline` (monotonic), then kill it; to be asked before."""
        while self.advance() not in ENDED:
            if time.monotonic() >= deadline:
                self.kill()
                return False
            time.sleep(POLL_S)
        return True

    def _running(self) -> SlotReport | None:
        return self._report if self._state is SlotState.RUNNING else None

    def _take(self, report: SlotReport) -> None:
        self._silent_since = None
        before, self._report = self._report, report
        if before is not None and before.actor != report.actor:
            # Ray has made the actor again.
            self._n_restarts_before += 1 + before.n_restarts
            if self._state is SlotState.RUNNING:
                # The death is told first. This worker is taken at the next look.
                self._lose(before)
                return
        self._state = report.state
        self.exit_code = report.exit_code
        self.death = report.death
        self.started_at = datetime.fromtimestamp(report.started_at)
        self.n_restarts = self._n_restarts_before + report.n_restarts
        self.device = SlotDevice(report.host + (f" GPU {report.gpus}" if report.gpus else ""))
        self.log = RayLog(f"{report.host}:{report.log}", report.last_error)
        if report.state in ENDED:
            self._end(report.state)

    def _be_silent(self) -> None:
        if self._is_stopping:
            # The actor would start a worker anew.
            self._end(SlotState.STOPPED)
            return
        self._silent_since = self._silent_since or time.monotonic()
        is_lost = time.monotonic() - self._silent_since >= LOST_AFTER_S
        if is_lost and self._state is SlotState.RUNNING and self._report is not None:
            self._lose(self._report)

    def _lose(self, report: SlotReport) -> None:
        self._state = SlotState.RESTARTING
        self.death = f"was lost with its actor on {report.host}, or with that node"
        self.exit_code = None

    def _be_gone(self, why: str) -> None:
        if self._is_stopping:
            self._end(SlotState.STOPPED)
        elif self._report is None:
            self.log = RayLog(
                "(no node)",
                f"Ray could not start a worker: {why}; optuna_snn and the versions of Python and "
                "Ray must be the same on every node",
            )
            self._end(SlotState.REFUSED)
        else:
            self.death = f"was lost with its actor, which Ray does not start again: {why}"
            self.log = RayLog(self.log.path, self.death)
            self._end(SlotState.GIVEN_UP)

    def _end(self, state: SlotState) -> None:
        self._state = state
        self._remote.release()
