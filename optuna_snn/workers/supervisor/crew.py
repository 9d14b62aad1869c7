"""The worker processes of one run: started, tended, stopped.

A worker is restarted when it crashes (see slot.py). What it leaves behind when it is killed is
written into its trial, so that the reason can be read there:

    killed by a signal, or crashed   the trial is found stale, fails with that reason, is retried
    hung beyond the time limit       killed; the trial fails with the limit as reason, for good

A worker that refuses (no package, no study file, no database where it runs) is not started again.
What one refuses others may be able to do, elsewhere: only what all refuse is the end of the run.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime

from optuna.trial import FrozenTrial

from optuna_snn.workers.budget import COUNTED_STATES
from optuna_snn.workers.display.progress import Progress
from optuna_snn.workers.failures import time_limit_reason
from optuna_snn.workers.identity import worker_of
from optuna_snn.workers.stop import KILL_AFTER_S
from optuna_snn.workers.supervisor.engine import WorkerSlot
from optuna_snn.workers.supervisor.slot import SlotState

__all__ = ["Crew", "WorkerView"]

TOLD_AFTER_S = 10.0
"""Workers that refuse for the same reason do so within this time, as a rule."""

ALIVE = (SlotState.WAITING, SlotState.RUNNING, SlotState.RESTARTING)


@dataclass(frozen=True)
class WorkerView:
    """A worker as it is shown."""

    index: int
    device: str
    """As asked for: "cuda:1" or "cpu"; empty where no devices were asked for."""
    pid: int | None
    state: SlotState
    n_restarts: int
    trial: FrozenTrial | None
    """The trial that it runs, None between two."""


class Crew:
    """The workers of one run.

    Args:
        slots: a slot for each.
        trial_timeout_s: the workers' own limit on the time of a trial, None for none.
        note: shows a remark.
        report_death: called with the name of a worker that died, and how; stores it in its trial.
        fail_trial: called with the number of a trial, which it ends as FAIL, and the reason.
        away_s: seconds for which the database has been away since a local time: a trial that waits
            for it does not hang.
    """

    def __init__(
        self,
        slots: Sequence[WorkerSlot],
        *,
        trial_timeout_s: float | None,
        note: Callable[[str], None],
        report_death: Callable[[str, str], None],
        fail_trial: Callable[[int, str], None],
        away_s: Callable[[datetime], float],
    ) -> None:
        self._slots = list(slots)
        self._trial_timeout_s = trial_timeout_s
        self._note = note
        self._report_death = report_death
        self._fail_trial = fail_trial
        self._away_s = away_s
        self._refused_at: dict[int, float] = {}
        """When it was seen of a slot that it has refused (monotonic)."""
        self._first_seen: dict[tuple[int, datetime], tuple[float, float]] = {}
        """Trial -> when it was first seen (monotonic), and its age then, in seconds. After that no
        local times are compared: clocks are set, and have a summer time."""
        self._told: set[int] = set()
        """Slots whose refusal has been told."""

    @property
    def slots(self) -> list[WorkerSlot]:
        """The slots, in the order of the devices."""
        return self._slots

    @property
    def states(self) -> list[SlotState]:
        """Their states when they were last tended."""
        return [slot.state for slot in self._slots]

    @property
    def is_alive(self) -> bool:
        """Whether a worker runs or will be started again."""
        return any(state in ALIVE for state in self.states)

    @property
    def refusal(self) -> str | None:
        """What no worker can do, once all have refused; that of the first."""
        if set(self.states) == {SlotState.REFUSED}:
            return self._slots[0].log.last_error()
        return None

    def tend(self, progress: Progress) -> None:
        """Restart what has crashed, kill what hangs, and leave word about both.

        A refusal is told after TOLD_AFTER_S, so that what all refuse is told once, by its end.
        """
        self._praise(progress)
        running = {worker_of(trial): trial for trial in progress.running}
        for index, slot in enumerate(self._slots):
            trial = None if slot.worker is None else running.get(slot.worker)
            if trial is not None and self._hangs(trial):
                self._kill_hanging(index, slot, trial)
            else:
                self._advance(index, slot)
        now = time.monotonic()
        for index, state in enumerate(self.states):
            if state is SlotState.REFUSED:
                self._refused_at.setdefault(index, now)
        untold = self._refused_at.keys() - self._told
        if any(now - self._refused_at[index] >= TOLD_AFTER_S for index in untold):
            self.tell_refusals()

    def tell_refusals(self) -> None:
        """Tell of each worker that cannot work, once; those with the same reason together."""
        by_reason: dict[str, list[str]] = {}
        for index in sorted(self._refused_at.keys() - self._told):
            slot = self._slots[index]
            name = f"{index} ({slot.device.name})" if slot.device.name else str(index)
            by_reason.setdefault(slot.log.last_error(), []).append(name)
        self._told.update(self._refused_at)
        for reason, names in by_reason.items():
            subject = f"worker {names[0]} cannot work and is"
            if len(names) > 1:
                subject = f"workers {', '.join(names)} cannot work and are"
            self._note(f"{subject} not started again: {reason}")

    def views(self, progress: Progress) -> list[WorkerView]:
        """What there is to show of each worker."""
        running = {worker_of(trial): trial for trial in progress.running}
        return [
            WorkerView(
                index=index,
                device=slot.device.name,
                pid=slot.pid,
                state=slot.state,
                n_restarts=slot.n_restarts,
                trial=None if slot.worker is None else running.get(slot.worker),
            )
            for index, slot in enumerate(self._slots)
        ]

    def ask_to_stop(self) -> None:
        """Let every worker finish its trial within its grace time, and start no other."""
        for slot in self._slots:
            slot.ask_to_stop()

    def interrupt(self) -> None:
        """Let every worker give up its trial now, and queue it again."""
        for slot in self._slots:
            slot.interrupt()

    def kill(self) -> None:
        """Kill the workers that are left; their trials will be found stale and queued again."""
        for index, slot in enumerate(self._slots):
            if slot.pid is not None:
                slot.ask_to_stop()
                slot.kill()
                self._note(
                    f"worker {index} did not stop and was killed; its trial will be found stale "
                    f"and queued again by the next run (log: {slot.log.path})"
                )

    def close(self) -> None:
        """Leave no process behind, and give up the logs; nothing happens to those that ended."""
        if any(slot.pid is not None for slot in self._slots):
            self.interrupt()
            deadline = time.monotonic() + KILL_AFTER_S
            for slot in self._slots:
                slot.join(deadline)
        for slot in self._slots:
            slot.log.close()

    def _praise(self, progress: Progress) -> None:
        """A trial that a worker has brought to an end makes up for its crashes."""
        by_name = {slot.worker: slot for slot in self._slots if slot.worker is not None}
        for trial in progress.finished:
            slot = by_name.get(worker_of(trial) or "")
            if slot is None or trial.state not in COUNTED_STATES:
                continue
            # Process ids come again: trials of an earlier process are not this one's.
            if trial.datetime_complete is not None and trial.datetime_complete > slot.started_at:
                slot.has_done_well()

    def _hangs(self, trial: FrozenTrial) -> bool:
        if self._trial_timeout_s is None or trial.datetime_start is None:
            return False
        now = time.monotonic()
        age_s = (datetime.now() - trial.datetime_start).total_seconds()
        key = (trial.number, trial.datetime_start)
        seen_at, age_s = self._first_seen.setdefault(key, (now, age_s))
        age_s += now - seen_at
        if age_s <= self._trial_timeout_s + KILL_AFTER_S:
            return False
        return age_s - self._away_s(trial.datetime_start) > self._trial_timeout_s + KILL_AFTER_S

    def _kill_hanging(self, index: int, slot: WorkerSlot, trial: FrozenTrial) -> None:
        assert self._trial_timeout_s is not None
        reason = time_limit_reason(self._trial_timeout_s)
        # Killed first: a worker that still runs could tell a result, or be taken for dead.
        slot.kill()
        self._fail_trial(trial.number, f"{reason}; its worker did not react and was killed")
        self._note(
            f"worker {index} hung in trial {trial.number} beyond the {reason}: killed and started "
            f"again (log: {slot.log.path})"
        )

    def _advance(self, index: int, slot: WorkerSlot) -> None:
        before, worker = slot.state, slot.worker
        after = slot.advance()
        if before is not SlotState.RUNNING:
            return
        if after not in (SlotState.RESTARTING, SlotState.GIVEN_UP):
            return
        assert worker is not None
        death = slot.death
        self._report_death(worker, f"its worker {death}")
        what = "it is started again" if after is SlotState.RESTARTING else "it died too often"
        self._note(
            f"worker {index} {death}; {what}, and its trial will be found stale and retried "
            f"(log: {slot.log.path})"
        )
