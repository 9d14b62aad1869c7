"""A trial as it is shown: marked, with its constraints and its spikes as attributes to read.

Departures from what is stored, all of them in a copy:

1. The system attributes `constraints:<name>` are replaced by the list `constraints`, which was
   Optuna's form before version 5 and is the one that optuna-dashboard reads. Both together would
   count twice.
2. A COMPLETE trial that lacks a constraint of the study has one more entry, which is violated: it
   is not feasible (`workers.display.progress.is_feasible`), as everywhere in this package.
3. Infinite values in that list become the largest finite ones: JSON has no infinity, and a browser
   would refuse the whole answer.
4. The user attributes gain the mark, each constraint, their total violation, and what the spike
   report says in words and numbers. The report itself, some thousand characters a layer, is left
   out. An attribute that the user stored under such a name stays as it is.

Words: the mark of a trial is its kind (`workers.display.progress.kind_of`), but for those whose
constraints say more: a COMPLETE trial is "feasible" or "infeasible" where the study has
constraints, and a PRUNED one "infeasible" that violates another constraint than those on spikes.
"""

from __future__ import annotations

import copy
import sys
from typing import Any

from optuna.trial import FrozenTrial, TrialState

from optuna_snn.history.attributes import CONSTRAINT_PREFIX
from optuna_snn.spikes.report import SpikeReport
from optuna_snn.stored_spikes import SPIKES_KEY
from optuna_snn.workers.display.progress import is_feasible, kind_of

__all__ = ["MARK_KEY", "mark_of", "shown_trial"]

LIST_KEY = "constraints"
"""System attribute that optuna-dashboard reads."""

MARK_KEY = "mark"
VIOLATION_KEY = "violation"
CONSTRAINT_KEY = "constraint/{name}"
SILENT_SHARE_KEY = "spikes/{layer}/silent share"
SATURATED_SHARE_KEY = "spikes/{layer}/saturated share"
SAMPLES_KEY = "spikes/samples"
VERDICT_KEY = "spikes/stopped because"
"""User attributes that are shown and not stored; each is a column of the table of trials."""

LARGEST = sys.float_info.max


def shown_trial(
    trial: FrozenTrial, names: frozenset[str], report: SpikeReport | None
) -> FrozenTrial:
    """Return the trial as it is shown; the stored one is not changed.

    names:  of all constraints that the study knows
    report: the trial's own, by `readable_report`
    """
    shown = copy.copy(trial)
    constraints = trial.constraints
    listed = [_finite(constraints[name]) for name in sorted(constraints)]
    if trial.state == TrialState.COMPLETE and not names <= constraints.keys():
        listed.append(LARGEST)  # departure 2
    shown.system_attrs = {
        key: value
        for key, value in trial.system_attrs.items()
        if not key.startswith(CONSTRAINT_PREFIX) and key != LIST_KEY
    } | {LIST_KEY: listed}
    shown.user_attrs = _attributes(trial, names, report) | {
        key: value
        for key, value in trial.user_attrs.items()
        if key != SPIKES_KEY or report is None
    }
    return shown


def mark_of(trial: FrozenTrial, names: frozenset[str], report: SpikeReport | None = None) -> str:
    """Return the mark of a stored trial; see the head of this file.

    names:  of all constraints that the study knows
    report: the trial's own, where it has been read already
    """
    kind = kind_of(trial, report)
    if kind == "complete" and names:
        return "feasible" if is_feasible(trial, names) else "infeasible"
    if kind == "pruned" and any(value > 0.0 for value in trial.constraints.values()):
        return "infeasible"
    return kind


def _finite(value: float) -> float:
    return max(-LARGEST, min(LARGEST, value))


def _attributes(
    trial: FrozenTrial, names: frozenset[str], report: SpikeReport | None
) -> dict[str, Any]:
    found: dict[str, Any] = {MARK_KEY: mark_of(trial, names, report)} if names else {}
    constraints = trial.constraints
    if constraints:
        found[VIOLATION_KEY] = sum(max(0.0, value) for value in constraints.values())
    for name in sorted(constraints):
        found[CONSTRAINT_KEY.format(name=name)] = constraints[name]
    return found if report is None else found | _spike_attributes(report)


def _spike_attributes(report: SpikeReport) -> dict[str, Any]:
    found: dict[str, Any] = {SAMPLES_KEY: report.samples_seen}
    for name, layer in report.layers.items():
        judged = layer.activity.judged
        if judged.n_samples == 0:
            continue
        found[SILENT_SHARE_KEY.format(layer=name)] = judged.n_silent / judged.n_samples
        if layer.max_spikes is not None:
            share = judged.n_saturated / judged.n_samples
            found[SATURATED_SHARE_KEY.format(layer=name)] = share
    if report.verdict is not None:
        found[VERDICT_KEY] = report.verdict
    return found
