"""Which coordinates points of a conditional space have, and what decides that."""

import math

import numpy as np
import pytest

from optuna_snn.scbo import patterns as patterns_module
from optuna_snn.scbo.patterns import (
    MAX_COMPLETIONS,
    MAX_LEVELS,
    MAX_NEW,
    MAX_SEEN,
    Pattern,
    conditions_of,
    decided,
    impute,
    imputed,
)
from optuna_snn.scbo.patterns import patterns_of as patterns_beside
from optuna_snn.scbo.space import Array, Categorical, Numeric, SearchSpace
from tests.scbo.helpers import changed, observations

NAN = math.nan
ENCODER, RATE, DELTA, DECODER, LEARNER, MOMENTUM, SHARED = range(7)
TREE = SearchSpace(
    (
        Categorical(3),  # encoder: the first has a rate, the second a delta
        Numeric(0.0, 1.0),  # rate
        Numeric(0, 9, step=1.0),  # delta
        Categorical(4),  # decoder: the last is never tried, the third is learnt
        Categorical(2),  # learner, of a learnt decoder
        Numeric(0.0, 1.0),  # momentum, of the second learner
        Numeric(0.0, 1.0),  # what all have
    )
)


def patterns_of(space: SearchSpace, x: Array, near: Array | None, seed: int = 0) -> list[Pattern]:
    beside = [] if near is None else [near]
    rng = np.random.default_rng(seed)
    return patterns_beside(space, conditions_of(space, x), x, beside, rng)


def choice(dim: int, index: int) -> float:
    return (index + 0.5) / TREE.n_levels[dim]


def points_of_tree(n: int, seed: int = 0) -> Array:
    """Random points of the tree, worked out by its conditions."""
    rng = np.random.default_rng(seed)
    x = TREE.snap(rng.random((n, TREE.n_dims)))
    x[:, DECODER] = [choice(DECODER, int(k)) for k in rng.integers(0, 3, n)]
    for row in x:
        if row[ENCODER] != choice(ENCODER, 0):
            row[RATE] = NAN
        if row[ENCODER] != choice(ENCODER, 1):
            row[DELTA] = NAN
        if row[DECODER] != choice(DECODER, 2):
            row[LEARNER] = NAN
        if row[LEARNER] != choice(LEARNER, 1):
            row[MOMENTUM] = NAN
    return x


def kind_of(pattern: Pattern) -> tuple[float, ...]:
    """The deciding coordinates that a pattern holds, -1 for those that are not there."""
    deciding = (ENCODER, DECODER, LEARNER)
    return tuple(pattern.held[q] if pattern.is_active[q] else -1.0 for q in deciding)


@pytest.mark.parametrize("seed", range(5))
def test_the_conditions_of_a_tree_are_found(seed: int) -> None:
    found = conditions_of(TREE, points_of_tree(60, seed))
    assert dict(found.by) == {RATE: ENCODER, DELTA: ENCODER, LEARNER: DECODER, MOMENTUM: LEARNER}
    assert {r: sorted(values) for r, values in found.values.items()} == {
        RATE: [choice(ENCODER, 0)],
        DELTA: [choice(ENCODER, 1)],
        LEARNER: [choice(DECODER, 2)],
        MOMENTUM: [choice(LEARNER, 1)],
    }
    assert {q: len(values) for q, values in found.seen.items()} == {
        ENCODER: 3,
        DECODER: 3,
        LEARNER: 2,
    }


def test_a_coordinate_whose_values_hardly_repeat_decides_nothing() -> None:
    space = SearchSpace((Numeric(0, 99, step=1.0), Numeric(0.0, 1.0)))
    x = np.column_stack([(np.arange(20) + 0.5) / 100, np.full(20, 0.5)])
    x[::2, 1] = NAN
    assert not conditions_of(space, x).by
    often = np.tile(x, (2, 1))
    assert dict(conditions_of(space, often).by) == {1: 0}


@pytest.mark.parametrize("order", [[0, 1, 2], [1, 0, 2]])
def test_of_two_coordinates_that_tell_it_the_one_of_fewer_values_decides(order: list[int]) -> None:
    # Four values, of which the first two are one of the other coordinate's two values.
    space = SearchSpace(
        tuple([Categorical(4), Categorical(2), Numeric(0.0, 1.0)][j] for j in order)
    )
    four = np.tile(np.arange(4), 4)
    x = np.column_stack([(four + 0.5) / 4, (four // 2 + 0.5) / 2, np.full(16, 0.5)])
    x[four < 2, 2] = NAN
    assert dict(conditions_of(space, x[:, order]).by) == {2: order.index(1)}


def test_several_deciding_coordinates_may_be_new_at_once() -> None:
    """A switch brings two choices, each of which may bring a number: four combinations."""
    space = SearchSpace((*(Categorical(2),) * 3, *(Numeric(0.0, 1.0),) * 2))
    off, on = 0.25, 0.75
    tried = [(on, on, on), (on, off, off), (on, off, on), (off, NAN, NAN)] * 4
    x = np.array([(*kind, *(0.5 if v == on else NAN for v in kind[1:])) for kind in tried])
    here = np.array([off, NAN, NAN, NAN, NAN])
    patterns = patterns_of(space, x, here)
    assert len(patterns) == 5
    (new,) = [p for p in patterns if p.held[:3] == (on, on, off)]  # never tried together
    assert new.is_active == (True, True, True, True, False)


def test_a_coordinate_that_is_there_with_some_of_the_points_of_a_value_is_not_decided() -> None:
    x = points_of_tree(60)
    row = int(np.flatnonzero(~np.isnan(x[:, RATE]))[0])
    x[row, RATE] = NAN
    assert RATE not in conditions_of(TREE, x).by


@pytest.mark.parametrize("seed", range(5))
def test_each_point_has_one_pattern(seed: int) -> None:
    x = points_of_tree(40, seed)
    patterns = patterns_of(TREE, x, None)
    filled = imputed(TREE, x)
    for raw, point in zip(x, filled, strict=True):
        own = [p for p in patterns if p.has(point[None])[0]]
        assert len(own) == 1 and list(own[0].is_active) == (~np.isnan(raw)).tolist()
        # What is not there is held, and what decides; all else is free.
        decides = np.isin(np.arange(TREE.n_dims), [ENCODER, DECODER, LEARNER])
        assert own[0].is_free.tolist() == (~np.isnan(raw) & ~decides).tolist()
    assert len(patterns) == len({kind_of(p) for p in patterns})


def test_patterns_next_to_a_point_have_one_other_value_and_what_it_decides() -> None:
    x = points_of_tree(60)
    here = np.array([choice(ENCODER, 1), NAN, 0.55, choice(DECODER, 0), NAN, NAN, 0.3])
    seen = {str(p) for p in patterns_of(TREE, here[None].repeat(2, axis=0), None)}
    assert len(seen) == 1
    known = x[x[:, ENCODER] != choice(ENCODER, 2)]  # an encoder that was never tried
    before = {kind_of(p) for p in patterns_of(TREE, known, None)}
    new = {kind_of(p): p for p in patterns_of(TREE, known, here)}
    first, second = choice(ENCODER, 0), choice(ENCODER, 1)
    decoders = [choice(DECODER, k) for k in range(4)]
    assert {
        (choice(ENCODER, 2), decoders[0], -1.0),
        (second, decoders[3], -1.0),
    } <= set(new) - before
    assert all((kind[0] != second) + (kind[1] != decoders[0]) == 1 for kind in set(new) - before)
    assert {
        (first, decoders[0], -1.0),
        (second, decoders[1], -1.0),
        (second, decoders[2], choice(LEARNER, 0)),
        (second, decoders[2], choice(LEARNER, 1)),
    } <= set(new)
    learnt = new[second, decoders[2], choice(LEARNER, 1)]
    assert [learnt.is_active[k] for k in (RATE, DELTA, MOMENTUM)] == [False, True, True]
    # An encoder that was never tried has neither rate nor delta, as far as is known.
    assert [new[choice(ENCODER, 2), decoders[0], -1.0].is_active[k] for k in (RATE, DELTA)] == [
        False,
        False,
    ]


def test_a_combination_that_was_never_tried_is_a_pattern_beside_one_that_was() -> None:
    x = points_of_tree(80)
    is_both = (x[:, ENCODER] == choice(ENCODER, 0)) & (x[:, LEARNER] == choice(LEARNER, 1))
    here = x[(x[:, ENCODER] == choice(ENCODER, 1)) & (x[:, LEARNER] == choice(LEARNER, 1))][0]
    patterns = patterns_of(TREE, x[~is_both], here)
    own = [p for p in patterns if kind_of(p)[::2] == (choice(ENCODER, 0), choice(LEARNER, 1))]
    assert len(own) == 1
    assert [own[0].is_active[k] for k in (RATE, DELTA, MOMENTUM)] == [True, False, True]


def test_the_patterns_of_the_first_points_are_kept() -> None:
    n = 3 * MAX_SEEN
    space = SearchSpace((Categorical(n), Numeric(0.0, 1.0), Numeric(0.0, 1.0)))
    x = np.full((2 * n, 3), 0.5)
    x[:, 0] = np.tile((np.arange(n) + 0.5) / n, 2)
    x[n // 2 : n, 1] = x[n + n // 2 :, 1] = NAN
    patterns = patterns_of(space, x, x[0])
    assert len(patterns) == MAX_SEEN + MAX_NEW
    assert [p.held[0] for p in patterns[:MAX_SEEN]] == x[:MAX_SEEN, 0].tolist()


def test_points_are_imputed_in_what_they_lack_and_nowhere_else() -> None:
    x = points_of_tree(10)
    filled = imputed(TREE, x)
    assert np.array_equal(filled[~np.isnan(x)], x[~np.isnan(x)])
    np.testing.assert_allclose(TREE.snap(filled), filled, atol=1e-12)
    assert set(filled[np.isnan(x[:, RATE]), RATE]) == {0.5}
    assert set(filled[np.isnan(x[:, DELTA]), DELTA]) <= {0.45, 0.55}
    known = changed(observations(TREE, n=10), x=x, tried=x, center=x[0], failed=x[:2])
    known = impute(TREE, changed(known, pending=x[2:4]))
    for points, raw in ((known.x, x), (known.tried, x), (known.failed, x[:2])):
        assert np.array_equal(points, imputed(TREE, raw))
    assert known.center is not None and np.array_equal(known.center, filled[0])
    assert np.array_equal(known.pending, filled[2:4])


@pytest.mark.parametrize("n_layers", [4, 12])
def test_layers_that_each_decide_something_are_completed_in_few_ways(
    n_layers: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One change may bring eleven choices of three, each with a number: 177147 combinations."""
    monkeypatch.setattr(patterns_module, "MAX_NEW", 10**6)
    depth = Categorical(n_layers)
    space = SearchSpace((depth, *(Categorical(3),) * n_layers, *(Numeric(0.0, 1.0),) * n_layers))
    rng = np.random.default_rng(0)
    x = np.full((60 * n_layers, space.n_dims), NAN)
    for k, row in enumerate(x):
        n = k % n_layers + 1
        row[0] = (n - 0.5) / n_layers
        row[1 : n + 1] = (rng.integers(0, 3, n) + 0.5) / 3
        has_number = row[1 : n + 1] > 0.4
        row[n_layers + 1 : n_layers + n + 1][has_number] = 0.5
    near = x[0]
    found = patterns_of(space, x[:1].repeat(2, axis=0), None)
    assert len(found) == 1
    conditions = conditions_of(space, x)
    assert len(conditions.seen) == n_layers + 1
    beside = patterns_beside(space, conditions, x[:1], [near], rng)
    # One layer's type may change to two others, and the depth to n - 1 others.
    assert n_layers <= len(beside) <= 3 + MAX_COMPLETIONS * (n_layers - 1)


def test_all_values_of_many_are_looked_at_in_turn() -> None:
    n = 3 * MAX_LEVELS
    space = SearchSpace((Categorical(n), Numeric(0.0, 1.0)))
    x = np.full((8, 2), 0.5)
    x[:, 0], x[::2, 1] = [0.5 / n, 1.5 / n] * 4, NAN
    seen = set()
    for seed in range(60):
        patterns = patterns_of(space, x, x[0], seed)
        assert len(patterns) <= 2 + MAX_NEW
        seen |= {p.held[0] for p in patterns}
    assert len(seen) == n


@pytest.mark.parametrize("seed", range(3))
def test_what_a_search_can_choose_is_decided_through_one_another(seed: int) -> None:
    x = points_of_tree(60, seed)
    shared = ~np.isnan(x).any(axis=0)
    assert decided(conditions_of(TREE, x), shared).all()
    row = int(np.flatnonzero(~np.isnan(x[:, LEARNER]))[0])
    x[row, [LEARNER, MOMENTUM]] = NAN  # a learner is missing where there was always one
    found = decided(conditions_of(TREE, x), shared)
    assert np.flatnonzero(~found).tolist() == [LEARNER, MOMENTUM]


def test_one_coordinate_of_many_values_does_not_hide_the_others() -> None:
    space = SearchSpace((*(Categorical(MAX_LEVELS),) * 2, *(Numeric(0.0, 1.0),) * 2))
    values = (np.arange(2) + 0.5) / MAX_LEVELS
    x = np.array([[p, q, *(0.5 if v == values[0] else NAN for v in (p, q))]
                  for p in values for q in values] * 2)  # fmt: skip
    patterns = patterns_of(space, x, x[0])
    assert len(patterns) == 4 + MAX_NEW
    changed = np.array([p.held[:2] for p in patterns[4:]]) != x[0, :2]
    assert changed.sum(axis=0).min() >= MAX_NEW // 4
