"""The models of a step: what they are fitted to, and what they say of points."""

import math
from dataclasses import replace

import numpy as np
import pytest
import torch

from optuna_snn.scbo import fitting, models, surrogate
from optuna_snn.scbo.models import (
    MAX_CENTERS,
    FitStart,
    Moves,
    choose_center,
    coordinates_to_move,
    fit_models,
    least_length,
    nearest,
    probability_of_feasibility,
    relative_sides,
)
from optuna_snn.scbo.observations import Observations
from optuna_snn.scbo.options import DEFAULT
from optuna_snn.scbo.space import Categorical, Numeric, SearchSpace
from optuna_snn.scbo.surrogate import Hyperparameters, Posterior
from tests.helpers import MIXED, cube
from tests.scbo.helpers import CPU, START, changed, log_likelihoods, observations

GRID = SearchSpace((Numeric(0, 3, step=1.0),) * 2)


def fitted(space: SearchSpace, known: Observations, **options: object) -> Posterior:
    return fit_models(space, known, START, replace(DEFAULT, **options))  # type: ignore[arg-type]


def slow_nearest(known: Observations, n_most: int) -> list[int]:
    """The rows sorted one by one: by distance, then by row."""
    center = known.center
    assert center is not None
    key = {i: (float(((x - center) ** 2).sum()), i) for i, x in enumerate(known.x)}
    return sorted(key, key=key.__getitem__)[:n_most]


@pytest.mark.parametrize("n_most", [1, 7, 59, 60, 61, 1000])
@pytest.mark.parametrize("seed", range(5))
def test_the_nearest_points_are_those_of_a_slow_sort(seed: int, n_most: int) -> None:
    known = observations(cube(3), n=60, seed=seed)
    assert nearest(cube(3), known, n_most).tolist() == slow_nearest(known, n_most)


def test_of_points_at_the_same_distance_the_earlier_ones_are_kept() -> None:
    # On a grid of 16 points nearly all distances are tied.
    for seed in range(10):
        known = observations(GRID, n=200, seed=seed)
        for n_most in (1, 5, 50, 150, 199, 200):
            assert nearest(GRID, known, n_most).tolist() == slow_nearest(known, n_most)


def test_points_at_the_same_distance_stay_in_their_order() -> None:
    for seed in range(10):
        known = observations(GRID, n=200, seed=seed)
        assert nearest(GRID, known, 200).tolist() == slow_nearest(known, 200)


@pytest.mark.parametrize("center", [0, None])
@pytest.mark.parametrize("n_valued", [1, 5, 40])
def test_points_beyond_the_last_that_has_a_value_are_left_out(
    n_valued: int, center: int | None
) -> None:
    known = observations(cube(3), n=60, center=center)
    known = changed(known, y=np.where(np.arange(60) % 3 == 0, known.y, np.nan))  # 20 have one
    every = nearest(cube(3), known, 50).tolist()
    seen = nearest(cube(3), known, 50, n_valued).tolist()
    assert seen == every[: len(seen)]
    assert np.isfinite(known.y[seen]).sum() == min(n_valued, np.isfinite(known.y[every]).sum())
    if len(seen) < len(every):
        assert np.isfinite(known.y[every[len(seen)]])


def test_without_a_centre_the_latest_points_come_first_and_of_none_there_are_none() -> None:
    known = observations(cube(2), n=9, center=None)
    assert nearest(cube(2), known, 4).tolist() == [8, 7, 6, 5]
    assert nearest(cube(2), known, 40).tolist() == list(range(9))[::-1]
    empty = observations(cube(2), n=0, center=None)
    assert nearest(cube(2), empty, 4).tolist() == []
    assert nearest(cube(2), changed(empty, center=np.full(2, 0.5)), 4).tolist() == []


@pytest.mark.parametrize("n_most", [10, 80])
def test_models_are_conditioned_on_the_nearest_points_only(n_most: int) -> None:
    known = observations(cube(2), n=90)
    seen = fitted(cube(2), known, max_local_points=n_most).data.X.numpy()
    assert (seen == known.x[slow_nearest(known, n_most)]).all()


def test_hyperparameters_are_fitted_to_fewer_points_than_the_models_are_conditioned_on(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    known = observations(cube(2), n=40)
    monkeypatch.setattr(models, "MAX_FITTED_POINTS", 15)
    posterior = fitted(cube(2), known)
    data = posterior.data
    assert len(data.X) == 40
    few = surrogate.first_rows(data, 15)
    expected = fitting.fit(few, None, models.COLD_ITERATIONS).pack()
    assert posterior.hyper.pack() == pytest.approx(expected, abs=1e-9)


def test_given_hyperparameters_are_used_as_they_are_unless_a_refit_is_due() -> None:
    known = observations(cube(3))
    given = fitted(cube(3), known).hyper.pack() + 0.1
    kept = fit_models(cube(3), known, FitStart(CPU, given, False), DEFAULT).hyper.pack()
    assert kept == pytest.approx(given, rel=1e-12)
    refitted = fit_models(cube(3), known, FitStart(CPU, given), DEFAULT).hyper.pack()
    assert np.abs(refitted - given).max() > 1e-3


def test_a_flat_prior_is_a_fit_of_the_likelihood_alone() -> None:
    known = observations(cube(2), n=30)

    def likelihood(posterior: Posterior) -> float:
        return float(log_likelihoods(posterior.data, posterior.hyper).sum())

    flat, scaled = (fitted(cube(2), known, prior=p) for p in ("flat", "dimension-scaled"))
    assert likelihood(flat) > likelihood(scaled) + 1e-3


def noisy_ridge(seed: int = 0) -> Observations:
    """A ridge at 0.3 under noise; the luckiest of all results lies far from it, at 0.9."""
    rng = np.random.default_rng(seed)
    x = np.linspace(0, 1, 41)[:, None]
    y = -10 * (x[:, 0] - 0.3) ** 2 + 0.2 * rng.standard_normal(41)
    y[36] = y.max() + 0.5
    none = np.empty((0, 1))
    c = np.empty((41, 0))
    return Observations(x, y, c, x[36], none, x, none, np.ones(41, dtype=bool))


@pytest.mark.parametrize("seed", range(5))
def test_of_noisy_results_the_luckiest_is_not_the_centre(seed: int) -> None:
    known = noisy_ridge(seed)
    posterior = fitted(cube(1), known)
    row = choose_center(posterior, cube(1), known, DEFAULT)
    assert np.argmax(known.y) == 36 and known.x[36] == 0.9
    assert row is not None and abs(known.x[row, 0] - 0.3) < 0.2


@pytest.mark.parametrize("space", [cube(2), MIXED], ids=["floats", "mixed"])
@pytest.mark.parametrize("seed", range(5))
def test_the_centre_has_the_largest_posterior_mean_of_the_rows_that_may_be_it(
    space: SearchSpace, seed: int
) -> None:
    known = observations(space, n=30, n_constraints=2, seed=seed)
    may_center = (known.c <= 0).all(axis=1)
    # An infeasible result that is far better than all others is no centre.
    y = np.where(np.arange(30) == np.argmin(may_center), 50.0, known.y)
    known = changed(known, may_center=may_center, y=y)
    posterior = fitted(space, known)
    row = choose_center(posterior, space, known, DEFAULT)
    assert row is not None and may_center[row]
    mean = posterior.mean_and_sd(torch.as_tensor(space.features(known.x)))[0][0].numpy()
    rows = sorted(np.flatnonzero(may_center), key=lambda i: -y[i])[:MAX_CENTERS]
    assert row == max(rows, key=lambda i: mean[i])


def test_of_many_feasible_trials_only_the_best_observed_may_be_the_centre() -> None:
    # All at one point but one: the mean knows no difference between them, but much of the other.
    n = 3 * MAX_CENTERS
    known = observations(cube(1), n=n, n_constraints=0)
    y = np.arange(n, dtype=float)
    for order in (np.arange(n), np.arange(n)[::-1]):
        all_may = changed(known, y=y[order], may_center=np.ones(n, dtype=bool))
        row = choose_center(fitted(cube(1), all_may), cube(1), all_may, DEFAULT)
        assert row is not None and all_may.y[row] >= n - MAX_CENTERS


def lucky_islands(seed: int) -> Observations:
    """Feasible below 0.5, where the objective is lower, and by luck at one point above.

    A constraint that jumps: nothing between -0.05 and 0.6.
    """
    rng = np.random.default_rng(seed)
    x = np.linspace(0, 1, 41)[:, None]
    c = np.where(x[:, 0] < 0.5, -0.05, 0.6 + 0.2 * rng.random(41))
    c[33] = -0.05
    known = changed(observations(cube(1), n=41), x=x, c=c[:, None], y=x[:, 0], center=x[33])
    return changed(known, may_center=c <= 0.0)


@pytest.mark.parametrize("seed", range(5))
def test_a_feasible_row_among_infeasible_ones_is_no_centre_where_feasibility_is_luck(
    seed: int,
) -> None:
    known = lucky_islands(seed)
    row = choose_center(fitted(cube(1), known), cube(1), known, DEFAULT)
    assert known.y[known.may_center].max() == known.y[33]
    assert row is not None and 0.25 < known.x[row, 0] < 0.5
    # Where the constraint is a smooth function, that is what it is there.
    c = known.c.copy()
    c[:, 0] = 0.1 - 3.0 * np.abs(known.x[:, 0] - 0.5)
    smooth = changed(known, c=c, may_center=c[:, 0] <= 0.0)
    row = choose_center(fitted(cube(1), smooth), cube(1), smooth, DEFAULT)
    assert row is not None and known.x[row, 0] > 0.9


@pytest.mark.parametrize("seed", range(5))
def test_whether_feasibility_is_luck_is_told_by_the_rows_that_the_models_see(seed: int) -> None:
    near = lucky_islands(seed)
    # Far from the centre the constraint holds by far more: over all rows it has no narrow sides.
    x, c = np.zeros((10, 1)), -np.linspace(1.0, 8.0, 10)[:, None]
    known = changed(
        near,
        x=np.concatenate([near.x, x]),
        c=np.concatenate([near.c, c]),
        y=np.append(near.y, np.zeros(10)),
        may_center=np.append(near.may_center, np.ones(10, dtype=bool)),
    )
    options = replace(DEFAULT, max_local_points=40)
    posterior = fitted(cube(1), known, max_local_points=40)
    row = choose_center(posterior, cube(1), known, options)
    assert row is not None and 0.25 < known.x[row, 0] < 0.5


@pytest.mark.parametrize("seed", range(5))
def test_a_row_without_a_value_is_the_centre_where_those_with_one_were_feasible_by_luck(
    seed: int,
) -> None:
    known = lucky_islands(seed)
    is_feasible = known.c[:, 0] <= 0.0
    # The trials below 0.5 still run, all of them or all but one.
    only_lucky = np.where(is_feasible & (known.x[:, 0] < 0.5), math.nan, known.y)
    one_safe = only_lucky.copy()
    one_safe[8] = known.y[8]
    for y, n_known in ((only_lucky, 1), (one_safe, 2)):
        running = changed(known, y=np.where(is_feasible, y, math.nan))
        assert (~np.isnan(running.y)).sum() == n_known
        row = choose_center(fitted(cube(1), running), cube(1), running, DEFAULT)
        assert row is not None and known.x[row, 0] < 0.5
        assert np.isnan(running.y[row]) == (n_known == 1)
    # Where the constraint is a smooth function, the one result is no matter of luck.
    c = 0.1 - 3.0 * np.abs(known.x - 0.5)
    smooth = changed(known, c=c, y=only_lucky, may_center=c[:, 0] <= 0.0)
    row = choose_center(fitted(cube(1), smooth), cube(1), smooth, DEFAULT)
    assert row is not None and not np.isnan(smooth.y[row])


def test_no_row_that_may_be_the_centre_is_no_centre() -> None:
    known = observations(cube(2))
    posterior = fitted(cube(2), known)
    for may_center in (np.zeros(12, dtype=bool), np.empty(0, dtype=bool)):
        assert (
            choose_center(posterior, cube(2), changed(known, may_center=may_center), DEFAULT)
            is None
        )


def test_where_no_objective_is_known_the_centre_has_the_smallest_total_constraint() -> None:
    x = np.linspace(0, 1, 21)[:, None]
    c = np.stack([np.abs(x[:, 0] - 0.7), np.abs(x[:, 0] - 0.7) - 0.05], axis=1)
    known = changed(observations(cube(1), n=21), x=x, c=c, y=np.full(21, math.nan))
    known = changed(known, may_center=np.ones(21, dtype=bool))
    row = choose_center(fitted(cube(1), known), cube(1), known, DEFAULT)
    assert row is not None and x[row, 0] == pytest.approx(0.7, abs=0.051)
    half = changed(known, may_center=x[:, 0] < 0.5)
    assert choose_center(fitted(cube(1), half), cube(1), half, DEFAULT) == 9


def test_all_other_choices_are_equally_far_from_the_centre() -> None:
    space = SearchSpace((Categorical(4), Numeric(0.0, 1.0)))
    x = space.encode(np.array([[1, 0.5], [3, 0.52], [2, 0.51], [1, 0.9], [0, 0.50]]))
    known = changed(observations(space, n=5), x=x, center=x[0])
    assert nearest(space, known, 5).tolist() == [0, 3, 4, 2, 1]


def test_where_results_are_noisy_candidates_move_in_more_coordinates() -> None:
    x = np.random.default_rng(0).random((60, 2))
    smooth = observations(cube(2), n=60)
    smooth = changed(smooth, x=x, y=-((x - 0.4) ** 2).sum(axis=1))
    noisy = changed(smooth, y=smooth.y + 0.1 * np.random.default_rng(1).standard_normal(60))
    options = replace(DEFAULT, n_perturbed=3, n_noisy_perturbed=7)
    for n_workers in (1, 15):
        for known, n_moved in ((smooth, 3), (noisy, 7)):
            moves = coordinates_to_move(fitted(cube(2), known), known, n_workers, options)
            assert moves == Moves(n_moved, is_spread=False)


@pytest.mark.parametrize(
    ("n_workers", "c", "n_moved"),
    [
        (1, [[1.0, 2.0]], 3),  # one worker goes step by step
        (2, [[1.0, 2.0]], 9),
        (2, [[1.0, -2.0], [-1.0, 2.0]], 9),  # none satisfies both
        (2, [[1.0, 2.0], [-1.0, np.nan]], 9),  # not known of one
        (2, [[1.0, 2.0], [-1.0, 0.0]], 3),
        (2, [[]], 3),  # no constraint
    ],
)
def test_several_workers_go_far_while_nothing_feasible_is_known(
    n_workers: int, c: list[list[float]], n_moved: int
) -> None:
    known = observations(cube(2), n=20, n_constraints=len(c[0]))
    known = changed(known, c=np.array(c * 20)[:20], y=-known.x[:, 0])
    options = replace(DEFAULT, n_perturbed=3, n_seeking_perturbed=9)
    posterior = fitted(cube(2), known)
    moves = coordinates_to_move(posterior, known, n_workers, options)
    assert moves == Moves(n_moved, is_spread=n_moved == 9)
    moves = coordinates_to_move(
        posterior, known, n_workers, replace(options, is_seeking_spread=False)
    )
    assert moves == Moves(n_moved)


@pytest.mark.parametrize("n_moved", [1, 3, 20])
@pytest.mark.parametrize("n_noise_sds", [0.0, 1.0, 3.0])
def test_in_the_least_box_the_objective_changes_by_the_noise_that_is_asked_for(
    n_moved: int, n_noise_sds: float
) -> None:
    # Five dimensions of lengthscale 0.7 and a noise of 1e-3, so that r is small.
    known = observations(cube(5), n_constraints=0)
    packed = np.array([[math.log(0.7)] * 5 + [math.log(1e-6), 0.0]])
    posterior = replace(fitted(cube(5), known), hyper=Hyperparameters.unpack(packed, CPU))
    length = least_length(posterior, n_moved, n_noise_sds)
    square = torch.tensor(min(n_moved, 5) * (length / 2) ** 2 / 0.7**2, dtype=torch.float64)
    variance = 2 * (1 - float(surrogate.matern52(square)))
    assert variance == pytest.approx(n_noise_sds**2 * 1e-6, rel=1e-2)


def test_sides_follow_the_lengthscales_of_the_objective_and_have_a_product_of_one() -> None:
    known = observations(cube(4), n_constraints=1)
    posterior = fitted(cube(4), known)
    length = np.array([0.1, 1.0, 4.0, 0.3])
    packed = np.array([[*np.log(length), -4.0, 0.0], [0.0] * 4 + [-4.0, 0.0]])
    posterior = replace(posterior, hyper=Hyperparameters.unpack(packed, CPU))
    sides = relative_sides(posterior)
    assert math.prod(sides) == pytest.approx(1.0, rel=1e-12)
    assert sides / sides[0] == pytest.approx(length / length[0], rel=1e-12)


def test_the_probability_of_feasibility_is_that_of_all_constraints_together() -> None:
    known = observations(MIXED, n=20, n_constraints=3)
    posterior = fitted(MIXED, known)
    for x in known.x[:5]:
        mean, sd = posterior.mean_and_sd(torch.as_tensor(MIXED.features(x[None])))
        z = (-mean / sd)[1:, 0].tolist()
        expected = math.prod(0.5 * math.erfc(-v / math.sqrt(2)) for v in z)
        assert probability_of_feasibility(posterior, MIXED, x) == pytest.approx(expected)
    free = observations(MIXED, n_constraints=0)
    assert probability_of_feasibility(fitted(MIXED, free), MIXED, free.x[0]) == 1.0


@pytest.mark.parametrize("is_error_known", [True, False])
def test_a_constraint_that_is_known_to_be_uncertain_weighs_less(is_error_known: bool) -> None:
    known = observations(cube(2), n=30)
    c_sd = np.zeros(known.c.shape)
    c_sd[7] = 1e6
    hyper = fitted(cube(2), known).hyper.pack()
    options = replace(DEFAULT, is_error_known=is_error_known)

    def mean(of: Observations) -> np.ndarray:
        posterior = models.fit_models(cube(2), of, FitStart(CPU, hyper, False), options)
        found: np.ndarray = posterior.mean_and_sd(torch.as_tensor(known.x))[0].numpy()
        return found

    uncertain = mean(changed(known, c_sd=c_sd))
    other = known.c.copy()
    other[7] *= -0.9999  # of the same size, so that all else is scaled alike
    expected = mean(changed(known, c=other, c_sd=c_sd))
    assert uncertain[0] == pytest.approx(mean(known)[0], abs=1e-12)
    if is_error_known:
        # The value still has a small part in the mean that all values are centred by.
        assert uncertain[1] == pytest.approx(expected[1], abs=0.05)
        assert abs(uncertain[1, 7] - mean(known)[1, 7]) > 0.2
    else:
        assert uncertain[1] == pytest.approx(mean(known)[1], abs=1e-12)
