"""Random studies of all kinds, as users, crashes and changed study files leave them.

A seed gives the same study in every process.
"""

from __future__ import annotations

import itertools
import json
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cache
from typing import Any

import numpy as np
import optuna
from optuna.distributions import BaseDistribution, check_distribution_compatibility
from optuna.study import StudyDirection
from optuna.trial import FrozenTrial, TrialState, create_trial

from benchmarks.history_kinds import MANY_CONSTRAINTS, kinds_of, shared_space
from benchmarks.random_spaces import (
    Space,
    another_version,
    params_in,
    random_space,
    tiny_space,
    values_of,
)
from optuna_snn import SCBOSampler
from optuna_snn.constraint_errors import CONSTRAINT_SD_KEY
from optuna_snn.history import TAG_KEY, SamplerTag, write_tag
from optuna_snn.scbo.fold import Tag
from optuna_snn.scbo.space import Array

START = datetime(2026, 1, 1)
DIRECTIONS = (StudyDirection.MINIMIZE, StudyDirection.MAXIMIZE)
STATES = [TrialState.COMPLETE] * 4 + [TrialState.PRUNED] * 2 + [TrialState.FAIL]
MOST_WITH_MANY_CONSTRAINTS = 12
"""Finished trials up to which a study may have MANY_CONSTRAINTS; with more an ask takes long."""
FOREIGN_TAG = json.dumps({"epoch": 0, "of_another_version": True})


@dataclass(frozen=True)
class RandomHistory:
    """A study with its sampler, and what is to be asked of it."""

    study: optuna.Study
    spaces: tuple[Space, Space]
    """The parameters that the first and the second ask want suggested."""
    kinds: Mapping[str, bool]
    """Kind -> whether the study is of that kind."""


def random_history(seed: int) -> RandomHistory:
    """A study of 0 to 40 finished trials, some running or waiting ones, and two asks to make."""
    rng = np.random.default_rng(seed)
    study = optuna.create_study(
        direction=DIRECTIONS[rng.integers(2)], sampler=_random_sampler(rng)
    )
    space, points, n = _space_and_points(rng)
    for trial in [*_finished(rng, space, points, n), *_running(rng, space, points)]:
        study.add_trial(trial)
    space = _askable(space, study.get_trials(deepcopy=False))
    if rng.random() < 0.15:
        study.add_trial(_waiting(rng, space))
    # The first ask may want fewer parameters, as the branch of an objective does.
    first = _some_of(rng, space, 0.5) if rng.random() < 0.2 else space
    return RandomHistory(study, (first, space), kinds_of(study, space))


def random_numbers(rng: np.random.Generator, n: int) -> Array:
    """Ordinary, constant, huge, tiny, infinite or nearly equal numbers."""
    plain = rng.standard_normal(n)
    kind = rng.integers(7)
    if kind == 0:
        return plain.round()
    if kind == 1:
        return np.full(n, plain.sum())
    if kind == 2:
        with np.errstate(over="ignore"):
            return plain * 10.0 ** rng.uniform(-320, 308, n)
    if kind == 3:
        return plain.clip(-1.7, 1.7) * 1e308
    if kind == 4:
        return np.where(rng.random(n) < 0.3, np.copysign(np.inf, plain), plain)
    return 1e15 + plain if kind == 5 else plain


def _random_sampler(rng: np.random.Generator) -> SCBOSampler:
    return SCBOSampler(
        seed=int(rng.integers(99)),
        n_startup_trials=[1, 5, None][rng.integers(3)],
        failure_tolerance=[1, 4, None][rng.integers(3)],
        length_min=float(rng.choice([2.0**-7, 0.5])),  # 0.5: the first halving is a restart
        warn_independent_sampling=False,
    )


def _space_and_points(rng: np.random.Generator) -> tuple[Space, list[dict[str, Any]], int]:
    """A search space, points of it to be tried in turn, and the number of finished trials."""
    n = int(rng.choice([0, 1, 2, 6, 12, 20, 40], p=[0.1, 0.12, 0.13, 0.3, 0.2, 0.1, 0.05]))
    if rng.random() < 0.12:
        space = tiny_space(rng)
        every = itertools.product(*(values_of(d) for d in space.values()))
        points = [dict(zip(space, values, strict=True)) for values in every]
        return space, points, max(n, len(points)) if rng.random() < 0.7 else n
    space = random_space(rng)
    n_different = int(rng.choice([1, 3, max(n, 1)]))
    return space, [params_in(rng, space) for _ in range(n_different)], n


def _finished(
    rng: np.random.Generator, space: Space, points: Sequence[Mapping[str, Any]], n: int
) -> list[FrozenTrial]:
    """Trials with odd numbers that ended in all ways, in another order than they began."""
    constraints = _random_constraints(rng, n)
    values = random_numbers(rng, n)
    has_errors = rng.random() < 0.3
    states = STATES if rng.random() < 0.7 else [STATES[rng.integers(len(STATES))]]
    trials = []
    for i, (params, distributions) in enumerate(_tried(rng, space, points, n)):
        state = states[rng.integers(len(states))]
        # A pruned trial has the last value that it reported, if it reported any.
        share_valued = {TrialState.COMPLETE: 1.0, TrialState.PRUNED: 0.5}.get(state, 0.0)
        trial = create_trial(
            state=state,
            value=float(values[i]) if rng.random() < share_valued else None,
            params=params,
            distributions=distributions,
            system_attrs=_random_attributes(rng, len(space)),
            user_attrs=_random_errors(rng, constraints[i]) if has_errors else {},
            constraints=constraints[i],
        )
        trial.datetime_start = START
        trial.datetime_complete = START + timedelta(seconds=float(rng.integers(100)))
        trials.append(trial)
    return trials


def _random_constraints(rng: np.random.Generator, n: int) -> list[dict[str, float]]:
    """The constraints of n trials, by name; in some studies half of them are missing."""
    kinds = [0, 1, 3] if n > MOST_WITH_MANY_CONSTRAINTS else [0, 1, 3, MANY_CONSTRAINTS]
    shares = np.array([0.3, 0.46, 0.2, 0.06])[: len(kinds)]
    columns = [random_numbers(rng, n) for _ in range(rng.choice(kinds, p=shares / shares.sum()))]
    share_missing = rng.choice([0.0, 0.0, 0.5])
    return [
        {
            f"c{j}": float(column[i])
            for j, column in enumerate(columns)
            if not math.isnan(column[i]) and rng.random() >= share_missing
        }
        for i in range(n)
    ]


def _random_errors(rng: np.random.Generator, constraints: Mapping[str, float]) -> dict[str, Any]:
    """The attribute with errors of some constraints of a trial: of their size, and of others."""
    sds = {
        name: abs(c) * float(rng.choice([0.0, 0.1, 1e3])) if rng.random() < 0.8 else 1e300
        for name, c in constraints.items()
        if rng.random() < 0.7
    }
    return {CONSTRAINT_SD_KEY: sds if rng.random() < 0.9 else "not a mapping"}


def _tried(
    rng: np.random.Generator, space: Space, points: Sequence[Mapping[str, Any]], n: int
) -> Iterator[tuple[dict[str, Any], Space]]:
    """Parameters and distributions of n trials.

    In some studies trials lack parameters (conditional ones); in some the study file was changed
    on the way, so that trials have other bounds, scales or kinds of the same parameter.
    """
    share_changed = rng.choice([0.0, 0.0, 0.2, 0.6, 1.0])
    share_absent = rng.choice([0.0, 0.0, 0.3, 0.9])
    changing, conditional = _some_of(rng, space, 0.4), _some_of(rng, space, 0.5)
    versions = [{name: another_version(rng, d) for name, d in changing.items()} for _ in range(2)]
    for i in range(n):
        is_changed = rng.random() < share_changed
        changed = versions[rng.integers(len(versions))] if is_changed else {}
        distributions = space | changed
        params = dict(points[i % len(points)]) | params_in(rng, changed)
        absent = {name for name in conditional if rng.random() < share_absent}
        yield (
            {name: params[name] for name in space if name not in absent},
            {name: distributions[name] for name in space if name not in absent},
        )


def _running(
    rng: np.random.Generator, space: Space, points: Sequence[Mapping[str, Any]]
) -> list[FrozenTrial]:
    """Other workers' trials, which may have been asked for some of their parameters only."""
    trials = []
    for _ in range(int(rng.choice([0, 0, 1, 5]))):
        own = _some_of(rng, space, 0.8)
        point = points[int(rng.integers(len(points)))]
        trials.append(
            create_trial(
                state=TrialState.RUNNING,
                params={name: point[name] for name in own},
                distributions=own,
                system_attrs=_random_attributes(rng, len(space)),
            )
        )
    return trials


def _waiting(rng: np.random.Generator, space: Space) -> FrozenTrial:
    """An enqueued trial, of which some parameters are given, or the retry of a dead one."""
    own = _some_of(rng, space, 0.6)
    given = params_in(rng, own)
    if rng.random() < 0.5:
        return create_trial(state=TrialState.WAITING, system_attrs={"fixed_params": given})
    return create_trial(state=TrialState.WAITING, params=given, distributions=own)


def _some_of(rng: np.random.Generator, space: Space, share: float) -> Space:
    return {name: d for name, d in space.items() if rng.random() < share}


def _askable(space: Space, trials: Sequence[FrozenTrial]) -> Space:
    """The space as Optuna allows it to be asked for after these trials.

    Optuna refuses a parameter whose kind, scale or choices differ from those in the sampler's
    space. Where all trials agree on such a one, what they agree on is asked for.
    """
    teaching = [t for t in trials if t.state in (TrialState.COMPLETE, TrialState.PRUNED)]
    shared = shared_space(teaching or [t for t in trials if t.params])
    return {name: _compatible(d, shared.get(name)) for name, d in space.items()}


def _compatible(wanted: BaseDistribution, shared: BaseDistribution | None) -> BaseDistribution:
    if shared is None:
        return wanted
    try:
        check_distribution_compatibility(shared, wanted)
    except ValueError:
        return shared
    return wanted


def _random_attributes(rng: np.random.Generator, n_dims: int) -> dict[str, Any]:
    """Tags of this region, of others, of another version of the package, and none."""
    kind = rng.random()
    if kind < 0.3:
        return {}
    if kind < 0.35:
        return {TAG_KEY: FOREIGN_TAG}
    tag = Tag(
        epoch=int(rng.choice([0, 0, 0, 1])),
        generation=int(rng.integers(3)),
        length=float(rng.choice([0.8, 0.4])),
        n_running=int(rng.choice([1, 4])),
        n_dims=n_dims,
        is_initial=bool(rng.random() < 0.2),
    )
    return {TAG_KEY: _tag_text(tag)}


@cache
def _tag_text(tag: Tag) -> str:
    """The text that the sampler stores for a tag, by the code that stores it."""
    study = optuna.create_study()
    study.ask()
    write_tag(study, study.get_trials()[0], SamplerTag(tag, None, None, 0.0))
    return str(study.get_trials()[0].system_attrs[TAG_KEY])
