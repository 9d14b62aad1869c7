"""The finished trials of one study, each read once and folded into the state of the search.

All of it follows from the stored trials: it saves time and decides nothing. What finished before
the last look is not looked at again, so that the time of a look hardly grows with the study.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

from optuna.distributions import BaseDistribution
from optuna.trial import FrozenTrial, TrialState

from optuna_snn.history.attributes import latest_with_hyper
from optuna_snn.history.records import Record, finished_us, parse
from optuna_snn.history.rows import Rows, empty_table
from optuna_snn.scbo.fold import State, advance, initial_state
from optuna_snn.scbo.trust_region import Settings

ROWS_PER_STATE = 100
"""The fold's state is kept at each of so many rows: where a late trial is folded in from."""


class Numbered:
    """Trials by their number.

    One may be missing for a moment: a thread of this process has begun its trial after another
    process did, and is seen before.

    trials: in the order of their numbers, as storages give them.
    """

    def __init__(self, trials: Sequence[FrozenTrial]) -> None:
        self.end = trials[-1].number + 1 if trials else 0
        """One more than the largest number."""
        self._trials = trials
        is_complete = self.end == len(trials)
        self._found = None if is_complete else {t.number: t for t in trials}

    def get(self, number: int) -> FrozenTrial | None:
        """The trial of this number, None where it is missing."""
        if self._found is not None:
            return self._found.get(number)
        return self._trials[number] if number < self.end else None

    def __getitem__(self, number: int) -> FrozenTrial:
        return self._trials[number] if self._found is None else self._found[number]

    def has_all(self, numbers: Iterable[int]) -> bool:
        """Whether none of these, all below `end`, is missing."""
        return self._found is None or all(number in self._found for number in numbers)


class FinishedTrials:
    """What is known of one study's finished trials. `read_on` takes in those that are new.

    settings: of the trust region that the trials are folded into.
    sign: +1 if the study maximises, -1 if it minimises.
    """

    def __init__(self, settings: Settings, sign: float) -> None:
        self.state = initial_state(settings)
        """After all of them."""
        self.space: dict[str, BaseDistribution] | None = None
        """Parameters that all have alike, but failed ones; None while there is no other."""
        self.table = empty_table()
        self.unfinished: list[int] = []
        """Numbers of all other trials, those that were missing included."""
        self.with_hyper: FrozenTrial | None = None
        """The last by number that has hyperparameters stored beside it."""
        self._settings, self._sign = settings, sign
        self._end = 0
        self.are_alike = True
        """Whether those that are not failed all have the same parameters."""
        self._counts: dict[str, _Counted] = {}
        """How often these have which parameter, but those that are not counted yet."""
        self._uncounted: list[int] = []
        """Numbers of the latter: all of them while they are alike."""
        self._states: list[State] = []
        """Before the first row, and each ROWS_PER_STATE rows later."""

    def are_in(self, trials: Numbered) -> bool:
        """Whether the trials are those that were read, and more.

        They are not where the study was deleted: databases give its number to the next one.
        """
        numbers = self.table.number
        if trials.end < self._end or not trials.has_all(numbers.tolist()):
            return False
        if len(numbers) == 0:
            return True
        return finished_us(trials[int(numbers[-1])]) == int(self.table.finished_us[-1])

    def read_on(self, trials: Numbered) -> None:
        """Parse the trials that finished since the last time, and fold them.

        One that sorts before the end (a late commit, another clock) takes the fold back to before
        it, so that the state never depends on when this process looked.
        """
        fresh, unfinished = [], []
        for number in [*self.unfinished, *range(self._end, trials.end)]:
            trial = trials.get(number)
            if trial is not None and trial.state.is_finished():
                fresh.append(trial)
            else:
                unfinished.append(number)
        self.unfinished, self._end = unfinished, trials.end
        if not fresh:
            return
        earlier = [] if self.with_hyper is None else [self.with_hyper]
        self.with_hyper = latest_with_hyper([*earlier, *fresh])
        for trial in fresh:
            if trial.state != TrialState.FAIL:
                self._teach(trial)
        if not self.are_alike:
            self._count(trials)
        new = sorted((parse(t, self._sign) for t in fresh), key=_order)
        n_before = self.table.n_before(new[0])
        if n_before < len(self.table):
            again = self._take_back(n_before)
            new = sorted([*new, *(parse(trials[k], self._sign) for k in again)], key=_order)
        self._fold(new)

    def _teach(self, trial: FrozenTrial) -> None:
        """Which parameters there are."""
        before = self.space
        self.space = intersection(before, trial.distributions)
        sizes = {
            len(trial.distributions),
            len(self.space),
            len(self.space if before is None else before),
        }
        self.are_alike &= len(sizes) == 1
        self._uncounted.append(trial.number)

    def _take_back(self, n_rows: int) -> list[int]:
        """Go back to at most n_rows. Returns the numbers of the trials that this drops."""
        k = n_rows // ROWS_PER_STATE
        dropped: list[int] = self.table.number[k * ROWS_PER_STATE :].tolist()
        self.table = self.table.first(k * ROWS_PER_STATE)
        self.state = self._states[k]
        del self._states[k:]
        return dropped

    def _fold(self, records: Sequence[Record]) -> None:
        for row, record in enumerate(records, start=len(self.table)):
            if row % ROWS_PER_STATE == 0:
                self._states.append(self.state)
            if record.outcome is not None:
                self.state = advance(self.state, record.outcome, self._settings)
        self.table = self.table.with_records(records)

    def _count(self, trials: Numbered) -> None:
        """Count parameters by distribution, once they differ from trial to trial."""
        for number in self._uncounted:
            for name, distribution in trials[number].distributions.items():
                self._counts.setdefault(name, _Counted()).add(distribution, number)
        self._uncounted = []

    def n_with(self, name: str) -> int:
        """How many have this parameter, if they are not all alike."""
        return self._counts[name].n_trials if name in self._counts else 0

    def conditional_space(self) -> ConditionalSpace:
        """Parameters that some have and some lack, each with its most frequent distribution."""
        if self.are_alike:
            return ConditionalSpace({}, True)
        shared = self.space or {}
        counts = {n: c for n, c in sorted(self._counts.items()) if n not in shared}
        space = {n: d for n, c in counts.items() if (d := c.most_frequent()) is not None}
        return ConditionalSpace(space, all(c.is_one for c in counts.values()))

    def rows(
        self,
        trials: Numbered,
        distributions: Mapping[str, BaseDistribution],
        conditional: frozenset[str] = frozenset(),
    ) -> Rows:
        """Points of this search space, and the constraints that the state knows, by name.

        They are kept for the next time where all trials have these parameters, but conditional
        ones: those of branches alternate.
        """
        table = self.table.with_points(distributions, lambda k: trials[k].params, conditional)
        needed = {name: d for name, d in distributions.items() if name not in conditional}
        if needed.items() <= (self.space or {}).items():
            self.table = table
        return table.rows(sorted(self.state.known_constraints))


class ConditionalSpace(NamedTuple):
    """Parameters that only some trials have."""

    space: dict[str, BaseDistribution]
    is_all: bool
    """Whether no trial has others, or these with another distribution."""


class _Counted:
    """How often a parameter was seen, by its distribution. In whatever order it was."""

    def __init__(self) -> None:
        self._found: dict[str, tuple[int, int, BaseDistribution]] = {}
        """Text -> how often, the least number of a trial, and the distribution."""

    @property
    def is_one(self) -> bool:
        """Whether there is one distribution."""
        return len(self._found) == 1

    @property
    def n_trials(self) -> int:
        """How often it was seen."""
        return sum(n for n, _, _ in self._found.values())

    def add(self, distribution: BaseDistribution, number: int) -> None:
        """Count that of the trial of this number."""
        key = repr(distribution)
        n, first, _ = self._found.get(key, (0, number, distribution))
        self._found[key] = n + 1, min(first, number), distribution

    def most_frequent(self) -> BaseDistribution | None:
        """Of several the first; none where there are several, each seen once."""
        n, _, distribution = max(self._found.values(), key=lambda found: (found[0], -found[1]))
        return None if n == 1 and not self.is_one else distribution


def intersection(
    space: dict[str, BaseDistribution] | None, other: Mapping[str, BaseDistribution]
) -> dict[str, BaseDistribution]:
    """The parameters of both that are alike; None has all."""
    if space is None:
        return dict(other)
    return {name: d for name, d in space.items() if other.get(name) == d}


def _order(record: Record) -> tuple[int, int]:
    return record.finished_us, record.number
