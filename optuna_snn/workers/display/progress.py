"""What a study has come to: counts, the best trials, the samples that early stopping saved.

Every trial falls into one kind:

    complete   COMPLETE
    silent     PRUNED, and by its spike report the rule stops it as silent
    saturated  PRUNED, and likewise as saturated, and not as silent
    pruned     PRUNED for another reason
    failed     FAIL, those included that were queued again
    running    RUNNING
    waiting    WAITING: enqueued by the user or queued again after a failure

Where no report can be read, a violated constraint "silent/<layer>" or "saturated/<layer>" of a
PRUNED trial says it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from optuna.trial import FrozenTrial, TrialState

from optuna_snn.spikes.report import SpikeReport
from optuna_snn.stored_spikes import CONSTRAINT_PREFIX, SATURATION_PREFIX, readable_report
from optuna_snn.workers.budget import COUNTED_STATES

__all__ = [
    "Progress",
    "ProgressReader",
    "best_trials",
    "constraint_names",
    "is_feasible",
    "kind_of",
    "saturated_layers",
    "silent_layers",
    "stopped_by",
]


@dataclass(frozen=True)
class Progress:
    """A study at one moment, whoever ran its trials."""

    n_by_kind: Counter[str]
    n_infeasible: int
    """COMPLETE trials that violate a constraint or lack one."""
    best: FrozenTrial | None
    """The best feasible COMPLETE trial."""
    samples_saved: int
    """Training samples that stopped networks were spared, where their objective planned them."""
    samples_planned: int
    """Training samples planned by the trials that finished and told their plan."""
    finished: tuple[FrozenTrial, ...]
    """Finished trials in the order in which they finished."""
    running: tuple[FrozenTrial, ...]
    """Running trials by number."""

    @property
    def n_counted(self) -> int:
        """Trials that count against the budget."""
        return sum(self.n_by_kind[kind] for kind in ("complete", "silent", "saturated", "pruned"))


class ProgressReader:
    """Reads trials into a Progress; remembers the parsed reports of finished trials.

    Args:
        direction: "minimize" or "maximize".
    """

    def __init__(self, direction: str) -> None:
        self._direction = direction
        self._known: dict[int, _Finished] = {}

    def read(self, trials: Sequence[FrozenTrial]) -> Progress:
        """The progress of a study with these trials."""
        finished = [trial for trial in trials if trial.state.is_finished()]
        for trial in finished:
            if trial.number not in self._known:
                self._known[trial.number] = _finished(trial)
        known = [self._known[trial.number] for trial in finished]
        kinds = Counter(each.kind for each in known)
        kinds.update(kind_of(trial) for trial in trials if not trial.state.is_finished())
        names = constraint_names(trials)
        best = best_trials(trials, self._direction, 1)
        return Progress(
            n_by_kind=kinds,
            n_infeasible=sum(
                trial.state == TrialState.COMPLETE and not is_feasible(trial, names)
                for trial in trials
            ),
            best=best[0] if best else None,
            samples_saved=sum(each.samples_saved for each in known),
            samples_planned=sum(each.samples_planned for each in known),
            finished=tuple(sorted(finished, key=_finishing_order)),
            running=tuple(trial for trial in trials if trial.state == TrialState.RUNNING),
        )


@dataclass(frozen=True)
class _Finished:
    """What is counted of a finished trial."""

    kind: str
    samples_saved: int = 0
    samples_planned: int = 0


def kind_of(trial: FrozenTrial, report: SpikeReport | None = None) -> str:
    """The kind of a trial; see the table at the head of this file.

    report: its own, where it has been read already
    """
    match trial.state:
        case TrialState.PRUNED:
            layers = stopped_by(trial, report)
            return next((why for why in ("silent", "saturated") if layers[why]), "pruned")
        case TrialState.FAIL:
            return "failed"
        case _:
            return trial.state.name.lower()


def stopped_by(trial: FrozenTrial, report: SpikeReport | None = None) -> dict[str, list[str]]:
    """The layers that made the rule stop a PRUNED trial, as "silent" and as "saturated".

    report: as for `kind_of`
    """
    violating = {"silent": silent_layers(trial), "saturated": saturated_layers(trial)}
    if not any(violating.values()):
        return violating  # who is stopped violates a constraint: no report needs to be read
    report = report or readable_report(trial)
    if report is None:
        return violating
    is_silent, is_saturated = report.is_silent, report.is_saturated
    layers = report.layers.items()
    return {
        "silent": [name for name, layer in layers if is_silent and layer.is_silent],
        "saturated": [name for name, layer in layers if is_saturated and layer.is_saturated],
    }


def silent_layers(trial: FrozenTrial) -> list[str]:
    """Layers whose silence violates its constraint, sorted; "all" for all of them together."""
    return _violating_layers(trial, CONSTRAINT_PREFIX)


def saturated_layers(trial: FrozenTrial) -> list[str]:
    """Layers whose saturation violates its constraint, likewise."""
    return _violating_layers(trial, SATURATION_PREFIX)


def _violating_layers(trial: FrozenTrial, prefix: str) -> list[str]:
    return sorted(
        name.removeprefix(prefix)
        for name, value in trial.constraints.items()
        if name.startswith(prefix) and value > 0.0
    )


def constraint_names(trials: Iterable[FrozenTrial]) -> frozenset[str]:
    """Names of all constraints that COMPLETE and PRUNED trials have."""
    return frozenset(
        name for trial in trials if trial.state in COUNTED_STATES for name in trial.constraints
    )


def is_feasible(trial: FrozenTrial, names: frozenset[str]) -> bool:
    """Whether the trial keeps every constraint of the study; one that it lacks is not kept."""
    constraints = trial.constraints
    return names <= constraints.keys() and all(value <= 0.0 for value in constraints.values())


def best_trials(trials: Sequence[FrozenTrial], direction: str, n: int) -> list[FrozenTrial]:
    """The `n` best feasible COMPLETE trials, best first; of equal ones the earlier number."""
    names = constraint_names(trials)
    sign = -1.0 if direction == "maximize" else 1.0
    feasible = [
        trial
        for trial in trials
        if trial.state == TrialState.COMPLETE and is_feasible(trial, names)
    ]
    return sorted(feasible, key=lambda trial: (sign * _value(trial), trial.number))[:n]


def _value(trial: FrozenTrial) -> float:
    assert trial.value is not None  # a COMPLETE trial of a study with one objective
    return trial.value


def _finishing_order(trial: FrozenTrial) -> tuple[float, int]:
    finished = trial.datetime_complete
    return (0.0 if finished is None else finished.timestamp(), trial.number)


def _finished(trial: FrozenTrial) -> _Finished:
    """No samples of FAIL trials, nor where no monitor, or a foreign one, wrote."""
    report = readable_report(trial) if trial.state in COUNTED_STATES else None
    kind = kind_of(trial, report)
    if report is None or report.samples_saved is None:
        return _Finished(kind)
    saved = report.samples_saved if trial.state == TrialState.PRUNED else 0
    return _Finished(kind, saved, report.planned_samples or 0)
