"""What a study contains: names of kinds, read from its trials and not from how they were made."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence

import numpy as np
import optuna
from optuna.distributions import BaseDistribution, CategoricalDistribution
from optuna.study import StudyDirection
from optuna.trial import FrozenTrial, TrialState

from benchmarks.random_spaces import Space, values_of
from optuna_snn.constraint_errors import constraint_sds
from optuna_snn.history import TAG_KEY

MANY_CONSTRAINTS = 50
HUGE, TINY = 1e100, 1e-100
"""Sizes beyond which a number counts as huge or tiny."""


def kinds_of(study: optuna.Study, space: Mapping[str, BaseDistribution]) -> dict[str, bool]:
    """Kind -> whether the study is of that kind, for someone who asks for `space`."""
    trials = study.get_trials(deepcopy=False)
    finished = [t for t in trials if t.state.is_finished()]
    return {
        "minimised": study.direction == StudyDirection.MINIMIZE,
        "maximised": study.direction == StudyDirection.MAXIMIZE,
        **_by_trials(trials, finished),
        **_by_numbers(finished),
        **_by_parameters(finished, space),
        **_by_versions(finished, space),
    }


def _by_trials(trials: Sequence[FrozenTrial], finished: Sequence[FrozenTrial]) -> dict[str, bool]:
    states = {t.state for t in finished}
    return {
        "no trial": not finished,
        "one trial": len(finished) == 1,
        "all pruned": states == {TrialState.PRUNED},
        "all failed": states == {TrialState.FAIL},
        "running trials": any(t.state == TrialState.RUNNING for t in trials),
        "waiting trials": any(t.state == TrialState.WAITING for t in trials),
        "trials without a tag": any(TAG_KEY not in t.system_attrs for t in finished),
    }


def _by_numbers(finished: Sequence[FrozenTrial]) -> dict[str, bool]:
    values = [t.values[0] for t in finished if t.values]
    names = {frozenset(t.constraints) for t in finished if t.state != TrialState.FAIL}
    n_constraints = len(frozenset[str]().union(*names))
    sizes = np.abs([*values, *(c for t in finished for c in t.constraints.values())])
    return {
        "constant values": len(values) > 1 and len(set(values)) == 1,
        "huge numbers": bool(((sizes > HUGE) & np.isfinite(sizes)).any()),
        "tiny numbers": bool(((sizes < TINY) & (sizes > 0.0)).any()),
        "infinite numbers": bool(np.isinf(sizes).any()),
        "no constraint": bool(finished) and n_constraints == 0,
        "50 constraints": n_constraints == MANY_CONSTRAINTS,
        "missing constraints": len(names) > 1,
        "errors of constraints": any(constraint_sds(t) for t in finished),
    }


def _by_parameters(
    finished: Sequence[FrozenTrial], space: Mapping[str, BaseDistribution]
) -> dict[str, bool]:
    points = [tuple(sorted((k, repr(v)) for k, v in t.params.items())) for t in finished]
    in_space = {p for p, t in zip(points, finished, strict=True) if t.distributions == space}
    n_values = [len(values_of(d)) for d in space.values()]
    return {
        "duplicates": len(set(points)) < len(points),
        "conditional parameters": len({frozenset(t.params) for t in finished}) > 1,
        "single-valued parameters": any(d.single() for d in space.values()),
        "nothing but single values": all(d.single() for d in space.values()),
        "small discrete space": all(n > 0 for n in n_values),
        "exhausted space": len(in_space) == math.prod(n_values) > 0,
    }


def _by_versions(
    finished: Sequence[FrozenTrial], space: Mapping[str, BaseDistribution]
) -> dict[str, bool]:
    """Kinds of trials whose parameters were others than those that are asked for."""
    stored = [item for t in finished for item in t.distributions.items()]
    pairs = [(d, space[name]) for name, d in stored if name in space and d != space[name]]
    alike = [(a, b) for a, b in pairs if type(a) is type(b)]
    teaching = [t for t in finished if t.state != TrialState.FAIL]
    shared = shared_space(teaching)
    return {
        "other kinds": len(alike) < len(pairs),
        "other choices": any(isinstance(a, CategoricalDistribution) for a, _ in alike),
        "other bounds": any(not isinstance(a, CategoricalDistribution) for a, _ in alike),
        "log against linear": any(
            getattr(a, "log", None) != getattr(b, "log", None) for a, b in alike
        ),
        "empty intersection": len(teaching) > 1 and not shared,
        "partial intersection": 0 < len(shared) < len(space),
        "other bounds in all trials": any(
            name in shared and shared[name] != d for name, d in space.items()
        ),
    }


def shared_space(trials: Iterable[FrozenTrial]) -> Space:
    """The parameters that all of these trials have alike; none without a trial."""
    spaces = [t.distributions for t in trials]
    if not spaces:
        return {}
    return {name: d for name, d in spaces[0].items() if all(s.get(name) == d for s in spaces)}
