from dataclasses import fields
from typing import Any

import optuna
import pytest
from optuna.distributions import (
    BaseDistribution,
    CategoricalDistribution,
    FloatDistribution,
    IntDistribution,
)
from optuna.trial import FixedTrial

from optuna_snn.objectives.search_space import SearchSpace
from optuna_snn.objectives.slayer.config import SLAYERConfig, slayer_config
from optuna_snn.objectives.slayer.plan import plan_network
from optuna_snn.objectives.slayer.spaces import (
    EXPERIMENT_3_AS_RUN,
    EXPERIMENT_3_RELEASED,
    EXPERIMENT_3_SETUP,
    EXPERIMENT_4_AS_RUN,
    EXPERIMENT_4_RELEASED,
    EXPERIMENT_4_SETUP,
    SLAYER_DIGITS,
    checked_slayer_space,
    suggest_slayer_config,
)

SPACES = {
    "3 released": EXPERIMENT_3_RELEASED,
    "3 as run": EXPERIMENT_3_AS_RUN,
    "4 released": EXPERIMENT_4_RELEASED,
    "4 as run": EXPERIMENT_4_AS_RUN,
    "digits": SLAYER_DIGITS,
}
spaces = pytest.mark.parametrize("space", SPACES.values(), ids=SPACES)


def middle(distribution: BaseDistribution) -> Any:
    if isinstance(distribution, CategoricalDistribution):
        return distribution.choices[-1]
    assert isinstance(distribution, FloatDistribution | IntDistribution)
    centre = (distribution.low + distribution.high) / 2
    return int(centre) if isinstance(distribution, IntDistribution) else centre


@spaces
def test_every_suggestion_reaches_the_field_of_its_name(space: SearchSpace) -> None:
    values = {name: middle(distribution) for name, distribution in space.items()}
    config = suggest_slayer_config(FixedTrial(values), space)
    for name, value in values.items():
        field = {"epochs": "n_epochs", "decoder": "loss"}.get(name, name)
        assert getattr(config, field) == value, name


@spaces
def test_a_study_can_sample_the_whole_space(space: SearchSpace) -> None:
    study = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=0))
    for _ in range(20):
        trial = study.ask()
        assert suggest_slayer_config(trial, space) == slayer_config(trial.params)
        assert trial.distributions == dict(space)


def test_the_paper_tunes_seventeen_parameters() -> None:
    """All that there are but the neurons of the hidden layer."""
    names = {"n_epochs": "epochs", "loss": "decoder"}
    tuned = {names.get(each.name, each.name) for each in fields(SLAYERConfig)} - {"n_hidden"}
    assert len(tuned) == 17
    for name, space in SPACES.items():
        assert (set(space) == tuned) == (name != "digits")


@pytest.mark.parametrize(
    ("space", "setup", "shape"),
    [
        (EXPERIMENT_3_RELEASED, EXPERIMENT_3_SETUP, (1, 28, 28)),
        (EXPERIMENT_4_AS_RUN, EXPERIMENT_4_SETUP, (2, 128, 128)),
    ],
    ids=["3", "4"],
)
def test_the_largest_kernels_of_the_paper_fit_its_network_and_data(
    space: SearchSpace, setup: Any, shape: tuple[int, int, int]
) -> None:
    largest = slayer_config({name: space[name].high for name in ("c1_k", "c2_k")})
    plan = plan_network(
        setup.network, largest, shape, n_classes=10, overlapping_pools=setup.overlapping_pools
    )
    assert plan[-1].name == "output"


def test_the_setups_are_those_of_the_paper() -> None:
    """Its images fire at 512 Hz for 25 steps of 1 ms; recordings have 100 frames."""
    for setup, n_steps in ((EXPERIMENT_3_SETUP, 25), (EXPERIMENT_4_SETUP, 100)):
        assert (setup.n_steps, setup.true_rate, setup.false_rate) == (n_steps, 0.2, 0.03)
        assert setup.overlapping_pools and setup.encoding == "poisson"
    assert EXPERIMENT_3_SETUP.intensity_hz == 512


def test_what_the_params_leave_out_is_as_in_the_defaults() -> None:
    defaults = SLAYERConfig(n_hidden=7, n_epochs=3, loss="max")
    config = slayer_config({"threshold": 2.0}, defaults)
    assert (config.n_hidden, config.n_epochs, config.loss, config.threshold) == (7, 3, "max", 2.0)
    assert slayer_config({}) == SLAYERConfig()


@pytest.mark.parametrize(
    ("space", "message"),
    [
        ({"map_size": IntDistribution(1, 9)}, "Unknown hyperparameter 'map_size'; known are"),
        ({"epochs": IntDistribution(0, 2)}, "n_epochs must be an integer >= 1, got 0"),
        ({"batch_size": FloatDistribution(1, 9.5)}, "batch_size must be an integer"),
        ({"decoder": CategoricalDistribution(["rate", "vote"])}, "loss must be .* got 'vote'"),
        ({"learning_rate": FloatDistribution(0, 1)}, "learning_rate must be > 0, got 0"),
        ({"tau_grad": FloatDistribution(-1, 1)}, "tau_grad must be > 0, got -1"),
        ({"current_decay": FloatDistribution(0.5, 1.1)}, r"current_decay must be in \[0, 1\]"),
        ({"threshold": FloatDistribution(0.01, 1)}, "threshold must be >= 1/64, got 0.01"),
        ({"threshold_step": FloatDistribution(-0.1, 1)}, "threshold_step must be >= 0"),
        ({"dropout": FloatDistribution(0, 1)}, r"dropout must be in \[0, 1\), got 1.0"),
        ({"dropout": (0, 0.5)}, "FloatDistribution"),
    ],
)
def test_a_space_without_meaning_is_refused(space: SearchSpace, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        checked_slayer_space(space)


def test_a_value_that_is_not_finite_is_refused() -> None:
    with pytest.raises(ValueError, match="learning_rate must be finite, got nan"):
        SLAYERConfig(learning_rate=float("nan"))
