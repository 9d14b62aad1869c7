import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from optuna_snn.scbo.incumbent import IMPROVEMENT, Standing, ViolationScale
from tests.helpers import repeatable

FEASIBLE = 0.0
standings = st.builds(
    Standing, st.floats(allow_nan=False), st.sampled_from([0.0, 0.5, 2.0, math.inf])
)


def test_feasible_beats_infeasible_whatever_the_values() -> None:
    assert Standing(-1e9, FEASIBLE).is_better_than(Standing(1e9, 1e-300))
    assert not Standing(1e9, 1e-300).is_better_than(Standing(-1e9, FEASIBLE))


def test_of_two_feasible_results_the_larger_value_is_better() -> None:
    assert Standing(2.0, FEASIBLE).is_better_than(Standing(1.0, FEASIBLE))


def test_of_two_infeasible_results_the_smaller_violation_is_better() -> None:
    assert Standing(-5.0, 1.0).is_better_than(Standing(5.0, 2.0))


@repeatable
@given(standings, standings, standings)
def test_better_is_a_strict_order(a: Standing, b: Standing, c: Standing) -> None:
    assert not a.is_better_than(a)
    assert not (a.is_better_than(b) and b.is_better_than(a))
    if a.is_better_than(b) and b.is_better_than(c):
        assert a.is_better_than(c)
    if a.improves_on(b):
        assert a.is_better_than(b)


@pytest.mark.parametrize("best", [-100.0, -1e-3, 0.0, 1e-3, 100.0])
def test_a_success_is_a_gain_of_a_thousandth_of_the_best_value(best: float) -> None:
    margin = IMPROVEMENT * abs(best)
    assert not Standing(best + 0.5 * margin, FEASIBLE).improves_on(Standing(best, FEASIBLE))
    assert Standing(best + 2 * margin + 1e-12, FEASIBLE).improves_on(Standing(best, FEASIBLE))


def test_anything_improves_on_minus_infinity_and_nothing_on_infinity() -> None:
    worst, best = Standing(-math.inf, FEASIBLE), Standing(math.inf, FEASIBLE)
    assert Standing(-1e308, FEASIBLE).improves_on(worst)
    assert not best.improves_on(best)
    assert not Standing(1e308, FEASIBLE).improves_on(best)


def test_the_first_feasible_result_improves_on_every_infeasible_one() -> None:
    assert Standing(-math.inf, FEASIBLE).improves_on(Standing(math.inf, 1e-12))


def scale_of(*seen: dict[str, float]) -> ViolationScale:
    scale = ViolationScale()
    for constraints in seen:
        scale = scale.including(constraints)
    return scale


def test_slack_in_one_constraint_never_offsets_the_violation_of_another() -> None:
    scale = scale_of({"a": 1.0, "b": 1.0})
    tight = scale.total_violation({"a": 0.5, "b": 0.0})
    slack = scale.total_violation({"a": 0.5, "b": -1e9})
    assert tight == slack == pytest.approx(0.5)


def test_violations_are_weighed_by_the_geometric_mean_of_those_seen() -> None:
    # Geometric means: a sqrt(10 * 1000) = 100; b 0.01.
    scale = scale_of({"a": 10.0, "b": -1.0}, {"a": 1000.0, "b": 0.01})
    assert scale.total_violation({"a": 50.0, "b": 0.02}) == pytest.approx(0.5 + 2.0)


def test_neither_slack_nor_infinity_counts_as_a_typical_violation() -> None:
    assert scale_of({"a": -3.0}, {"a": math.inf}, {"a": 0.0}).n_and_log_sum == {"a": (0, 0.0)}
    assert scale_of({"a": -3.0}).total_violation({"a": 2.0}) == pytest.approx(2.0)
    assert scale_of({}).total_violation({"a": math.inf, "b": 1.0}) == math.inf


@repeatable
@given(
    st.dictionaries(st.sampled_from("abc"), st.floats(allow_nan=False)),
    st.lists(st.dictionaries(st.sampled_from("abc"), st.floats(allow_nan=False)), max_size=4),
)
def test_a_result_violates_something_exactly_if_one_constraint_is_positive(
    constraints: dict[str, float], seen: list[dict[str, float]]
) -> None:
    # Also where the violation is tiny beside those seen before: the ratio must not round to 0.
    total = scale_of(*seen).total_violation(constraints)
    assert (total > 0.0) == any(c > 0.0 for c in constraints.values())


def test_a_tiny_violation_stays_one_beside_huge_ones() -> None:
    assert scale_of({"a": 1e300}).total_violation({"a": 1e-300}) > 0.0


@repeatable
@given(st.lists(st.floats(1e-6, 1e6), min_size=1, max_size=6), st.randoms())
def test_the_scale_does_not_depend_on_the_order_of_results(values: list[float], random) -> None:  # type: ignore[no-untyped-def]
    shuffled = list(values)
    random.shuffle(shuffled)
    one, other = (scale_of(*({"a": v} for v in order)) for order in (values, shuffled))
    assert one.total_violation({"a": 1.0}) == pytest.approx(other.total_violation({"a": 1.0}))
