"""Stored trials -> what the search knows: the one door between the storage and the sampler.

Everything the sampler decides by is read here, from the storage, at each ask. Finished trials are
taken in the order in which they finished, (datetime_complete, number), and folded into the state
of the search; `records` says what each teaches. A RUNNING trial is a pending point and a worker to
count, and presumed feasible where it has outlived the early stop (`survivors`); a WAITING trial is
nothing.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any
from weakref import WeakKeyDictionary

from optuna.distributions import BaseDistribution
from optuna.storages import BaseStorage
from optuna.study import Study, StudyDirection
from optuna.trial import FrozenTrial, TrialState

from optuna_snn.history.attributes import POINT_KEY, latest_with_hyper, read_hyper, read_tag
from optuna_snn.history.finished import (
    ConditionalSpace,
    FinishedTrials,
    Numbered,
    intersection,
)
from optuna_snn.history.rows import Rows
from optuna_snn.history.survivors import survivors
from optuna_snn.scbo.fold import State
from optuna_snn.scbo.trust_region import Settings

TAUGHT = (TrialState.COMPLETE, TrialState.PRUNED)
"""States of the trials that teach a search space."""


@dataclass(frozen=True)
class Snapshot:
    """The study as one ask sees it."""

    rows: Rows = field(compare=False)
    """Finished trials: points of the asked search space, constraints in the order of names."""
    state: State
    n_running: int
    """Running trials, the asking one included."""
    n_started: int
    """Trials of this epoch that count towards the initial design, running ones included."""
    n_informative: int
    """COMPLETE and PRUNED trials of this epoch."""
    pending: Sequence[Mapping[str, Any]]
    """Points of the other running trials, as far as they are known."""
    survivors: Mapping[int, Mapping[str, Any]]
    """Number -> point of those running trials of this epoch that are presumed feasible."""
    hyper: Mapping[str, Any] | None
    """The latest stored hyperparameters."""


class History:
    """Reads studies; remembers what was parsed. Not thread-safe: its owner locks.

    settings: of the trust region that the trials are folded into.
    """

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._caches: WeakKeyDictionary[BaseStorage, dict[int, FinishedTrials]] = (
            WeakKeyDictionary()
        )

    def search_space(self, study: Study, trial: FrozenTrial) -> dict[str, BaseDistribution]:
        """Parameters that every finished trial (COMPLETE or PRUNED) has, alike; sorted by name.

        While none has finished, those that every other started trial has so far.
        """
        trials = read_trials(study)
        space = self._finished(study, Numbered(trials)).space
        if space is None:
            started = (t for t in trials if t.params and t.number != trial.number)
            for other in started:
                space = intersection(space, other.distributions)
        return dict(sorted((space or {}).items()))

    def conditional_space(self, study: Study) -> ConditionalSpace:
        """Parameters that some finished trials (COMPLETE or PRUNED) have, and some lack.

        Of those that trials have with several distributions, the most frequent one. As of the last
        read, if there was one.
        """
        finished = self._caches.get(study._storage, {}).get(study._study_id)
        if finished is None:
            finished = self._finished(study, Numbered(read_trials(study)))
        return finished.conditional_space()

    def branch_space(
        self, study: Study, name: str, distribution: BaseDistribution
    ) -> dict[str, BaseDistribution]:
        """Parameters that every finished trial with this one has, alike; sorted by name.

        Of the COMPLETE and PRUNED trials that have the parameter with this distribution; empty
        where there is none.
        """
        space: dict[str, BaseDistribution] | None = None
        for trial in read_trials(study):
            if trial.state in TAUGHT and trial.distributions.get(name) == distribution:
                space = intersection(space, trial.distributions)
        return dict(sorted((space or {}).items()))

    def leaves_out(
        self, study: Study, name: str, distribution: BaseDistribution, n_least: int = 0
    ) -> bool:
        """Whether the space that the finished trials share is known, and lacks this parameter.

        n_least: finished trials that have one of this name, whatever its distribution.
        """
        finished = self._finished(study, Numbered(read_trials(study)))
        is_shared = finished.space is None or finished.space.get(name) == distribution
        return not is_shared and finished.n_with(name) >= n_least

    def read(
        self,
        study: Study,
        trial: FrozenTrial,
        distributions: Mapping[str, BaseDistribution],
        conditional: frozenset[str] = frozenset(),
    ) -> Snapshot:
        """The state of the search for the asking `trial`, with rows of the space asked for.

        conditional: parameters of it that a trial may lack.
        """
        trials = Numbered(read_trials(study))
        finished = self._finished(study, trials)
        state = finished.state
        epoch = state.region.epoch
        rows = finished.rows(trials, distributions, conditional)
        n_informative = int((rows.epoch >= epoch).sum())
        unfinished = [t for k in finished.unfinished if (t := trials.get(k)) is not None]
        running = [t for t in unfinished if t.state == TrialState.RUNNING]
        others = {t.number: t for t in running if t.number != trial.number}
        here = [number for number, t in others.items() if _is_of_epoch(t, epoch)]
        n_running = len(others) + 1
        past = [] if finished.with_hyper is None else [finished.with_hyper]
        with_hyper = latest_with_hyper([*past, *running])
        surviving = survivors(finished.table.stopped, here, n_running)
        return Snapshot(
            rows=rows,
            state=state,
            n_running=n_running,
            n_started=n_informative + sum(number < trial.number for number in here),
            n_informative=n_informative,
            pending=[_point_of(t) for t in others.values()],
            survivors={number: _point_of(others[number]) for number in surviving},
            hyper=None if with_hyper is None else read_hyper(with_hyper),
        )

    def read_state(self, study: Study) -> State:
        """The state of the search alone."""
        return self._finished(study, Numbered(read_trials(study))).state

    def _finished(self, study: Study, trials: Numbered) -> FinishedTrials:
        """What is known of the study's finished trials, up to now.

        An interrupted read leaves nothing behind, rather than half of it.
        """
        caches = self._caches.setdefault(study._storage, {})
        finished = caches.pop(study._study_id, None)
        if finished is None or not finished.are_in(trials):
            sign = 1.0 if study.directions[0] == StudyDirection.MAXIMIZE else -1.0
            finished = FinishedTrials(self._settings, sign)
        finished.read_on(trials)
        caches[study._study_id] = finished
        return finished


def read_trials(study: Study) -> list[FrozenTrial]:
    """All trials of the study by number, whatever the bracket, not copied. Do not modify them."""
    return study._get_trials(deepcopy=False, use_cache=False)


def read_state(study: Study, settings: Settings | None = None) -> State:
    """The state of the search, folded afresh from the stored trials."""
    return History(settings or Settings()).read_state(study)


def _is_of_epoch(trial: FrozenTrial, epoch: int) -> bool:
    tag = read_tag(trial)
    return (0 if tag is None else tag.tag.epoch) >= epoch


def _point_of(trial: FrozenTrial) -> dict[str, Any]:
    """What is known of a running trial's parameters: shared at its ask, or used since."""
    shared: dict[str, Any] = json.loads(trial.system_attrs.get(POINT_KEY, "{}"))
    return shared | trial.params
