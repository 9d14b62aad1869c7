"""Parameters in figures: their values, their axes, and which of them tell most.

A marked trial is a pair: the trial, and its mark as of `shown_trials.mark_of`.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution
from optuna.trial import FrozenTrial

from optuna_snn.dashboard.grids import Axis

__all__ = ["Marked", "axis_of", "cell", "rounded", "telling_names"]

LONGEST_TICK = 8
"""Characters of a choice beside an axis."""
FEW_DECADES, N_DECADES = 2.0, 4.0
"""On an axis where there is room for ticks between them, and for which there is room at all."""

Marked = Sequence[tuple[FrozenTrial, str]]


def cell(trial: FrozenTrial, name: str) -> Any:
    """A parameter's value as its axis has it: a number, or the word of a choice."""
    value = trial.params[name]
    return str(value) if _is_categorical(trial, name) else rounded(value)


def rounded(value: float) -> float:
    """As exact as can be seen: an open page is sent the figures every few seconds."""
    return value if isinstance(value, int) else float(f"{value:.5g}")


def _is_categorical(trial: FrozenTrial, name: str) -> bool:
    return isinstance(trial.distributions[name], CategoricalDistribution)


def axis_of(marked: Marked, name: str) -> Axis:
    """The parameter's axis: as its latest distribution says."""
    distribution = next(
        t.distributions[name] for t, _ in reversed(marked) if name in t.distributions
    )
    if isinstance(distribution, CategoricalDistribution):
        words = [str(choice) for choice in distribution.choices]
        return Axis(
            name,
            {
                "type": "category",
                "categoryorder": "array",
                "categoryarray": words,
                "tickvals": words,
                "ticktext": [_short(word) for word in words],
            },
        )
    if isinstance(distribution, FloatDistribution | IntDistribution) and distribution.log:
        return Axis(name, {"type": "log", "dtick": _log_tick(marked, name)})
    return Axis(name)


def _log_tick(marked: Marked, name: str) -> str | int:
    """Plotly's step from tick to tick: 1, 2 and 5 of each decade, or that many decades."""
    values = [trial.params[name] for trial, _ in marked if name in trial.params]
    decades = math.log10(max(values) / min(values))
    return "D2" if decades < FEW_DECADES else math.ceil(decades / N_DECADES)


def _short(word: str) -> str:
    """The word, or its beginning: the next panel is near. Pointing at a mark tells all of it."""
    return word if len(word) <= LONGEST_TICK else f"{word[: LONGEST_TICK - 1]}…"


def telling_names(marked: Marked) -> list[str]:
    """Parameters, those first whose ranks differ most between feasible and violating trials.

    The measure is |U / (m n) - 1/2| of Mann and Whitney's U, in which ties count half. All are
    alike, and by name, while one of the two groups is empty.
    """
    good = [trial for trial, mark in marked if mark == "feasible"]
    bad = [trial for trial, mark in marked if mark in ("infeasible", "silent", "saturated")]
    names = sorted({name for trial, _ in marked for name in trial.params})

    def tells(name: str) -> float:
        a, b = (
            np.array([_number(t, name) for t in group if name in t.params])
            for group in (good, bad)
        )
        if not len(a) or not len(b):
            return 0.0
        b.sort()
        below = np.searchsorted(b, a, side="left") + np.searchsorted(b, a, side="right")
        return abs(float(below.mean()) / (2 * len(b)) - 0.5)

    return sorted(names, key=lambda name: -tells(name))


def _number(trial: FrozenTrial, name: str) -> float:
    return float(trial.distributions[name].to_internal_repr(trial.params[name]))
