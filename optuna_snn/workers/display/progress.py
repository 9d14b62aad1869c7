"""What a study has come to: counts, the best trials, the samples that early stopping saved.

Every trial falls into one kind:

    complete   COMPLETE
    silent     PRUNED with a violated constraint "silent/<layer>": stopped by its spikes
    saturated  PRUNED with a violated constraint "saturated/<layer>", and none of silence
    pruned     PRUNED for another reason
    failed     FAIL, those included that were queued again
    running    RUNNING
    waiting    WAITING: enqueued by the user or queued again after a failure
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from optuna.trial import FrozenTrial, TrialState

from optuna_snn.stored_spikes import CONSTRAINT_PREFIX, SATURATION_PREFIX, spike_report
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
        self._samples: dict[int, tuple[int, int]] = {}

    def read(self, trials: Sequence[FrozenTrial]) -> Progress:
        """The progress of a study with these trials."""
        finished = [trial for trial in trials if trial.state.is_finished()]
        for trial in finished:
            if trial.number not in self._samples:
                self._samples[trial.number] = _samples_saved_and_planned(trial)
        names = constraint_names(trials)
        best = best_trials(trials, self._direction, 1)
        return Progress(
            n_by_kind=Counter(kind_of(trial) for trial in trials),
            n_infeasible=sum(
                trial.state == TrialState.COMPLETE and not is_feasible(trial, names)
                for trial in trials
            ),
            best=best[0] if best else None,
            samples_saved=sum(self._samples[trial.number][0] for trial in finished),
            samples_planned=sum(self._samples[trial.number][1] for trial in finished),
            finished=tuple(sorted(finished, key=_finishing_order)),
            running=tuple(trial for trial in trials if trial.state == TrialState.RUNNING),
        )


def kind_of(trial: FrozenTrial) -> str:
    """The kind of a trial; see the table at the head of this file."""
    match trial.state:
        case TrialState.PRUNED:
            if silent_layers(trial):
                return "silent"
            return "saturated" if saturated_layers(trial) else "pruned"
        case TrialState.FAIL:
            return "failed"
        case _:
            return trial.state.name.lower()


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


def _samples_saved_and_planned(trial: FrozenTrial) -> tuple[int, int]:
    """Samples of a COMPLETE or PRUNED trial; (0, 0) where no monitor, or a foreign one, wrote."""
    if trial.state not in COUNTED_STATES:
        return 0, 0
    try:
        report = spike_report(trial)
    except ValueError:
        return 0, 0
    if report is None or report.samples_saved is None:
        return 0, 0
    saved = report.samples_saved if trial.state == TrialState.PRUNED else 0
    return saved, report.planned_samples or 0
