"""All trials of a study at one moment, as they are shown; what is finished is made ready once.

Private names of Optuna that are used here: `FrozenTrial._trial_id`.
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from functools import cached_property

from optuna.trial import FrozenTrial, TrialState

from optuna_snn.dashboard.shown_trials import mark_of, shown_trial
from optuna_snn.spikes.report import SpikeReport
from optuna_snn.stored_spikes import readable_report
from optuna_snn.workers.display.progress import constraint_names, is_feasible

__all__ = ["Look", "ShownTrials"]


@dataclass(frozen=True)
class Look:
    """The trials of a study at one moment, by number.

    stored:   as they are in the storage
    shown:    as they are shown, in the same order
    marks:    the mark of each, in the same order
    reports:  the spike report of each, in the same order; None where there is none to be read
    feasible: as shown, the COMPLETE trials that keep every constraint of the study
    names:    of the constraints that the study knows
    """

    stored: Sequence[FrozenTrial]
    shown: Sequence[FrozenTrial]
    marks: Sequence[str]
    reports: Sequence[SpikeReport | None]
    feasible: Sequence[FrozenTrial]
    names: frozenset[str]

    @cached_property
    def state(self) -> Hashable:
        """What figures without running trials depend on: it changes when a trial ends."""
        ends = [(len(trial.params), trial.datetime_complete) for trial in self.stored]
        return tuple(self.marks), tuple(ends)


@dataclass(frozen=True)
class _Ready:
    """A trial that was made ready to be shown, with the names of the constraints of then."""

    stored: FrozenTrial
    report: SpikeReport | None
    names: frozenset[str]
    shown: FrozenTrial
    mark: str
    is_feasible: bool


class ShownTrials:
    """Makes trials of any study ready to be shown, and keeps those that are finished."""

    def __init__(self) -> None:
        self._ready: dict[int, _Ready] = {}
        """By the ids of the trials."""

    def look_at(self, stored: Sequence[FrozenTrial]) -> Look:
        """The trials of a study, all of them, as they are to be shown."""
        names = constraint_names(stored)
        ready = [self._made_ready(trial, names) for trial in stored]
        return Look(
            stored,
            shown=[each.shown for each in ready],
            marks=[each.mark for each in ready],
            reports=[each.report for each in ready],
            feasible=[each.shown for each in ready if each.is_feasible],
            names=names,
        )

    def _made_ready(self, trial: FrozenTrial, names: frozenset[str]) -> _Ready:
        known = self._ready.get(trial._trial_id)
        # The same object: databases give the id of a deleted trial to the next one.
        if known is not None and known.stored is not trial:
            known = None
        if known is not None and known.names == names:
            return known
        # A report takes longer to read than all the rest.
        report = readable_report(trial) if known is None else known.report
        ready = _Ready(
            trial,
            report,
            names,
            shown_trial(trial, names, report),
            mark_of(trial, names, report),
            trial.state == TrialState.COMPLETE and is_feasible(trial, names),
        )
        if trial.state.is_finished():
            self._ready[trial._trial_id] = ready
        return ready
