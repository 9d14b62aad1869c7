"""Finished trials as rows of numbers, written once and kept from ask to ask."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt
from optuna.distributions import BaseDistribution

from optuna_snn.history.parameters import to_points, to_space
from optuna_snn.history.records import Record
from optuna_snn.scbo.fold import Outcome
from optuna_snn.scbo.space import Array

FAILED = -1
"""In place of the epoch of a failed trial."""

RESULT = np.dtype(
    [
        ("finished_us", np.int64),
        ("number", np.int64),
        ("epoch", np.int64),
        ("y", np.float64),
        ("is_complete", np.bool_),
        ("is_stopped", np.bool_),
        ("may_center", np.bool_),
    ]
)


@dataclass(frozen=True)
class Rows:
    """Finished trials, failed ones included, in the order in which they finished."""

    number: npt.NDArray[np.int64]
    """(n,)."""
    epoch: npt.NDArray[np.int64]
    """Epoch of the search that chose the trial (n,); 0 without a tag, FAILED if it failed."""
    x: Array
    """Points of the unit cube (n, d); NaN outside the space, and in what a trial lacks."""
    y: Array
    """Objective to learn from (n,), larger is better; NaN where there is none."""
    c: Array
    """Constraints (n, m); NaN where the trial lacks one."""
    c_sd: Array
    """Standard deviations of their errors (n, m); 0 where none is known."""
    is_complete: npt.NDArray[np.bool_]
    """Which ended with a value (n,)."""
    may_center: npt.NDArray[np.bool_]
    """Which may be the centre of their epoch's box (n,): finite and feasible."""


@dataclass(frozen=True)
class Table:
    """Rows of the trials so far. What is handed out are views: no array is ever written again."""

    results: npt.NDArray[np.void]
    """All but constraints and points (n,), of dtype RESULT."""
    names: tuple[str, ...]
    """Of the columns of c: every constraint that was ever seen."""
    c: Array
    """(n, m)."""
    c_sd: Array
    """(n, m)."""
    distributions: Mapping[str, BaseDistribution]
    """The search space of x."""
    conditional: frozenset[str]
    """Parameters of it that a trial may lack."""
    x: Array
    """Points of the first k rows, those that `with_points` has seen (k, d)."""

    def __len__(self) -> int:
        return len(self.results)

    @property
    def finished_us(self) -> npt.NDArray[np.int64]:
        """When the trials finished, in microseconds (n,)."""
        return np.asarray(self.results["finished_us"])

    @property
    def number(self) -> npt.NDArray[np.int64]:
        """Numbers of the trials (n,)."""
        return np.asarray(self.results["number"])

    @property
    def stopped(self) -> npt.NDArray[np.int64]:
        """Numbers of the trials that were stopped as infeasible, in the order they ended. (k,)."""
        stopped: npt.NDArray[np.int64] = self.number[self.results["is_stopped"]]
        return stopped

    def n_before(self, record: Record) -> int:
        """Rows that finished before the record did."""
        first, last = np.searchsorted(self.finished_us, record.finished_us + np.arange(2))
        return int(first + np.searchsorted(self.number[first:last], record.number))

    def first(self, n: int) -> Table:
        """The first n rows."""
        return replace(
            self, results=self.results[:n], c=self.c[:n], c_sd=self.c_sd[:n], x=self.x[:n]
        )

    def with_records(self, records: Sequence[Record]) -> Table:
        """More rows at the end, and more columns where a constraint is new."""
        outcomes = [r.outcome for r in records]
        found = {name for o in outcomes if o is not None for name in o.constraints}
        names = (*self.names, *sorted(found.difference(self.names)))
        results = np.array([_result(r) for r in records], dtype=RESULT)
        c = np.full((len(self) + len(records), len(names)), math.nan)
        c_sd = np.zeros(c.shape)
        c[: len(self), : len(self.names)] = self.c
        c_sd[: len(self), : len(self.names)] = self.c_sd
        for row, record in enumerate(records, start=len(self)):
            if record.outcome is not None:
                told, sds = record.outcome.constraints, record.constraint_sds
                c[row] = [told.get(name, math.nan) for name in names]
                c_sd[row] = [sds.get(name, 0.0) for name in names]
        results = np.append(self.results, results)
        return replace(self, results=results, names=names, c=c, c_sd=c_sd)

    def with_points(
        self,
        distributions: Mapping[str, BaseDistribution],
        params_of: Callable[[int], Mapping[str, Any]],
        conditional: frozenset[str] = frozenset(),
    ) -> Table:
        """The points of all rows in this search space; only those that are new are made.

        params_of: parameters of the trial of a number. conditional: those that a trial may lack.
        """
        space = to_space(distributions)
        is_same = self.distributions == distributions and self.conditional == conditional
        x = self.x if is_same else np.empty((0, space.n_dims))
        params = [params_of(number) for number in self.number[len(x) :].tolist()]
        new, _ = to_points(params, distributions, space, conditional)
        return replace(
            self,
            distributions=dict(distributions),
            conditional=conditional,
            x=np.concatenate([x, new]),
        )

    def rows(self, names: Sequence[str]) -> Rows:
        """The rows with the constraints of these names, in this order; all have their points."""
        columns = {name: j for j, name in enumerate(self.names)}
        asked = [columns[name] for name in names]
        r = self.results
        return Rows(
            number=r["number"],
            epoch=r["epoch"],
            x=self.x,
            y=r["y"],
            c=self.c[:, asked],
            c_sd=self.c_sd[:, asked],
            is_complete=r["is_complete"],
            may_center=r["may_center"],
        )


def empty_table() -> Table:
    """No row."""
    none = np.empty((0, 0))
    return Table(np.empty(0, dtype=RESULT), (), none, none, {}, frozenset(), none)


def _result(record: Record) -> tuple[int, int, int, float, bool, bool, bool]:
    o = record.outcome
    return (
        record.finished_us,
        record.number,
        FAILED if o is None else _epoch_of(o),
        record.y,
        o is not None and o.value is not None,
        o is not None and o.value is None and not o.is_feasible,
        o is not None and _may_center(o),
    )


def _epoch_of(outcome: Outcome) -> int:
    """Trials without a tag belong to the first epoch."""
    return 0 if outcome.tag is None else outcome.tag.epoch


def _may_center(outcome: Outcome) -> bool:
    has_value = outcome.value is not None and math.isfinite(outcome.value)
    return has_value and outcome.is_feasible
