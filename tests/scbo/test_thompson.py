import math

import numpy as np
import pytest
import torch
from scipy.stats import norm

from optuna_snn.scbo import fitting, surrogate
from optuna_snn.scbo.paths import draw_path
from optuna_snn.scbo.thompson import (
    LEAST_SD,
    N_STARTS,
    Draws,
    evaluate,
    log_probability,
    log_probability_slope,
    merit_order,
    screen,
)
from tests.helpers import MIXED, cube
from tests.scbo.helpers import brute_force_order, path_in


@pytest.mark.parametrize("n_draws", [1, 4])
@pytest.mark.parametrize("n_constraints", [0, 1, 3])
def test_candidates_are_ordered_as_by_brute_force(n_constraints: int, n_draws: int) -> None:
    rng = np.random.default_rng(n_constraints)
    for _ in range(30):
        # Quarters, so that sums and means are exact and ties occur, also at 0.
        shape = (n_constraints, n_draws, 25)
        draws = Draws(rng.integers(-8, 9, 25) / 4, rng.integers(-9, 4, shape) / 4)
        keys = brute_force_order(draws)
        assert [keys[i] for i in merit_order(draws)] == sorted(keys)


def test_the_best_feasible_candidate_comes_first_and_slack_buys_nothing() -> None:
    objective = np.array([9.0, 1.0, 2.0, 5.0])
    constraints = np.array([[0.1, -1.0, 0.0, 0.3], [-50.0, -1.0, -0.1, -50.0]])[:, None, :]
    assert merit_order(Draws(objective, constraints)).tolist() == [2, 1, 0, 3]


def test_undefined_draws_come_last() -> None:
    order = merit_order(
        Draws(np.array([1.0, math.nan, 3.0]), np.array([[[-1.0, -1.0, math.nan]]]))
    )
    assert order.tolist() == [0, 1, 2]


def test_evaluation_is_the_path_at_the_features() -> None:
    path = path_in(MIXED, 2, seed=0, n_draws=3)
    x = MIXED.snap(np.random.default_rng(1).random((5, 5)))
    values = path(torch.as_tensor(MIXED.features(x))).numpy()
    draws = evaluate(path, MIXED, x)
    # Up to rounding: sums may run in another order each time.
    assert draws.objective == pytest.approx(values[0].mean(axis=0), abs=1e-9)
    assert draws.constraints == pytest.approx(values[1:], abs=1e-9)


@pytest.mark.parametrize("n_constraints", [0, 1, 4])
@pytest.mark.parametrize("n_draws", [1, 3])
def test_screening_finds_the_best_candidates_that_a_full_ranking_finds(
    n_constraints: int, n_draws: int
) -> None:
    n_with_feasible = 0
    for seed in range(6):
        path = path_in(cube(3), n_constraints, seed, n_draws)
        x = np.random.default_rng(seed).random((700, 3))
        draws = evaluate(path, cube(3), x)
        violation = np.clip(draws.constraints, 0.0, None).mean(axis=1).sum(axis=0)
        order, active = screen(path, cube(3), x)
        assert sorted(order) == list(range(len(x)))
        n_with_feasible += (violation == 0.0).any()
        n_compared = int((violation <= np.sort(violation[:128])[N_STARTS - 1]).sum())
        assert n_compared >= N_STARTS
        assert order[:n_compared].tolist() == merit_order(draws)[:n_compared].tolist()
        is_violated = (draws.constraints[:, :, :128] > 0).any(axis=(1, 2))
        assert active.tolist() == np.flatnonzero(is_violated).tolist()
    assert n_with_feasible >= 3


def test_where_no_candidate_is_feasible_screening_ranks_by_violation() -> None:
    rng = np.random.default_rng(0)
    x, outputs = rng.random((15, 3)), rng.standard_normal((15, 2))
    outputs[:, 1] = 5.0 + 0.1 * outputs[:, 1]
    data = surrogate.make_data(x, outputs, np.arange(3), 3, torch.device("cpu"))
    path = draw_path(surrogate.condition(data, fitting.fit(data)), rng, 3)
    candidates = rng.random((400, 3))
    draws = evaluate(path, cube(3), candidates)
    assert (draws.constraints > 0.0).any(axis=(0, 1)).all()
    violation = draws.constraints.mean(axis=1).sum(axis=0)
    n_ranked = int((violation <= np.sort(violation[:128])[N_STARTS - 1]).sum())
    order = screen(path, cube(3), candidates).order
    assert order[:n_ranked].tolist() == merit_order(draws)[:n_ranked].tolist()
    # Where one constraint is all that there is, none falls before the last.
    assert order.tolist() == merit_order(draws).tolist()


def test_the_probability_of_feasibility_is_that_of_normal_constraints() -> None:
    rng = np.random.default_rng(0)
    draws = rng.normal([[[0.3]], [[-1.0]]], 0.5, (2, 20, 6))
    expected = sum(
        norm.logcdf(0.0, own.mean(axis=0), np.hypot(own.std(axis=0), LEAST_SD)) for own in draws
    )
    assert log_probability(draws) == pytest.approx(expected)
    assert log_probability(draws[:0]).tolist() == [0.0] * 6


def test_the_probability_of_feasibility_tells_hopeless_points_apart() -> None:
    hopeless = np.array([50.0, 60.0, 1e3])[None, None, :] + np.zeros((1, 5, 1))
    values = log_probability(hopeless)
    assert np.isfinite(values).all() and (np.diff(values) < 0).all()


@pytest.mark.parametrize("shift", [0.0, 30.0])
def test_its_gradient_is_that_of_finite_differences(shift: float) -> None:
    rng = np.random.default_rng(1)
    intercept, slopes = rng.normal(shift, 1.0, (3, 7)), rng.normal(0.0, 1.0, (3, 7, 2))

    def at(z: np.ndarray) -> float:
        return float(log_probability(intercept + slopes @ z))

    z, step = np.array([0.3, -0.2]), 1e-6
    expected = [(at(z + e) - at(z - e)) / (2 * step) for e in step * np.eye(2)]
    slope = log_probability_slope(intercept + slopes @ z, slopes)
    assert slope == pytest.approx(expected, rel=1e-5)
