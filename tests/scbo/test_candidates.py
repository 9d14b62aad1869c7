import numpy as np
import pytest

from optuna_snn.scbo.candidates import (
    MAX_NEIGHBOURS,
    draw_candidates,
    make_box,
    neighbours,
    perturbation_mask,
    sobol,
    whole_cube,
)
from optuna_snn.scbo.space import Categorical, Numeric, SearchSpace
from tests.helpers import MIXED, cube

SMALLEST, INITIAL = 2.0**-7, 0.8
INT, LOG_INT = Numeric(0, 99, step=1.0), Numeric(1, 1000, is_log=True, step=1.0)


def rng(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


def centre_of(space: SearchSpace, seed: int = 3) -> np.ndarray:
    return space.snap(rng(seed).random((1, space.n_dims)))[0]


def candidates(space: SearchSpace, center: np.ndarray, length: float, n: int = 500) -> np.ndarray:
    return draw_candidates(space, center, make_box(space, center, length, INITIAL), n, rng())


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("length", [SMALLEST, 0.1, INITIAL, 1.6])
def test_numeric_coordinates_stay_in_the_box_or_within_one_step(length: float, seed: int) -> None:
    center = centre_of(MIXED, seed)
    x = candidates(MIXED, center, length)
    assert (x >= 0).all() and (x <= 1).all()
    moved = np.abs(x - center)
    assert (moved[:, :2] <= length / 2 + 1e-12).all()
    # Snapping moves a coordinate by up to half a cell; the box holds one step at least.
    for j in (2, 3):
        dimension = MIXED.dimensions[j]
        assert isinstance(dimension, Numeric)
        ends = np.clip(center[j] + np.array([-length / 2, length / 2]), 0, 1)
        lowest, highest = dimension.decode(ends)
        value = dimension.decode(center[j : j + 1])[0]
        values = dimension.decode(x[:, j])
        assert values.min() >= min(lowest, value - 1)
        assert values.max() <= max(highest, value + 1)


def test_candidates_are_snapped() -> None:
    x = candidates(MIXED, centre_of(MIXED), 0.4)
    assert MIXED.snap(x) == pytest.approx(x, abs=1e-15)


@pytest.mark.parametrize("n_dims", [1, 2, 20, 21, 60, 300])
def test_each_candidate_moves_at_least_one_coordinate(n_dims: int) -> None:
    center = np.full(n_dims, 0.5)
    x = candidates(cube(n_dims), center, 0.4)
    assert (x != center).any(axis=1).all()


@pytest.mark.parametrize("n_dims", [1, 2, 5, 50])
def test_every_coordinate_gets_its_turn_also_the_last(n_dims: int) -> None:
    # A published implementation never forced the last coordinate.
    mask = perturbation_mask(20_000, n_dims, rng())
    expected = min(1.0, 20 / n_dims)
    # Binomial: five standard deviations of 20000 draws are at most 5 * 0.5 / 141 = 0.018.
    assert mask.mean(axis=0) == pytest.approx(np.full(n_dims, expected), abs=0.018)


def test_a_row_that_the_mask_left_empty_moves_any_coordinate_with_equal_probability() -> None:
    mask = perturbation_mask(9_000, 3, rng(), 0)
    assert (mask.sum(axis=1) == 1).all()
    # Standard deviation sqrt(9000 * 2/9) = 45: five of them.
    assert mask.sum(axis=0) == pytest.approx([3000, 3000, 3000], abs=225)


@pytest.mark.parametrize(("n_dims", "n_perturbed"), [(30, 20), (6, 20)])
def test_a_spread_mask_moves_from_one_coordinate_to_as_many_as_are_asked_for(
    n_dims: int, n_perturbed: int
) -> None:
    most = min(n_dims, n_perturbed)
    n_moved = perturbation_mask(20_000, n_dims, rng(), n_perturbed, is_spread=True).sum(axis=1)
    plain = perturbation_mask(20_000, n_dims, rng(), n_perturbed).sum(axis=1)
    # Half are as without; the mean of most^u for u uniform on (0, 1) is (most - 1) / log(most).
    expected = 0.5 * most + 0.5 * (most - 1) / np.log(most)
    assert n_moved.mean() == pytest.approx(expected, rel=0.03)  # at least one: a little more
    assert (n_moved == 1).mean() > 0.05 > (plain == 1).mean()
    assert n_moved.max() >= most


@pytest.mark.parametrize("dimension", [INT, LOG_INT, Numeric(0, 127, step=1.0)], ids=str)
@pytest.mark.parametrize("level", [0, 1, 50, -1])
def test_integers_never_freeze_at_the_smallest_length(dimension: Numeric, level: int) -> None:
    value = dimension.low + level if level >= 0 else dimension.high
    space = SearchSpace((dimension,))
    center = space.encode(np.array([[value]]))[0]
    reached = set(space.decode(candidates(space, center, SMALLEST))[:, 0])
    assert {v for v in (value - 1, value + 1) if dimension.low <= v <= dimension.high} <= reached


def test_a_flip_always_takes_another_choice_and_reaches_each_of_them() -> None:
    space = SearchSpace((Categorical(5),))
    for here in range(5):
        center = space.encode(np.array([[here]]))[0]
        values = space.decode(candidates(space, center, SMALLEST, 2000))[:, 0]
        others, counts = np.unique(values, return_counts=True)
        assert set(others) == set(range(5)) - {here}
        assert counts == pytest.approx(np.full(4, 500), abs=110)  # five standard deviations


@pytest.mark.parametrize(
    ("length", "most"), [(SMALLEST, 1), (0.2, 2), (0.4, 5), (INITIAL, 10), (1.6, 10)]
)
def test_the_number_of_flips_shrinks_with_the_box(length: float, most: int) -> None:
    # max(1, round(10 * min(1, L / 0.8))); round(2.5) is 2.
    space = SearchSpace((Categorical(4),) * 10 + (Numeric(0, 1),))
    center = centre_of(space)
    n_flips = (candidates(space, center, length, 3000)[:, :10] != center[:10]).sum(axis=1)
    assert n_flips.max() == most
    assert n_flips.min() == 0  # some leave all choices alone


def test_where_flips_are_dropped_something_else_moves() -> None:
    # 40 dimensions: the mask leaves the only number alone in half of the rows.
    space = SearchSpace((Categorical(3),) * 39 + (Numeric(0, 1),))
    center = centre_of(space)
    assert (candidates(space, center, SMALLEST, 3000) != center).any(axis=1).all()


def test_without_a_centre_the_whole_cube_is_filled() -> None:
    x = draw_candidates(MIXED, None, whole_cube(MIXED), 4000, rng())
    assert x.min(axis=0)[:2] == pytest.approx([0, 0], abs=0.01)
    assert x.max(axis=0)[:2] == pytest.approx([1, 1], abs=0.01)
    assert len(np.unique(MIXED.decode(x)[:, 4])) == 4
    assert len(np.unique(MIXED.decode(x)[:, 2])) == 10


def test_neighbours_are_all_points_one_step_or_one_choice_away() -> None:
    space = SearchSpace((Numeric(0, 4, step=2.0), Categorical(3), Numeric(0, 1)))
    found = {
        tuple(v)
        for v in space.decode(neighbours(space, space.encode(np.array([[2, 1, 0.5]]))[0], rng()))
    }
    assert found == {(0, 1, 0.5), (4, 1, 0.5), (2, 0, 0.5), (2, 2, 0.5)}


@pytest.mark.parametrize("dimension", [INT, LOG_INT, Numeric(0.0, 1.0, step=0.25)], ids=str)
def test_neighbours_at_the_edges_lie_within_the_bounds(dimension: Numeric) -> None:
    space = SearchSpace((dimension,))
    assert dimension.step is not None
    for value, other in [
        (dimension.low, dimension.low + dimension.step),
        (dimension.high, dimension.high - dimension.step),
    ]:
        around = neighbours(space, space.encode(np.array([[value]]))[0], rng())
        assert space.decode(around).tolist() == [[other]]


def test_neighbours_of_a_continuous_point_are_none() -> None:
    assert neighbours(cube(3), np.full(3, 0.5), rng()).shape == (0, 3)


def test_neighbours_among_thousands_of_choices_are_a_bounded_random_part() -> None:
    space = SearchSpace((Categorical(5000), Categorical(3), INT))
    center = centre_of(space)
    around = neighbours(space, center, rng())
    assert len(around) == MAX_NEIGHBOURS
    assert ((np.abs(around - center) > 1e-12).sum(axis=1) == 1).all()
    assert len(np.unique(around, axis=0)) == MAX_NEIGHBOURS


def test_skipping_in_the_sobol_sequence_continues_it() -> None:
    points = sobol(3, 20, seed=5)
    for skip in (0, 1, 7, 19):
        assert sobol(3, 1, seed=5, skip=skip)[0] == pytest.approx(points[skip], abs=1e-12)
    assert not np.allclose(sobol(3, 20, seed=6), points)


def test_sobol_points_fill_each_half_of_each_axis_evenly_and_serve_any_dimension() -> None:
    assert (sobol(5, 64, seed=0) < 0.5).sum(axis=0).tolist() == [32] * 5
    many = sobol(30_000, 2, seed=0)
    assert many.shape == (2, 30_000) and ((many >= 0) & (many < 1)).all()
    assert (many != sobol(30_000, 2, seed=0, skip=1)).any()


def test_boxes_are_clipped_to_the_cube_and_leave_the_centre_untouched() -> None:
    center = np.array([0.0, 1.0, 0.5])
    box = make_box(cube(3), center, 0.5, INITIAL)
    assert box.low.tolist() == [0.0, 0.75, 0.25]
    assert box.high.tolist() == [0.25, 1.0, 0.75]
    assert center.tolist() == [0.0, 1.0, 0.5]


def test_a_box_with_sides_has_the_volume_of_the_box_without_them() -> None:
    sides = np.array([0.5, 4.0, 0.25, 2.0])
    assert sides.prod() == 1.0
    center = np.full(4, 0.5)
    equal = make_box(cube(4), center, 0.2, INITIAL)
    longer = make_box(cube(4), center, 0.2, INITIAL, sides)
    assert longer.high - longer.low == pytest.approx(0.2 * sides)
    assert (longer.low + longer.high) / 2 == pytest.approx(center)
    assert (longer.high - longer.low).prod() == pytest.approx((equal.high - equal.low).prod())
    assert (equal.high - equal.low).prod() == pytest.approx(0.2**4)


def test_a_box_with_sides_is_clipped_holds_one_step_and_keeps_the_number_of_flips() -> None:
    center = centre_of(MIXED)
    sides = np.array([50.0, 1e-3, 1e-3, 1e-3, 20.0])
    box, equal = (make_box(MIXED, center, 0.1, INITIAL, s) for s in (sides, None))
    assert (box.low >= 0).all() and (box.high <= 1).all()
    assert (box.low[0], box.high[0]) == (0.0, 1.0)
    assert box.high[1] - box.low[1] == pytest.approx(1e-4)
    for j in (2, 3):
        dimension = MIXED.dimensions[j]
        assert isinstance(dimension, Numeric)
        below, above = dimension.adjacent(float(center[j]))
        assert box.low[j] <= below < above <= box.high[j]
    assert box.max_flips == equal.max_flips
    assert sides.tolist() == [50.0, 1e-3, 1e-3, 1e-3, 20.0]
