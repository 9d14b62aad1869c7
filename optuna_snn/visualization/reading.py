"""A study as its figures see it: trials of any state, of any sampler, with or without spikes."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

from optuna.study import Study
from optuna.trial import FrozenTrial

from optuna_snn.history import read_trials
from optuna_snn.spikes.report import SpikeReport
from optuna_snn.stored_spikes import spike_report
from optuna_snn.workers.budget import COUNTED_STATES
from optuna_snn.workers.display.progress import best_trials, constraint_names, is_feasible, kind_of

__all__ = ["Reading", "n_of", "read_study"]


@dataclass(frozen=True)
class Reading:
    """The trials of a study at one moment, and what was stored beside them.

    trials:     all of them, by number
    reports:    trial number -> its spike report, of those that have one
    unreadable: numbers of trials whose report is none of this version of the package
    """

    study_name: str
    directions: tuple[str, ...]
    metric_name: str
    trials: Sequence[FrozenTrial]
    reports: Mapping[int, SpikeReport]
    unreadable: Sequence[int]

    @property
    def has_one_objective(self) -> bool:
        """Whether there is a best value at all."""
        return len(self.directions) == 1

    @property
    def is_maximized(self) -> bool:
        """Whether larger values are better, in a study of one objective."""
        return self.directions == ("maximize",)

    @cached_property
    def constraint_names(self) -> frozenset[str]:
        """Names of all constraints of the study."""
        return constraint_names(self.trials)

    @cached_property
    def counted(self) -> list[FrozenTrial]:
        """COMPLETE and PRUNED trials, by number."""
        return [trial for trial in self.trials if trial.state in COUNTED_STATES]

    @cached_property
    def n_by_kind(self) -> Counter[str]:
        """How many trials of each kind there are."""
        return Counter(self._kinds.values())

    def kind(self, trial: FrozenTrial) -> str:
        """The kind of a trial of the study (`workers.display.progress`)."""
        return self._kinds[trial.number]

    @cached_property
    def _kinds(self) -> dict[int, str]:
        return {t.number: kind_of(t, self.reports.get(t.number)) for t in self.trials}

    def value(self, trial: FrozenTrial) -> float | None:
        """The trial's finite value, in a study of one objective; None where there is none."""
        if not self.has_one_objective or trial.values is None:
            return None
        value = trial.values[0]
        return value if math.isfinite(value) else None

    def is_feasible(self, trial: FrozenTrial) -> bool:
        """Whether the trial keeps every constraint of the study; one that it lacks is not kept."""
        return is_feasible(trial, self.constraint_names)

    @cached_property
    def best_first(self) -> list[FrozenTrial]:
        """Feasible COMPLETE trials with a finite value, best first."""
        finite = [trial for trial in self.trials if self.value(trial) is not None]
        direction = "maximize" if self.is_maximized else "minimize"
        # Of all constraints of the study, also where a trial with a name of its own has no value.
        ranked = best_trials(finite, direction, len(finite)) if self.has_one_objective else []
        return [trial for trial in ranked if self.is_feasible(trial)]

    def left_out(self) -> list[str]:
        """What figures of results do not show, in words; none where nothing is left out."""
        kinds = [
            n_of(n, f"{kind} trial")
            for kind in ("failed", "running", "waiting")
            if (n := self.n_by_kind[kind])
        ]
        notes = [f"Without a result: {', '.join(kinds)}."] if kinds else []
        if not self.has_one_objective:
            notes.append(f"The study has {len(self.directions)} objectives: no value is drawn.")
            return notes
        n_infinite = sum(
            trial.values is not None and self.value(trial) is None for trial in self.counted
        )
        if n_infinite:
            notes.append(
                f"Not drawn: {n_of(n_infinite, 'trial')} with a value that is not finite."
            )
        if not self.constraint_names and self.counted:
            notes.append("No trial has constraints: all count as feasible.")
        return notes

    def unreadable_note(self) -> list[str]:
        """That some spike reports cannot be read; nothing where all can."""
        if not self.unreadable:
            return []
        n = n_of(len(self.unreadable), "spike report")
        return [f"Left out: {n} of another version, or damaged."]


def read_study(study: Study) -> Reading:
    """Read a study; nothing is written to it."""
    trials = sorted(read_trials(study), key=lambda trial: trial.number)
    reports: dict[int, SpikeReport] = {}
    unreadable = []
    for trial in trials:
        try:
            report = spike_report(trial)
        except ValueError:
            unreadable.append(trial.number)
            continue
        if report is not None and report.samples_seen:
            reports[trial.number] = report
    return Reading(
        study_name=study.study_name,
        directions=tuple(direction.name.lower() for direction in study.directions),
        metric_name=(study.metric_names or ["value"])[0],
        trials=trials,
        reports=reports,
        unreadable=unreadable,
    )


def n_of(n: int, noun: str) -> str:
    """A number with its noun: "1 trial", "2 trials"."""
    return f"{n:,} {noun}" if n == 1 else f"{n:,} {noun}s"
