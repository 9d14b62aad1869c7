"""A finished trial, parsed: what it teaches, by how it ended.

    COMPLETE            its value, every constraint by name, the trust region
    PRUNED, some c > 0  its constraints and the trust region, as an infeasible result
    PRUNED, else        its value at the largest step, its constraints; not the region
    FAIL                a point to keep away from, nothing else

The sign of a maximised objective is settled here: `scbo` always maximises.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from optuna.trial import FrozenTrial, TrialState

from optuna_snn.constraint_errors import constraint_sds
from optuna_snn.history.attributes import read_tag
from optuna_snn.scbo.fold import Outcome

MICROSECOND = timedelta(microseconds=1)


@dataclass(frozen=True, slots=True)
class Record:
    """A finished trial, parsed."""

    finished_us: int
    """When it finished, in microseconds; 0 where the storage does not say."""
    number: int
    y: float
    """Objective to learn from, larger is better; NaN where the trial has none."""
    outcome: Outcome | None
    """None for a failed trial."""
    constraint_sds: Mapping[str, float] = field(default_factory=dict)
    """Standard deviations of the errors of its constraints, where they are known."""


def parse(trial: FrozenTrial, sign: float) -> Record:
    """A finished trial as the search sees it.

    sign: +1 if the study maximises, -1 if it minimises.
    """
    number, at_us = trial.number, finished_us(trial)
    if trial.state == TrialState.FAIL:
        return Record(at_us, number, math.nan, None)
    constraints = {name: float(c) for name, c in sorted(trial.constraints.items())}
    is_infeasible = any(c > 0.0 for c in constraints.values())
    is_pruned = trial.state == TrialState.PRUNED
    value = sign * (trial.values[0] if trial.values else math.nan)
    sampler_tag = read_tag(trial)
    outcome = Outcome(
        number,
        None if is_pruned else value,
        constraints,
        None if sampler_tag is None else sampler_tag.tag,
    )
    y = math.nan if is_pruned and is_infeasible else value
    return Record(at_us, number, y, outcome, constraint_sds(trial))


def finished_us(trial: FrozenTrial) -> int:
    """When the trial finished, in microseconds since year 1; 0 where the storage does not say."""
    if trial.datetime_complete is None:
        return 0
    return (trial.datetime_complete.replace(tzinfo=None) - datetime.min) // MICROSECOND
