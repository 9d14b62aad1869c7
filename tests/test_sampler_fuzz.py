"""Random histories of all kinds: an ask never raises and never leaves the range."""

import math
from typing import Any

import numpy as np
import optuna
import pytest
from optuna.distributions import (
    BaseDistribution,
    CategoricalDistribution,
    FloatDistribution,
    IntDistribution,
)
from optuna.trial import TrialState

from optuna_snn import SCBOSampler
from tests.helpers import finished_trial, tag

pytestmark = pytest.mark.slow

N_HISTORIES, N_QUICK = 300, 10
STATES = [TrialState.COMPLETE] * 4 + [TrialState.PRUNED] * 2 + [TrialState.FAIL]


def random_distribution(rng: np.random.Generator) -> BaseDistribution:
    kind = rng.integers(7)
    if kind == 0:
        return CategoricalDistribution([f"c{k}" for k in range(rng.choice([2, 3, 40, 2000]))])
    if kind == 1:
        return IntDistribution(int(rng.integers(-5, 5)), int(rng.integers(6, 10**6)))
    if kind == 2:
        return IntDistribution(1, int(rng.integers(2, 5000)), log=True)
    if kind == 3:
        return FloatDistribution(0.0, int(rng.integers(1, 50)) / 10, step=0.1)
    if kind == 4:
        low = 10.0 ** rng.uniform(-300, 290)
        return FloatDistribution(low, low * 10.0 ** rng.uniform(0.1, 10), log=True)
    if kind == 5:
        return FloatDistribution(-1e308, 1e308)
    return FloatDistribution(-1.0, 1.0)


def random_numbers(rng: np.random.Generator, n: int) -> np.ndarray:
    """Ordinary, constant, huge, tiny or infinite numbers."""
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


def random_params(rng: np.random.Generator, space: dict[str, BaseDistribution]) -> dict[str, Any]:
    # Drawn independently by our own sampler: the others overflow at bounds of 1e308.
    study = optuna.create_study(sampler=SCBOSampler(seed=int(rng.integers(2**31))))
    return study.ask(space).params


def random_study(rng: np.random.Generator) -> tuple[optuna.Study, dict[str, BaseDistribution]]:
    """A study with 0 to 40 finished trials; also duplicates, missing constraints."""
    space = {f"p{k}": random_distribution(rng) for k in range(rng.integers(1, 6))}
    n = int(rng.choice([0, 1, 2, 8, 20, 40]))
    m = int(rng.choice([0, 1, 3, 50], p=[0.3, 0.46, 0.2, 0.04]))
    points = [random_params(rng, space) for _ in range(int(rng.choice([1, 3, max(n, 1)])))]
    values = random_numbers(rng, n)
    constraints = np.array([random_numbers(rng, n) for _ in range(m)]).reshape(m, n).T
    share_missing = rng.choice([0.0, 0.0, 0.5])
    study = optuna.create_study(
        direction=str(rng.choice(["minimize", "maximize"])),
        sampler=SCBOSampler(
            seed=int(rng.integers(99)),
            n_startup_trials=int(rng.choice([1, 5])),
            failure_tolerance=int(rng.choice([1, 4])),
            warn_independent_sampling=False,
        ),
    )
    for i in range(n):
        state = STATES[rng.integers(len(STATES))]
        known = {
            f"c{j}": float(c)
            for j, c in enumerate(constraints[i])
            if not math.isnan(c) and rng.random() >= share_missing
        }
        own = tag(0, int(rng.integers(3)), 0.8, 1, len(space)) if rng.random() < 0.7 else None
        trial = finished_trial(
            points[i % len(points)],
            float(values[i]) if state == TrialState.COMPLETE else None,
            constraints=known,
            state=state,
            finished_at=float(rng.integers(100)),
            tag=own,
            distributions=space,
        )
        study.add_trial(trial)
    return study, space


def assert_asks_stay_in_range(seed: int) -> None:
    study, space = random_study(np.random.default_rng(seed))
    trial = study.ask(space)
    assert trial.params.keys() == space.keys()
    for name, value in trial.params.items():
        assert space[name]._contains(space[name].to_internal_repr(value)), (seed, name, value)


@pytest.mark.parametrize("seed", range(N_QUICK))
def test_an_ask_after_a_random_history_stays_in_range(seed: int) -> None:
    assert_asks_stay_in_range(seed)


@pytest.mark.parametrize("first", range(N_QUICK, N_HISTORIES, 58))
def test_asks_after_many_random_histories_stay_in_range(first: int) -> None:
    for seed in range(first, first + 58):
        assert_asks_stay_in_range(seed)
