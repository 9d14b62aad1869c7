"""Stored trials -> what the search knows: the one door between the storage and the sampler.

Everything the sampler decides by is read here, from the storage, at each ask. Finished trials are
taken in the order in which they finished, (datetime_complete, number), and folded into the state
of the search; what a trial teaches depends on how it ended:

    COMPLETE                  its value, every constraint by name, the trust region
    PRUNED, some c > 0        its constraints and the trust region, as an infeasible result
    PRUNED, else              its value at the largest step, its constraints; not the region
    FAIL                      a point to keep away from, nothing else
    RUNNING                   a pending point, a worker to count; presumed feasible where it has
                              outlived the early stop (`survivors`)
    WAITING                   nothing

The sign of a maximised objective is settled here: `scbo` always maximises.
"""

from __future__ import annotations

import bisect
import json
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from weakref import WeakKeyDictionary

from optuna.distributions import BaseDistribution
from optuna.storages import BaseStorage
from optuna.study import Study, StudyDirection
from optuna.trial import FrozenTrial, TrialState

from optuna_snn.history.attributes import POINT_KEY, latest_hyper, read_tag
from optuna_snn.history.survivors import survivors
from optuna_snn.scbo.fold import Outcome, State, fold, initial_state
from optuna_snn.scbo.trust_region import Settings


@dataclass(frozen=True, slots=True)
class Record:
    """A finished trial, parsed once."""

    finished: tuple[datetime, int]
    number: int
    params: Mapping[str, Any]
    distributions: Mapping[str, BaseDistribution]
    y: float
    """Objective to learn from, larger is better; NaN where the trial has none."""
    outcome: Outcome | None
    """None for a failed trial."""


@dataclass(frozen=True)
class Snapshot:
    """The study as one ask sees it."""

    records: Sequence[Record]
    """Finished trials, failed ones included, in the order in which they finished."""
    state: State
    n_running: int
    """Running trials, the asking one included."""
    n_started: int
    """Trials of this epoch that count towards the initial design, running ones included."""
    n_informative: int
    """Finished trials of this epoch that taught something."""
    pending: Sequence[Mapping[str, Any]]
    """Points of the other running trials, as far as they are known."""
    survivors: Mapping[int, Mapping[str, Any]]
    """Number -> point of those running trials of this epoch that are presumed feasible."""
    hyper: Mapping[str, Any] | None
    """The latest stored hyperparameters."""


@dataclass
class _StudyCache:
    """What was read of one study before. It saves time and decides nothing."""

    records: list[Record] = field(default_factory=list)
    trial_ids: set[int] = field(default_factory=set)
    stopped: list[int] = field(default_factory=list)
    """Numbers of the trials that were stopped as infeasible, in the order in which they ended."""
    state: State | None = None
    space: dict[str, BaseDistribution] | None = None


class History:
    """Reads studies; remembers what was parsed. Not thread-safe: its owner locks.

    settings: of the trust region that the trials are folded into.
    """

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._caches: WeakKeyDictionary[BaseStorage, dict[int, _StudyCache]] = WeakKeyDictionary()

    def search_space(self, study: Study, trial: FrozenTrial) -> dict[str, BaseDistribution]:
        """Parameters that every finished trial (COMPLETE or PRUNED) has, alike; sorted by name.

        While none has finished, those that every other started trial has so far.
        """
        trials = read_trials(study)
        space = self._refresh(study, trials).space
        if space is None:
            started = (t for t in trials if t.params and t.number != trial.number)
            for other in started:
                space = _intersection(space, other.distributions)
        return dict(sorted((space or {}).items()))

    def has_finished(self, study: Study) -> bool:
        """Whether any trial has taught the search space."""
        return self._refresh(study, read_trials(study)).space is not None

    def read(self, study: Study, trial: FrozenTrial) -> Snapshot:
        """The state of the search for the asking `trial`."""
        trials = read_trials(study)
        cache = self._refresh(study, trials)
        state = cache.state or initial_state(self._settings)
        epoch = state.region.epoch
        running = [t for t in trials if t.state == TrialState.RUNNING]
        n_informative = sum(_epoch_of(r.outcome) >= epoch for r in cache.records if r.outcome)
        others = {t.number: t for t in running if t.number != trial.number}
        here = [number for number, t in others.items() if _is_of_epoch(t, epoch)]
        n_running = len(others) + 1
        surviving = survivors(cache.stopped, here, n_running)
        return Snapshot(
            records=tuple(cache.records),
            state=state,
            n_running=n_running,
            n_started=n_informative + sum(number < trial.number for number in here),
            n_informative=n_informative,
            pending=[_point_of(t) for t in others.values()],
            survivors={number: _point_of(others[number]) for number in surviving},
            hyper=latest_hyper(trials),
        )

    def _refresh(self, study: Study, trials: Sequence[FrozenTrial]) -> _StudyCache:
        """Parse the trials that finished since, and fold them.

        A trial that sorts before the end (a late commit, another clock) makes the fold start anew,
        so that the state never depends on when this process looked.
        """
        caches = self._caches.setdefault(study._storage, {})
        cache = caches.setdefault(study._study_id, _StudyCache())
        sign = 1.0 if study.directions[0] == StudyDirection.MAXIMIZE else -1.0
        finished = [t for t in trials if t.state.is_finished()]
        fresh = [t for t in finished if t._trial_id not in cache.trial_ids]
        if len(fresh) + len(cache.trial_ids) > len(finished):
            # Databases give the number of a deleted study to the next one.
            caches[study._study_id] = cache = _StudyCache()
            fresh = finished
        if not fresh:
            return cache
        new = sorted((parse(t, sign) for t in fresh), key=lambda r: r.finished)
        cache.trial_ids.update(t._trial_id for t in fresh)
        for record in new:
            if record.outcome is not None:
                cache.space = _intersection(cache.space, record.distributions)
        is_late = bool(cache.records) and new[0].finished < cache.records[-1].finished
        if is_late:
            for record in new:
                bisect.insort(cache.records, record, key=lambda r: r.finished)
            cache.state, cache.stopped, new = None, [], cache.records
        else:
            cache.records.extend(new)
        cache.state = fold(_outcomes(new), self._settings, cache.state)
        cache.stopped += [
            o.number for o in _outcomes(new) if o.value is None and not o.is_feasible
        ]
        return cache


def read_trials(study: Study) -> list[FrozenTrial]:
    """All trials of the study, whatever the bracket, not copied. Do not modify them."""
    return study._get_trials(deepcopy=False, use_cache=False)


def read_state(study: Study, settings: Settings | None = None) -> State:
    """The state of the search, folded afresh from the stored trials."""
    history = History(settings or Settings())
    return history._refresh(study, read_trials(study)).state or initial_state(history._settings)


def parse(trial: FrozenTrial, sign: float) -> Record:
    """A finished trial as the search sees it.

    sign: +1 if the study maximises, -1 if it minimises.
    """
    if trial.datetime_complete is None:
        finished = (datetime.min, trial.number)
    else:
        finished = (trial.datetime_complete, trial.number)
    if trial.state == TrialState.FAIL:
        outcome, y = None, math.nan
    else:
        constraints = {name: float(c) for name, c in sorted(trial.constraints.items())}
        is_infeasible = any(c > 0.0 for c in constraints.values())
        is_pruned = trial.state == TrialState.PRUNED
        value = trial.values[0] if trial.values else math.nan
        y = math.nan if is_pruned and is_infeasible else sign * value
        sampler_tag = read_tag(trial)
        outcome = Outcome(
            trial.number,
            None if is_pruned else sign * value,
            constraints,
            None if sampler_tag is None else sampler_tag.tag,
        )
    return Record(finished, trial.number, trial.params, trial.distributions, y, outcome)


def _outcomes(records: Iterable[Record]) -> Iterable[Outcome]:
    return (r.outcome for r in records if r.outcome is not None)


def _epoch_of(outcome: Outcome) -> int:
    """Trials without a tag belong to the first epoch."""
    return 0 if outcome.tag is None else outcome.tag.epoch


def _is_of_epoch(trial: FrozenTrial, epoch: int) -> bool:
    tag = read_tag(trial)
    return (0 if tag is None else tag.tag.epoch) >= epoch


def _point_of(trial: FrozenTrial) -> dict[str, Any]:
    """What is known of a running trial's parameters: shared at its ask, or used since."""
    shared: dict[str, Any] = json.loads(trial.system_attrs.get(POINT_KEY, "{}"))
    return shared | trial.params


def _intersection(
    space: dict[str, BaseDistribution] | None, other: Mapping[str, BaseDistribution]
) -> dict[str, BaseDistribution]:
    if space is None:
        return dict(other)
    return {name: d for name, d in space.items() if other.get(name) == d}
