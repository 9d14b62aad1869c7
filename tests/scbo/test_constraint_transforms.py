import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from optuna_snn.scbo.constraint_transforms import (
    ZERO_SLACK,
    bilog,
    is_split,
    jumps,
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


FLAGS = [(is_scaled, is_closed) for is_scaled in (False, True) for is_closed in (False, True)]
JUMP = np.array([-2.0, -0.5, 0.0, 70.0, 71.0, 72.0, 73.0, 75.0])
"""Some of a constraint's values hold, the others lie together far beyond."""


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
