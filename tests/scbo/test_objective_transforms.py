import math
from statistics import NormalDist
from typing import get_args

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from optuna_snn.scbo.objective_transforms import (
    Objective,
    compress_bad_tail,
    normal_scores,
    spread_of_early,
    transform_objective,
)
from tests.helpers import repeatable

any_float = st.floats(allow_nan=True, allow_infinity=True)


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
