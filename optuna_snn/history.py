"""Stored trials -> what the search knows: the one door between the storage and the sampler.

Everything the sampler decides by is read here, from the storage, at each ask. Finished trials are
taken in the order in which they finished, (datetime_complete, number), and folded into the state
of the search; what a trial teaches depends on how it ended:

    COMPLETE                  its value, every constraint by name, the trust region
    PRUNED, some c > 0        its constraints and the trust region, as an infeasible result
    PRUNED, else              its value at the largest step, its constraints; not the region
    FAIL                      a point to keep away from, nothing else
    RUNNING                   a pending point, a worker to count
    WAITING                   nothing

The sign of a maximised objective is settled here: `scbo` always maximises.

Only this file uses private names of Optuna's studies and trials (``study._get_trials``, since the
public one shows a single bracket under HyperbandPruner; ``study._storage``; ``trial._trial_id``).
"""

from __future__ import annotations

import bisect
import hashlib
import json
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from datetime import datetime
from typing import Any, NamedTuple
from weakref import WeakKeyDictionary

import numpy as np
import numpy.typing as npt
from optuna.distributions import (
    BaseDistribution,
    CategoricalDistribution,
    FloatDistribution,
    IntDistribution,
)
from optuna.storages import BaseStorage
from optuna.study import Study, StudyDirection
from optuna.trial import FrozenTrial, TrialState

from optuna_snn.scbo.fold import Outcome, State, Tag, fold, initial_state
from optuna_snn.scbo.space import Array, Categorical, Numeric, SearchSpace
from optuna_snn.scbo.trust_region import Settings

TAG_KEY = "optuna_snn:tag"
POINT_KEY = "optuna_snn:point"
HYPER_KEY = "optuna_snn:hyper"
CONSTRAINT_PREFIX = "constraints:"
"""Optuna's own prefix of the attributes behind ``trial.constraints``."""
MAX_HYPER_LENGTH = 16_000
"""Characters of the stored hyperparameters beyond which they are not stored."""


class SamplerTag(NamedTuple):
    """What the sampler wrote beside a trial when it chose its point."""

    tag: Tag
    center: int | None
    """Number of the trial at the centre of the box."""
    predicted_feasible: float | None
    """Posterior probability that all constraints hold, where there was a model."""
    ask_seconds: float


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
    hyper: Mapping[str, Any] | None
    """The latest stored hyperparameters."""


@dataclass
class _StudyCache:
    """What was read of one study before. It saves time and decides nothing."""

    records: list[Record] = field(default_factory=list)
    trial_ids: set[int] = field(default_factory=set)
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
        n_running_here = sum(t.number < trial.number and _is_of_epoch(t, epoch) for t in running)
        return Snapshot(
            records=tuple(cache.records),
            state=state,
            n_running=len(running) + (trial.number not in {t.number for t in running}),
            n_started=n_informative + n_running_here,
            n_informative=n_informative,
            pending=[_point_of(t) for t in running if t.number != trial.number],
            hyper=_latest_hyper(trials),
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
            cache.state = fold(_outcomes(cache.records), self._settings)
        else:
            cache.records.extend(new)
            cache.state = fold(_outcomes(new), self._settings, cache.state)
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


def read_tag(trial: FrozenTrial) -> SamplerTag | None:
    """What the sampler wrote beside a trial; None for enqueued, added and foreign trials."""
    stored = trial.system_attrs.get(TAG_KEY)
    if stored is None:
        return None
    fields = json.loads(stored)
    extra = {name: fields.pop(name) for name in ("center", "predicted_feasible", "ask_seconds")}
    return SamplerTag(Tag(**fields), **extra)


def write_tag(study: Study, trial: FrozenTrial, tag: SamplerTag) -> None:
    """Store beside a running trial what was known when its point was chosen."""
    extra = {
        "center": tag.center,
        "predicted_feasible": tag.predicted_feasible,
        "ask_seconds": round(tag.ask_seconds, 4),
    }
    _write(study, trial, TAG_KEY, asdict(tag.tag) | extra)


def write_point(study: Study, trial: FrozenTrial, params: Mapping[str, Any]) -> None:
    """Share a point of a discrete space with the other workers while it runs."""
    shared = {
        name: value
        for name, value in params.items()
        if value is None or isinstance(value, int | float | str)
    }
    _write(study, trial, POINT_KEY, shared)


def write_hyper(
    study: Study, trial: FrozenTrial, signature: str, n_trials: int, theta: Array
) -> None:
    """Store fitted hyperparameters for the next ask, in whatever process it happens."""
    rows = np.round(theta, 4).tolist()
    value = {"signature": signature, "n_trials": n_trials, "theta": rows}
    if len(json.dumps(value)) <= MAX_HYPER_LENGTH:
        _write(study, trial, HYPER_KEY, value)


def write_constraints(study: Study, trial: FrozenTrial, values: Sequence[float]) -> None:
    """Store constraints by their position, as ``trial.set_constraint`` would store named ones."""
    for i, value in enumerate(values):
        key = f"{CONSTRAINT_PREFIX}{i}"
        study._storage.set_trial_system_attr(trial._trial_id, key, value)


def _write(study: Study, trial: FrozenTrial, key: str, value: Mapping[str, Any]) -> None:
    study._storage.set_trial_system_attr(trial._trial_id, key, json.dumps(value))


def _latest_hyper(trials: Sequence[FrozenTrial]) -> Mapping[str, Any] | None:
    for trial in reversed(trials):
        stored = trial.system_attrs.get(HYPER_KEY)
        if stored is not None:
            found: Mapping[str, Any] = json.loads(stored)
            return found
    return None


def study_digest(study: Study, *parts: object) -> int:
    """A number below 2^31 from the study's name and more: the same in every process."""
    name = study._storage.get_study_name_from_id(study._study_id)
    return digest(name, *parts)


def digest(*parts: object) -> int:
    """A number below 2^31, the same in every process (unlike ``hash``)."""
    joined = "\x1f".join(str(p) for p in parts).encode()
    return int.from_bytes(hashlib.sha256(joined).digest()[:4], "big") >> 1


def has_fixed_params(trial: FrozenTrial) -> bool:
    """Whether the trial was enqueued, with some or all of its parameters given."""
    return bool(trial.system_attrs.get("fixed_params"))


def to_space(distributions: Mapping[str, BaseDistribution]) -> SearchSpace:
    """Optuna's distributions as dimensions of the unit cube, in the order of their names."""
    return SearchSpace(tuple(_to_dimension(d) for _, d in sorted(distributions.items())))


def _to_dimension(distribution: BaseDistribution) -> Numeric | Categorical:
    if isinstance(distribution, CategoricalDistribution):
        return Categorical(len(distribution.choices))
    if isinstance(distribution, IntDistribution):
        return Numeric(
            distribution.low, distribution.high, distribution.log, float(distribution.step)
        )
    if isinstance(distribution, FloatDistribution):
        return Numeric(distribution.low, distribution.high, distribution.log, distribution.step)
    raise ValueError(f"Distributions of type {type(distribution).__name__} are not supported.")


def to_points(
    params: Iterable[Mapping[str, Any]],
    distributions: Mapping[str, BaseDistribution],
    space: SearchSpace,
) -> tuple[Array, npt.NDArray[np.bool_]]:
    """Parameters of trials -> snapped points (n, d), and which of them lie in the space.

    A trial that lacks a parameter or has it outside the present bounds is not in the space; its
    row is NaN.
    """
    names = sorted(distributions)
    rows = [[_internal(p, name, distributions[name]) for name in names] for p in params]
    values = np.array(rows, dtype=float).reshape(len(rows), len(names))
    is_inside = np.isfinite(values).all(axis=1)
    x = np.full(values.shape, np.nan)
    x[is_inside] = space.snap(space.encode(values[is_inside]))
    return x, is_inside


def _internal(params: Mapping[str, Any], name: str, distribution: BaseDistribution) -> float:
    if name not in params:
        return math.nan
    try:
        value = distribution.to_internal_repr(params[name])
    except ValueError:
        return math.nan
    return value if distribution._contains(value) else math.nan


def to_params(
    x: Array, distributions: Mapping[str, BaseDistribution], space: SearchSpace
) -> dict[str, Any]:
    """A point (d,) -> the user's values, as plain Python numbers and choices."""
    values = space.decode(x[None])[0]
    return {
        name: distribution.to_external_repr(float(value))
        for (name, distribution), value in zip(sorted(distributions.items()), values, strict=True)
    }
