"""What tests of several steps share: things that were observed, and draws given them."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from optuna_snn.scbo import fitting, surrogate
from optuna_snn.scbo.candidates import Box, make_box, whole_cube
from optuna_snn.scbo.models import FitStart, fit_models, relative_sides
from optuna_snn.scbo.observations import Observations
from optuna_snn.scbo.options import DEFAULT, Options
from optuna_snn.scbo.paths import Path, draw_path
from optuna_snn.scbo.space import Categorical, Numeric, SearchSpace
from optuna_snn.scbo.suggest import Suggestion
from optuna_snn.scbo.surrogate import Data, Hyperparameters
from optuna_snn.scbo.thompson import Draws
from tests.helpers import MIXED, cube

CPU = torch.device("cpu")
START = FitStart(CPU)
LENGTH_INIT = 0.8
DISCRETE = SearchSpace((Numeric(0, 9, step=1.0), Categorical(4), Numeric(1, 50, True, 1.0)))
SPACES = {"continuous": cube(3), "mixed": MIXED, "discrete": DISCRETE, "one dimension": cube(1)}


def observations(
    space: SearchSpace, n: int = 12, n_constraints: int = 1, seed: int = 0, center: int | None = 0
) -> Observations:
    """Random results at random points; the point of row `center` is the incumbent's."""
    rng = np.random.default_rng(seed)
    x = space.snap(rng.random((n, space.n_dims)))
    none = np.empty((0, space.n_dims))
    return Observations(
        x=x,
        y=rng.standard_normal(n),
        c=rng.standard_normal((n, n_constraints)),
        center=None if center is None else x[center],
        pending=none,
        tried=x,
        failed=none,
    )


def changed(known: Observations, **arrays: np.ndarray) -> Observations:
    return Observations(**{**vars(known), **arrays})


def log_likelihoods(data: Data, hyper: Hyperparameters) -> np.ndarray:
    """Log marginal likelihood of each output (B,)."""
    thetas = enumerate(hyper.pack())
    return np.array(
        [fitting.log_likelihood(fitting.observed_rows(data, b), theta)[0] for b, theta in thetas]
    )


def path_in(space: SearchSpace, n_constraints: int, seed: int, n_draws: int = 1) -> Path:
    """A drawn path after 15 random observations; about half of the points are feasible."""
    rng = np.random.default_rng(seed)
    x = space.snap(rng.random((15, space.n_dims)))
    outputs = rng.standard_normal((15, 1 + n_constraints))
    outputs[:, 1:] -= 0.3
    data = surrogate.make_data(
        space.features(x), outputs, space.feature_dims, space.n_dims, torch.device("cpu")
    )
    packed = np.tile(
        [math.log(0.4)] * space.n_dims + [math.log(1e-2), 0.0], (1 + n_constraints, 1)
    )
    hyper = Hyperparameters.unpack(packed, torch.device("cpu"))
    return draw_path(surrogate.condition(data, hyper), rng, n_draws, n_fourier=64)


def brute_force_order(draws: Draws) -> list[tuple[bool, float, float]]:
    """The sorting key of each candidate, written plainly; smaller is better."""
    keys = []
    for i, objective in enumerate(draws.objective):
        own = draws.constraints[:, :, i]
        if all(c <= 0 for c in own.flat):
            keys.append((False, 0.0, -objective))
        else:
            # The total violation of each draw, and the mean of these.
            totals = [sum(max(c, 0.0) for c in draw) for draw in own.T]
            keys.append((True, sum(totals) / len(totals), -objective))
    return keys


def box_of(
    space: SearchSpace, known: Observations, length: float, options: Options, own: Suggestion
) -> Box:
    """The box that the suggestion was asked to lie in."""
    if options.seeking_box == "cube" and np.isnan(known.y).all():
        assert own.side is None
        return whole_cube(space)
    sides = None
    if options.box == "lengthscales":
        sides = relative_sides(fit_models(space, known, START, options))
    center = known.center if own.center is None else known.x[own.center]
    assert center is not None and own.side is not None and length <= own.side <= LENGTH_INIT
    return make_box(space, center, own.side, LENGTH_INIT, sides)


def is_in(box: Box, space: SearchSpace, x: np.ndarray) -> bool:
    """Whether the box has a snapped point; a cell that its edge runs through belongs to it."""
    low, high = (space.snap(edge[None])[0] for edge in (box.low, box.high))
    is_inside = (x >= np.minimum(low, box.low) - 1e-12) & (x <= np.maximum(high, box.high) + 1e-12)
    return bool(is_inside[~space.is_categorical].all())


def assert_is_right(
    suggestion: Suggestion,
    space: SearchSpace,
    known: Observations,
    length: float,
    options: Options = DEFAULT,
) -> None:
    """A snapped point of the box, or of the initial box around the best of another choice."""
    x = suggestion.x
    assert x.shape == (space.n_dims,)
    assert space.snap(x[None])[0] == pytest.approx(x, abs=1e-12)
    boxes = [box_of(space, known, length, options, suggestion)]
    center = known.center if suggestion.center is None else known.x[suggestion.center]
    if options.is_each_choice_refined:
        differs = (known.x != center)[:, space.is_categorical].any(axis=1)
        boxes += [make_box(space, p, LENGTH_INIT, LENGTH_INIT) for p in known.x[differs]]
    assert any(is_in(box, space, x) for box in boxes)
    assert suggestion.predicted_feasible is not None
    assert 0 <= suggestion.predicted_feasible <= 1
