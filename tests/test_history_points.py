"""Parameters of trials become points of the unit cube, and points parameters."""

import numpy as np
import optuna
import pytest
from optuna.distributions import (
    BaseDistribution,
    CategoricalDistribution,
    FloatDistribution,
    IntDistribution,
)

from optuna_snn import history
from tests.helpers import finished_trial

DISTRIBUTIONS: dict[str, BaseDistribution] = {
    "choice": CategoricalDistribution([None, True, 1.5, "z"]),
    "float": FloatDistribution(-1, 3),
    "int": IntDistribution(2, 11, step=3),
    "log": FloatDistribution(1e-5, 1e5, log=True),
    "log int": IntDistribution(1, 100, log=True),
    "step": FloatDistribution(0.1, 0.7, step=0.1),
}


def test_parameters_and_points_are_inverse_and_plain_python() -> None:
    space = history.to_space(DISTRIBUTIONS)
    for u in np.random.default_rng(0).random((50, 6)):
        params = history.to_params(space.snap(u[None])[0], DISTRIBUTIONS, space)
        assert type(params["int"]) is int and type(params["log int"]) is int
        assert type(params["float"]) is float and type(params["step"]) is float
        x, is_inside = history.to_points([params], DISTRIBUTIONS, space)
        assert is_inside.tolist() == [True]
        back = history.to_params(x[0], DISTRIBUTIONS, space)
        for name in ("float", "log"):
            assert back.pop(name) == pytest.approx(params.pop(name), rel=1e-12)
        assert back == params


def test_values_of_a_grid_that_differ_by_rounding_are_one_point() -> None:
    # 0.1 + 0.2 is not 0.3 in binary: a user may enqueue either.
    distributions = {"step": DISTRIBUTIONS["step"]}
    params = [{"step": 0.3}, {"step": 0.1 + 0.2}]
    x, _ = history.to_points(params, distributions, history.to_space(distributions))
    assert x[0].tobytes() == x[1].tobytes()


@pytest.mark.parametrize(
    "change",
    [{"float": 3.5}, {"int": 4}, {"choice": "y"}, {"log": None}, {"step": None, "int": 2}],
)
def test_parameters_outside_the_space_are_told_apart(change: dict[str, object]) -> None:
    good = {"choice": "z", "float": 0.0, "int": 5, "log": 1.0, "log int": 7, "step": 0.2}
    bad = {name: value for name, value in (good | change).items() if value is not None}
    x, is_inside = history.to_points([good, bad], DISTRIBUTIONS, history.to_space(DISTRIBUTIONS))
    assert is_inside.tolist() == [True, False]
    assert np.isnan(x[1]).all() and np.isfinite(x[0]).all()


@pytest.mark.parametrize("stored", ['{"epoch": 0}', '{"length": 0.8, "of": "another version"}'])
def test_a_tag_of_another_version_is_no_tag(stored: str) -> None:
    study = optuna.create_study()
    study.add_trial(finished_trial({"x": 0.5}, 1.0))
    trial = study.get_trials(deepcopy=False)[0]
    trial.system_attrs[history.TAG_KEY] = stored
    assert history.read_tag(trial) is None
