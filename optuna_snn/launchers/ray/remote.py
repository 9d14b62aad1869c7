"""Calls of an actor from the command's machine, and what their failures mean."""

from __future__ import annotations

from typing import Any, Protocol

from optuna_snn.launchers.ray.report import SlotReport

__all__ = ["RayRemote", "Remote", "WorkerGoneError", "WorkerUnavailableError"]


class WorkerUnavailableError(Exception):
    """The actor does not answer now: it has died and Ray starts it again, or it is cut off."""


class WorkerGoneError(Exception):
    """The actor has ended for good; the message is one line."""


class Remote(Protocol):
    """An actor as a slot calls it."""

    def begin_look(self, has_done_well: bool) -> None:
        """Ask for a report, which waits where the actor has no place yet."""

    def report(self, timeout_s: float = 0.0) -> SlotReport | None:
        """The report asked for, None while it is not there.

        Raises:
            WorkerUnavailableError: there will be none; ask again.
            WorkerGoneError: there will never be one.
        """

    def tell(self, method: str) -> None:
        """Call a method, without waiting; in vain if the actor has died."""

    def kill_worker(self, timeout_s: float) -> SlotReport:
        """Kill the worker process, and report; raises as `report` does."""

    def release(self) -> None:
        """End the actor, and give back its place, or its wish for one."""


class RayRemote:
    """An actor of Ray's; `handle` is that of a `NodeWorker`."""

    def __init__(self, handle: Any) -> None:
        self._handle = handle
        self._call: Any = None

    def begin_look(self, has_done_well: bool) -> None:
        """See `Remote`."""
        self._call = self._handle.look.remote(has_done_well)

    def report(self, timeout_s: float = 0.0) -> SlotReport | None:
        """See `Remote`."""
        return self._answer(self._call, timeout_s)

    def tell(self, method: str) -> None:
        """See `Remote`."""
        getattr(self._handle, method).remote()

    def kill_worker(self, timeout_s: float) -> SlotReport:
        """See `Remote`."""
        report = self._answer(self._handle.kill.remote(), timeout_s)
        if report is None:
            raise WorkerUnavailableError(f"no answer within {timeout_s:g} s")
        return report

    def release(self) -> None:
        """See `Remote`."""
        import ray

        ray.kill(self._handle, no_restart=True)

    @staticmethod
    def _answer(call: Any, timeout_s: float) -> SlotReport | None:
        import ray
        from ray.exceptions import ActorUnavailableError, RayError

        ready, _ = ray.wait([call], timeout=timeout_s)
        if not ready:
            return None
        try:
            report: SlotReport = ray.get(call)
        except ActorUnavailableError as error:
            raise WorkerUnavailableError(_last_line(error)) from error
        except RayError as error:
            raise WorkerGoneError(_last_line(error)) from error
        return report


def _last_line(error: Exception) -> str:
    """The cause: Ray's messages end with it, as tracebacks do."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return lines[-1] if lines else type(error).__name__
