"""The benchmark's formulas have the optima that are known of them."""

import numpy as np
import pytest

from benchmarks.problems import PROBLEMS

KNOWN = {
    # Found by differential evolution in two implementations other than this one.
    "pressure4": ([13.0, 7.0, 42.0984, 176.637], 6059.7143, 1.0),
    "welded4": ([0.20573, 3.47049, 9.03662, 0.20573], 1.724852, 1e-3),
    "gramacy2": ([0.19512, 0.40467], 0.599788, 1e-5),
    "spring3": ([0.05169, 0.35672, 11.289], 0.012665, 1e-4),
    "speed7": ([3.5, 0.7, 17.0, 7.3, 7.71532, 3.35021, 5.28665], 2994.471, 0.1),
    "hartmann6": ([0.20169, 0.150011, 0.476874, 0.275332, 0.311652, 0.6573], -3.322368, 1e-5),
    "ackley10": ([0.0] * 10, 0.0, 1e-12),
}


@pytest.mark.parametrize("name", KNOWN)
def test_known_optima_are_feasible_and_have_their_value(name: str) -> None:
    problem = PROBLEMS[name]
    x, optimum, tolerance = KNOWN[name]
    value, constraints = problem.evaluate(dict(zip(problem.space, x, strict=True)))
    assert value == pytest.approx(optimum, abs=tolerance)
    # The points are rounded to five digits, and on the boundary of active constraints.
    scale = {"pressure4": 100.0, "welded4": 5.0}.get(name, 1e-3)
    assert max(constraints) <= scale


@pytest.mark.parametrize("name", PROBLEMS)
def test_random_points_have_finite_values_and_as_many_constraints_as_said(name: str) -> None:
    import optuna

    problem = PROBLEMS[name]
    study = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=0))
    for _ in range(50):
        value, constraints = problem.evaluate(study.ask(dict(problem.space)).params)
        assert np.isfinite([value, *constraints]).all()
        assert len(constraints) == problem.n_constraints
        if problem.optimum is not None and all(c <= 0 for c in constraints):
            assert value >= problem.optimum - 1e-9 * abs(problem.optimum)
