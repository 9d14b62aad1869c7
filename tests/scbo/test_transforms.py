import math
from statistics import NormalDist
from typing import get_args

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from optuna_snn.scbo.transforms import (
    ZERO_SLACK,
    Objective,
    bilog,
    compress_bad_tail,
    is_split,
    jumps,
    normal_scores,
    spread_of_early,
    transform_objective,
    typical_size,
    warp_constraints,
    warped_sd,
)
from tests.helpers import repeatable

any_float = st.floats(allow_nan=True, allow_infinity=True)
columns = hnp.arrays(float, st.tuples(st.integers(1, 12), st.integers(1, 3)), elements=any_float)
HARD = np.array(
    [-np.inf, -1.7e308, -1.0, -5e-324, -0.0, 0.0, 5e-324, 1e-300, 1.0, 1.7e308, np.inf]
)


def signs(c: np.ndarray) -> np.ndarray:
    """Of warped constraints: those of c (n, m), but for zeros where nothing is less."""
    found = np.where((c == 0.0) & ~(c < 0.0).any(axis=0), -1.0, np.sign(c))
    return np.asarray(found)


@pytest.mark.parametrize("c", [-300.0, -1e-9, 0.0, 1e-9, 300.0])
def test_bilog_keeps_the_sign_and_so_the_feasibility(c: float) -> None:
    assert np.sign(bilog(np.array(c))) == np.sign(c)
    assert bilog(np.array(c)) == pytest.approx(np.sign(c) * np.log(1 + abs(c)), abs=1e-15)


@repeatable
@given(columns)
def test_warped_constraints_keep_sign_zero_and_nan_exactly(c: np.ndarray) -> None:
    warped = warp_constraints(c)
    np.testing.assert_array_equal(np.sign(warped), signs(c))
    known = ~np.isnan(c)
    assert np.isfinite(warped[known]).all()


@repeatable
@given(columns)
def test_warped_constraints_keep_the_order_within_a_column(c: np.ndarray) -> None:
    warped = warp_constraints(c)
    for j in range(c.shape[1]):
        known = c[~np.isnan(c[:, j]), j]
        in_order = warped[~np.isnan(c[:, j]), j][np.argsort(known, kind="stable")]
        # The smallest positive number stands in for what rounds to 0: not ordered among its like.
        assert (np.diff(in_order) >= -np.finfo(float).tiny).all()


@pytest.mark.parametrize("is_scaled", [True, False])
def test_the_error_of_a_warped_constraint_follows_from_the_slope_of_the_warp(
    is_scaled: bool,
) -> None:
    rng = np.random.default_rng(0)
    c = rng.standard_normal((9, 3)) * [1.0, 1e-3, 1e4]
    c[0, 1] = np.nan
    size = np.array([typical_size(column) for column in c.T]) if is_scaled else np.ones(3)
    h = 1e-6 * size

    def warp(values: np.ndarray) -> np.ndarray:
        return bilog(values / size)

    slope = (warp(c + h) - warp(c - h)) / (2 * h)
    assert warped_sd(c, np.full(c.shape, 0.2), is_scaled) == pytest.approx(
        np.minimum(0.2 * slope, 1e3), rel=1e-5, nan_ok=True
    )


def test_the_error_of_a_warped_constraint_is_finite_whatever_its_value() -> None:
    for sd in (0.0, 5e-324, 1.0, 1.7e308):
        found = warped_sd(HARD[:, None], np.full((len(HARD), 1), sd))
        assert np.isfinite(found).all() and (found >= 0.0).all()


def test_warped_constraints_survive_subnormal_and_infinite_values_beside_huge_ones() -> None:
    warped = warp_constraints(HARD[:, None])[:, 0]
    assert (np.sign(warped) == np.sign(HARD)).all()
    assert np.isfinite(warped).all()
    assert warped.max() == warped[-1] and warped.min() == warped[0]


@pytest.mark.parametrize("column", [[np.inf, np.inf], [-np.inf, np.nan], [np.nan, np.nan], [0, 0]])
def test_columns_without_a_finite_non_zero_value_keep_their_signs(column: list[float]) -> None:
    c = np.array(column)[:, None]
    np.testing.assert_array_equal(np.sign(warp_constraints(c)), signs(c))


@pytest.mark.parametrize("violated", [[1.0, 1.0, 1.0], [0.1, 4.0, 30.0]])
@pytest.mark.parametrize("n_held", [1, 40])
def test_a_constraint_that_holds_by_no_more_than_0_holds_by_some(
    violated: list[float], n_held: int
) -> None:
    c = np.append(np.zeros(n_held), violated)[:, None]
    warped = warp_constraints(c)[:, 0]
    assert (warped[:n_held] == -ZERO_SLACK).all()
    # It says nothing of those that fail, and 0 is the limit where one holds by more.
    beyond = np.append(c, [[-1.0]], axis=0)
    assert (warp_constraints(beyond)[:n_held] == 0.0).all()
    assert warped[n_held:] == pytest.approx(warp_constraints(c[n_held:])[:, 0])


@pytest.mark.parametrize("unit", [1e-6, 1e4, 1e300])
def test_constraints_weigh_alike_in_any_unit(unit: float) -> None:
    c = np.array([[-2.0], [0.5], [1.0], [3.0]])
    assert warp_constraints(unit * c) == pytest.approx(warp_constraints(c), rel=1e-12)


def test_the_typical_size_is_the_median_of_what_is_finite_and_not_zero() -> None:
    assert typical_size(np.array([np.nan, np.inf, 0.0, -3.0, 1.0, 5.0])) == pytest.approx(3.0)
    assert typical_size(np.array([1.6e308, 1.7e308])) == pytest.approx(1.65e308)
    assert typical_size(np.array([0.0, np.inf, np.nan])) == 1.0
    assert typical_size(np.array([])) == 1.0


@repeatable
@given(st.lists(st.floats(-1e6, 1e6), min_size=1, max_size=20), st.floats(-1e3, 1e3))
def test_the_objective_transform_is_increasing(values: list[float], shift: float) -> None:
    y = np.array(values) + shift
    order = np.argsort(y)
    z = compress_bad_tail(y)[order]
    assert np.isfinite(z).all()
    assert (np.diff(z) >= 0).all()
    # Strictly, for steps that are visible beside the whole range in double precision.
    is_clear = np.diff(y[order]) > 1e-9 * (np.abs(y).max() + 1e-300)
    assert (np.diff(z)[is_clear] > 0).all()


def test_the_objective_is_linear_above_and_logarithmic_far_below_the_median() -> None:
    # Median 0, best 2: u = y / 2, kept down to u = -1, then -1 - log(-u), and slower from -4 on.
    y = np.array([-200.0, -40.0, -20.0, -2.0, -1.0, 0.0, 0.5, 0.6, 0.7, 1.0, 2.0])
    expected = [-4 - np.log(np.log(100) - 2), -1 - np.log(20), -1 - np.log(10), -1.0, -0.5, 0.0]
    assert compress_bad_tail(y)[:6] == pytest.approx(expected)
    assert compress_bad_tail(y)[6:] == pytest.approx([0.25, 0.3, 0.35, 0.5, 1.0])


@pytest.mark.parametrize("penalty", [1e5, 1e30, 1e200])
@pytest.mark.parametrize("n_failed", [1, 6, 60])
def test_huge_numbers_for_failures_leave_the_scale_to_the_others(
    penalty: float, n_failed: int
) -> None:
    good = np.array([-9.0, -3.0, -0.5, -0.1, -0.01, 0.0])
    y = np.concatenate([np.full(n_failed, -penalty), good])
    z = compress_bad_tail(y)
    assert z[n_failed:] == pytest.approx(compress_bad_tail(good), rel=1e-12)
    assert (z[:n_failed] < z[n_failed]).all() and (z[:n_failed] > -12.0).all()
    # Of two kinds of failures each lies below what is better.
    both = compress_bad_tail(np.concatenate([y, [-1e4 * penalty]]))
    assert both[:-1] == pytest.approx(z, rel=1e-12) and both[-1] < z.min()


@pytest.mark.parametrize("n_best", [1, 4])
def test_a_few_values_near_the_optimum_make_no_failures_of_the_others(n_best: int) -> None:
    best = -1e-9 * np.arange(n_best)
    y = np.concatenate([[-4.0, -3.8, -3.6, -3.4, -3.2, -3.0], best])
    z = compress_bad_tail(y)
    assert z[:6] == pytest.approx((y[:6] - np.median(y)) / -np.median(y), rel=1e-6)


def test_an_optimum_that_was_found_often_makes_no_failures_of_the_others() -> None:
    y = np.array([-5.0, -5.0, -4.0, -4.0, -4.0, -3.0, -3.0, 0.0, 0.0, 0.0, 0.0, 0.0])
    assert compress_bad_tail(y) == pytest.approx((y + 3.0) / 3.0)


def test_values_without_a_gap_all_count() -> None:
    y = -(100.0 ** np.arange(-4.0, 5.0))[::-1]
    z = compress_bad_tail(y)
    assert z[y == np.median(y)] == 0.0 and z[-1] == 1.0


@pytest.mark.parametrize("shift", [0.0, -7.0, 1e4])
@pytest.mark.parametrize("unit", [1e-200, 1.0, 1e200])
def test_the_objective_transform_knows_neither_unit_nor_origin(shift: float, unit: float) -> None:
    y = np.array([3.0, -1.0, 0.2, -50.0, 2.5, 2.9])
    moved = compress_bad_tail(unit * (y + shift))
    # Rounding of y + shift is 1e-16 * 1e4 beside a spread of about 1.
    assert moved == pytest.approx(compress_bad_tail(y), rel=1e-9, abs=1e-9)


@repeatable
@given(hnp.arrays(float, st.integers(0, 12), elements=any_float))
def test_any_objective_becomes_finite_and_nan_stays(y: np.ndarray) -> None:
    z = compress_bad_tail(y)
    np.testing.assert_array_equal(np.isnan(z), np.isnan(y))
    assert (np.abs(z[~np.isnan(z)]) < 1e3).all()
    order = np.argsort(y[~np.isnan(y)], kind="stable")
    assert (np.diff(z[~np.isnan(y)][order]) >= 0).all()


def test_infinite_objectives_count_as_the_best_and_the_worst_finite_one() -> None:
    z = compress_bad_tail(np.array([np.inf, 2.0, 1.0, -1.0, -np.inf]))
    assert z[0] == z[1] > z[2] > z[3] == z[4]
    assert (compress_bad_tail(np.array([np.inf, -np.inf])) == 0).all()


def slow_normal_scores(y: list[float]) -> list[float]:
    """Each value's mean rank among those that are known, through the normal quantiles."""
    known = [v for v in y if not math.isnan(v)]
    scores = []
    for v in y:
        rank = sum(w < v for w in known) + (sum(w == v for w in known) + 1) / 2
        is_known = not math.isnan(v)
        share = (rank - 0.5) / len(known) if is_known else math.nan
        scores.append(NormalDist().inv_cdf(share) if is_known else math.nan)
    return scores


@repeatable
@given(hnp.arrays(float, st.integers(0, 12), elements=any_float | st.sampled_from([0.0, 1.0])))
def test_normal_scores_are_those_of_a_slow_reference_and_symmetric(y: np.ndarray) -> None:
    scores = normal_scores(y)
    np.testing.assert_allclose(scores, slow_normal_scores(y.tolist()), rtol=1e-12, atol=1e-12)
    np.testing.assert_allclose(normal_scores(-y), -scores, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("kind", get_args(Objective))
@repeatable
@given(y=hnp.arrays(float, st.integers(0, 12), elements=any_float))
def test_every_kind_of_objective_is_increasing_and_finite_and_nan_stays(
    kind: Objective, y: np.ndarray
) -> None:
    z = transform_objective(y, kind)
    np.testing.assert_array_equal(np.isnan(z), np.isnan(y))
    known = ~np.isnan(y)
    assert np.isfinite(z[known]).all()
    assert (np.diff(z[known][np.argsort(y[known], kind="stable")]) >= 0).all()


@pytest.mark.parametrize("kind", get_args(Objective))
def test_every_kind_of_objective_tells_different_values_apart(kind: Objective) -> None:
    y = np.array([-1e4, -3.0, -1.0, 0.0, 0.001, 2.0, 9.0])
    assert (np.diff(transform_objective(y, kind)) > 0).all()


def test_the_kind_of_objective_names_the_transform() -> None:
    y = np.array([-1e4, -3.0, -1.0, 0.0, 2.0])
    # The model standardises what it is given: a positive factor makes no difference.
    z = transform_objective(y, "standardised")
    assert z[-1] > 0 and z / z[-1] == pytest.approx(y / y[-1], rel=1e-12)
    assert transform_objective(y, "ranks").tolist() == normal_scores(y).tolist()
    assert transform_objective(y, "compressed").tolist() == compress_bad_tail(y).tolist()


def test_an_unknown_kind_of_objective_is_refused_by_name() -> None:
    with pytest.raises(ValueError, match="compressed, standardised or ranks, got 'rank'"):
        transform_objective(np.zeros(3), "rank")  # type: ignore[arg-type]


FLAGS = [(is_scaled, is_closed) for is_scaled in (False, True) for is_closed in (False, True)]
JUMP = np.array([-2.0, -0.5, 0.0, 70.0, 71.0, 72.0, 73.0, 75.0])
"""Some of a constraint's values hold, the others lie together far beyond."""


@pytest.mark.parametrize(("is_scaled", "is_gap_closed"), FLAGS)
@repeatable
@given(c=columns)
def test_constraints_keep_their_feasibility_and_nan_whatever_is_done_to_them(
    is_scaled: bool, is_gap_closed: bool, c: np.ndarray
) -> None:
    warped = warp_constraints(c, is_scaled, is_gap_closed)
    np.testing.assert_array_equal(np.isnan(warped), np.isnan(c))
    assert ((warped > 0) == (c > 0)).all()
    assert np.isfinite(warped[~np.isnan(c)]).all()
    if not is_gap_closed:
        np.testing.assert_array_equal(np.sign(warped), signs(c))


@pytest.mark.parametrize(("is_scaled", "is_gap_closed"), FLAGS)
def test_a_constraint_that_jumps_keeps_order_and_sign_whatever_is_done_to_it(
    is_scaled: bool, is_gap_closed: bool
) -> None:
    warped = warp_constraints(JUMP[:, None], is_scaled, is_gap_closed)[:, 0]
    assert (np.diff(warped) > 0).all()
    assert ((warped > 0) == (JUMP > 0)).all()
    # Closed, a side lies no farther from 0 than it is wide; left open, many times that.
    spread = warped[3:].std()
    assert warped[3] < spread if is_gap_closed else warped[3] - warped[2] > 4 * spread


@pytest.mark.parametrize("unit", [1e-6, 1.0, 1e4])
@pytest.mark.parametrize("n_held", [1, 3, 200])
def test_the_sides_of_a_jump_weigh_alike_however_many_hold(unit: float, n_held: int) -> None:
    c = unit * np.concatenate([np.linspace(-0.03, -0.028, n_held), np.linspace(0.6, 0.95, 40)])
    warped = warp_constraints(c[:, None])[:, 0]
    assert warped[c > 0].mean() == pytest.approx(1.0)
    assert warped[c <= 0].mean() == pytest.approx(-1.0)


def test_the_sides_of_a_jump_are_not_scaled_where_what_holds_is_wide() -> None:
    # As of a product of many numbers: nearly all are the same violation, the others vary much.
    held, violated = -np.exp(np.linspace(0, 5, 20)), 0.7 + 0.01 * np.linspace(0, 1, 60)
    wide, narrow = np.concatenate([held, violated]), np.concatenate([0.001 * held - 1, violated])
    c = np.stack([wide, narrow], axis=1)
    assert jumps(c).tolist() == [True, True]
    assert is_split(c).tolist() == [False, True]
    warped, unscaled = warp_constraints(c), warp_constraints(c, is_gap_scaled=False)
    assert (warped[:, 0] == unscaled[:, 0]).all()
    assert (warped[:, 1] != unscaled[:, 1]).any()


def test_known_errors_are_scaled_as_the_sides_of_a_jump_are() -> None:
    c, sd = JUMP[:, None], np.full((len(JUMP), 1), 0.1)
    size = np.median(np.abs(JUMP[JUMP != 0]))
    left_open = 0.1 / (size + np.abs(JUMP))
    assert warped_sd(c, sd, is_gap_scaled=False)[:, 0] == pytest.approx(left_open)
    before = warp_constraints(c, is_gap_closed=False)[:, 0]
    distance = before[JUMP > 0].mean() - before[JUMP <= 0].mean()
    assert warped_sd(c, sd)[:, 0] == pytest.approx(left_open * 2 / distance)


def test_unscaled_constraints_depend_on_the_unit_and_are_bilog_alone() -> None:
    c = np.array([[-2.0], [0.5], [1.0], [3.0]])
    assert warp_constraints(c, False, False) == pytest.approx(bilog(c))
    assert warp_constraints(1e4 * c, False, False) == pytest.approx(bilog(1e4 * c))


def test_a_jump_is_seen_in_any_unit_and_not_where_something_lies_between() -> None:
    steady = np.linspace(-2, 75, 8)
    few = np.where(JUMP > 72.0, math.nan, JUMP)  # three violations are too few to tell
    c = np.stack([JUMP, 1e-6 * JUMP, steady, few, np.abs(JUMP) + 1.0], axis=1)
    assert jumps(c).tolist() == [True, True, False, False, False]


@pytest.mark.parametrize("high", [0.7, 3.0])
def test_a_constraint_of_two_values_does_not_vanish(high: float) -> None:
    for n_violated in range(5, 60):
        c = np.array([-1.0] * 60 + [high] * n_violated)[:, None]
        assert np.abs(warp_constraints(c)).min() > 0.1


def test_the_spread_is_that_of_the_first_values_without_those_of_failures() -> None:
    early = np.array([3.0, -1.0, 0.0, 1.0, 2.0, 4.0, -2.0, 1.5, 0.5, 1.0])
    late = 5.0 - 1e-3 * np.arange(20)
    assert spread_of_early(early) == 4.0 - 1.0
    assert spread_of_early(np.append(early, late)) == 5.0 - 1.0
    with_failures = np.where(early < 0.0, -1e30, early)
    assert spread_of_early(np.append(with_failures, late)) == 5.0 - 1.25
    assert spread_of_early(np.array([2.0])) == 0.0
    many = np.concatenate([np.tile(early, 5), np.tile(late, 10)])
    assert spread_of_early(many) == 5.0 - 1.0
