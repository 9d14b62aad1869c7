import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from optuna_snn.scbo.space import MAX_ONE_HOT, Categorical, Dimension, Numeric, SearchSpace
from tests.helpers import MIXED, dimensions, repeatable, values_of

EXTREME = [
    Numeric(-1e308, 1e308),
    Numeric(0.0, 1e-300),
    Numeric(-3e-301, 1e-300),
    Numeric(1e-300, 1e300, is_log=True),
    Numeric(1e-308, 1.0, is_log=True),
    Numeric(1e307, 1e308, is_log=True),
    Numeric(1.0, np.nextafter(1.0, 2.0)),
    Numeric(1e15, 1e15 + 8, step=1.0),
    Numeric(-(2**40), 2**40, step=1.0),
    Numeric(1, 2**40, is_log=True, step=1.0),
    Numeric(0, 1, step=1.0),
    Numeric(1, 2, is_log=True, step=1.0),
    Numeric(-0.3, 0.7, step=0.1),
]


@repeatable
@given(dimensions(), st.lists(st.floats(0, 1, exclude_max=True), min_size=1, max_size=20))
def test_decode_inverts_encode_on_every_kind_of_dimension(d: Dimension, u: list[float]) -> None:
    values = values_of(d, np.array(u))
    x = d.encode(values)
    assert (x >= 0).all() and (x <= 1).all()
    # exp(log v) has a relative error of |log v| ulps; steps and choices come back exactly.
    span = 1.0 if isinstance(d, Categorical) else max(abs(d.low), abs(d.high))
    tolerance = 1e-12 * span if np.isfinite(d.n_levels) else 1e-12 * (span + np.abs(values) * 1e3)
    assert (np.abs(d.decode(x) - values) <= tolerance).all()


@repeatable
@given(dimensions(), st.lists(st.floats(0, 1), min_size=1, max_size=20))
def test_decoded_values_lie_within_the_bounds_and_on_the_grid(
    d: Dimension, u: list[float]
) -> None:
    _assert_valid(d, d.decode(np.array([*u, 0.0, 1.0])))


@pytest.mark.parametrize("d", EXTREME, ids=str)
def test_extreme_bounds_neither_overflow_nor_leave_the_range(d: Numeric) -> None:
    x = np.linspace(0, 1, 101)
    values = d.decode(x)
    _assert_valid(d, values)
    assert values[0] == pytest.approx(d.low, rel=1e-12)
    assert values[-1] == pytest.approx(d.high, rel=1e-12)
    assert (np.diff(values) >= -np.spacing(np.abs(values).max())).all()  # up to one rounding
    if not np.isfinite(d.n_levels) and d.high / 2 - d.low / 2 > 1e-15 * abs(d.high):
        assert d.encode(values) == pytest.approx(x, abs=1e-9)


def _assert_valid(d: Dimension, values: np.ndarray) -> None:
    assert np.isfinite(values).all()
    if isinstance(d, Categorical):
        assert set(values) <= set(range(d.n_choices))
        return
    assert (values >= d.low).all() and (values <= d.high).all()
    if d.step is not None:
        level = (values - d.low) / d.step
        assert level == pytest.approx(np.round(level), abs=1e-6)


@repeatable
@given(st.lists(dimensions(), min_size=1, max_size=4), st.integers(0, 2**32))
def test_snapping_twice_is_snapping_once_and_changes_no_value(
    ds: list[Dimension], seed: int
) -> None:
    space = SearchSpace(tuple(ds))
    x = np.random.default_rng(seed).random((7, space.n_dims))
    given_x = x.copy()
    snapped = space.snap(x)
    assert (x == given_x).all()  # the caller's array is left alone
    assert space.snap(snapped) == pytest.approx(snapped, abs=1e-12)
    assert space.decode(snapped) == pytest.approx(space.decode(x), rel=1e-9, abs=1e-9)
    assert (snapped[:, ~space.is_discrete] == x[:, ~space.is_discrete]).all()


def test_linear_grid_points_are_the_centres_of_equal_cells() -> None:
    # Four levels: cells of width 1/4 with centres 1/8, 3/8, 5/8, 7/8.
    assert Numeric(2, 8, step=2.0).encode(np.array([2.0, 4, 6, 8])) == pytest.approx(
        [0.125, 0.375, 0.625, 0.875]
    )


def test_a_logarithmic_cell_reaches_half_a_step_to_both_sides() -> None:
    # 1..4 spans log 0.5 .. log 4.5; below log 1.5 the nearest integer is 1.
    d = Numeric(1, 4, is_log=True, step=1.0)
    edge = np.log(1.5 / 0.5) / np.log(4.5 / 0.5)
    assert list(d.decode(np.array([edge - 1e-6, edge + 1e-6]))) == [1.0, 2.0]


@pytest.mark.parametrize("d", [Numeric(0, 9, step=1.0), Numeric(1, 1000, is_log=True, step=1.0)])
def test_adjacent_coordinates_are_one_step_away_and_end_at_the_bounds(d: Numeric) -> None:
    for value in (d.low, d.low + 1, d.low + 5, d.high - 1, d.high):
        x = float(d.encode(np.array([value]))[0])
        below, above = d.decode(np.array(d.adjacent(x)))
        assert below == max(value - 1, d.low)
        assert above == min(value + 1, d.high)
    assert Numeric(0, 1).adjacent(0.3) == (0.3, 0.3)


def test_every_level_of_a_grid_is_reached_with_equal_probability() -> None:
    values = Numeric(3, 12, step=3.0).decode(np.linspace(0, 1, 4001))
    counts = np.unique(values, return_counts=True)[1]
    assert counts == pytest.approx([1000, 1000, 1000, 1000], abs=1)


@pytest.mark.parametrize("n", [2, 3, MAX_ONE_HOT])
def test_choices_lie_at_distance_one_from_each_other(n: int) -> None:
    code = Categorical(n).code
    distance = np.linalg.norm(code[:, None] - code[None], axis=-1)
    assert distance == pytest.approx(1 - np.eye(n))


def test_codes_of_thousands_of_choices_are_narrow_distinct_and_about_one_apart() -> None:
    code = Categorical(5000).code
    assert code.shape == (5000, MAX_ONE_HOT)
    distance = np.linalg.norm(code[:400, None] - code[None, :400], axis=-1)
    off = distance[~np.eye(400, dtype=bool)]
    # Squared distances are 1 - cos of random directions: sd 1/sqrt(32) = 0.18 around 1.
    assert off.min() > 0.4
    assert (off**2).mean() == pytest.approx(1.0, abs=0.01)
    assert (off**2).std() == pytest.approx(1 / np.sqrt(MAX_ONE_HOT), rel=0.1)


def test_the_codes_are_the_same_in_every_instance() -> None:
    assert (Categorical(100).code == Categorical(100).code).all()


def test_features_are_coordinates_and_the_codes_of_choices() -> None:
    values = np.array([[1.0, 0.01, 4, 10, 2], [1.0, 0.01, 4, 10, 0]])
    x = MIXED.encode(values)
    features = MIXED.features(x)
    assert features.shape == (2, 8)
    assert list(MIXED.feature_dims) == [0, 1, 2, 3, 4, 4, 4, 4]
    assert (features[:, :4] == x[:, :4]).all()
    assert np.linalg.norm(features[0] - features[1]) == pytest.approx(1.0)


def test_counts_of_levels_and_points() -> None:
    assert list(MIXED.n_levels) == [np.inf, np.inf, 10, 1000, 4]
    assert MIXED.n_points == np.inf
    assert SearchSpace((Categorical(3), Numeric(0, 4, step=2.0))).n_points == 9
    assert SearchSpace((Categorical(10**6),) * 60).n_points == np.inf  # beyond floats, no warning


def test_the_levels_of_the_widest_grid_can_be_counted() -> None:
    assert Numeric(-1e308, 1e308, step=1e300).n_levels == 200_000_001


def test_rounding_moves_continuous_coordinates_by_half_a_millionth_and_no_others() -> None:
    x = MIXED.snap(np.random.default_rng(0).random((50, MIXED.n_dims)))
    rounded = MIXED.rounded(x)
    assert (rounded[:, MIXED.is_discrete] == x[:, MIXED.is_discrete]).all()
    assert 0 < np.abs(rounded - x).max() <= 0.5e-6 * (1 + 1e-6)
    assert (MIXED.rounded(rounded) == rounded).all()
