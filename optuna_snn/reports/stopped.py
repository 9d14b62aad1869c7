"""What was stopped, and why: layer by layer."""

from __future__ import annotations

from collections import Counter
from statistics import median

from optuna.trial import FrozenTrial, TrialState

from optuna_snn.reports.contents import Column, Table
from optuna_snn.visualization.reading import Reading, n_of
from optuna_snn.workers.display.progress import stopped_by

__all__ = ["stopped_table"]

COLUMNS = (
    Column("layer"),
    Column("why"),
    Column("trials", is_number=True),
    Column("share of such samples", is_number=True),
    Column("stopped after samples", is_number=True),
)


def stopped_table(reading: Reading) -> Table:
    """One row for each layer and reason; shares and samples are medians over its trials.

    A trial that several layers stopped stands in the row of each.
    """
    groups: dict[tuple[str, str], list[FrozenTrial]] = {}
    for trial in reading.trials:
        if trial.state != TrialState.PRUNED:
            continue
        for why, layers in stopped_by(trial, reading.reports.get(trial.number)).items():
            for layer in layers:
                groups.setdefault((layer, why), []).append(trial)
    rows = [
        [
            layer,
            why,
            f"{len(trials)}",
            _share(reading, trials, layer, why),
            _samples(reading, trials),
        ]
        for (layer, why), trials in sorted(
            groups.items(), key=lambda item: (-len(item[1]), item[0])
        )
    ]
    return Table("Stopped, and why", COLUMNS if rows else (), rows, note=_note(reading))


def _share(reading: Reading, trials: list[FrozenTrial], layer: str, why: str) -> str:
    """Median share of silent (saturated) samples among those that were judged."""
    shares = []
    for trial in trials:
        report = reading.reports.get(trial.number)
        found = None if report is None else report.layers.get(layer)
        if found is None or not found.activity.judged.n_samples:
            continue
        judged = found.activity.judged
        n = judged.n_silent if why == "silent" else judged.n_saturated
        shares.append(n / judged.n_samples)
    return f"{median(shares):.0%}" if shares else "-"


def _samples(reading: Reading, trials: list[FrozenTrial]) -> str:
    """Median samples at the stop, and of how many where all trials planned as many."""
    reports = [reading.reports[t.number] for t in trials if t.number in reading.reports]
    if not reports:
        return "-"
    planned = {report.planned_samples for report in reports}
    plan = planned.pop() if len(planned) == 1 else None
    seen = f"{median(report.samples_seen for report in reports):,.0f}"
    return seen if plan is None else f"{seen} of {plan:,}"


def _note(reading: Reading) -> str:
    parts = []
    kinds = reading.n_by_kind
    if not (kinds["silent"] or kinds["saturated"]):
        parts.append("No trial was stopped by its spikes.")
    if kinds["pruned"]:
        parts.append(f"{n_of(kinds['pruned'], 'trial')} pruned for other reasons.")
    violated: Counter[str] = Counter()
    n_infeasible = 0
    for trial in reading.trials:
        if reading.kind(trial) == "complete":
            names = [name for name, c in trial.constraints.items() if c > 0.0]
            violated.update(names)
            n_infeasible += bool(names)
    if n_infeasible:
        which = ", ".join(f"{name} {n}" for name, n in violated.most_common())
        parts.append(f"{n_of(n_infeasible, 'complete trial')} infeasible: {which}.")
    return " ".join(parts)
