from dataclasses import fields

import optuna
import pytest
from optuna.distributions import (
    BaseDistribution,
    CategoricalDistribution,
    FloatDistribution,
    IntDistribution,
)
from optuna.trial import FixedTrial

from optuna_snn.objectives.stdp.diehl_cook import DiehlCookConfig
from optuna_snn.objectives.stdp.spaces import (
    EXPERIMENT_1_AS_RUN,
    EXPERIMENT_1_RELEASED,
    STDP_DIGITS,
    SearchSpace,
    STDPConfig,
    checked_space,
    stdp_config,
    suggest_stdp_config,
)

SPACES = {
    "released": EXPERIMENT_1_RELEASED,
    "as run": EXPERIMENT_1_AS_RUN,
    "digits": STDP_DIGITS,
}


def middle(distribution: BaseDistribution) -> object:
    if isinstance(distribution, CategoricalDistribution):
        return distribution.choices[-1]
    assert isinstance(distribution, FloatDistribution | IntDistribution)
    centre = (distribution.low + distribution.high) / 2
    return int(centre) if isinstance(distribution, IntDistribution) else centre


@pytest.mark.parametrize("space", SPACES.values(), ids=SPACES)
def test_every_suggestion_reaches_the_field_of_its_name(space: SearchSpace) -> None:
    values = {name: middle(distribution) for name, distribution in space.items()}
    config = suggest_stdp_config(FixedTrial(values), space)
    for name, value in values.items():
        if name in ("decoder", "epochs"):
            assert getattr(config, {"decoder": "decoder", "epochs": "n_epochs"}[name]) == value
            continue
        matching = [
            field.name
            for field in fields(DiehlCookConfig)
            if field.name in (name, f"{name}_mv", f"{name}_ms")
        ]
        assert [getattr(config.network, field) for field in matching] == [value], name


@pytest.mark.parametrize("space", SPACES.values(), ids=SPACES)
def test_a_study_can_sample_the_whole_space(space: SearchSpace) -> None:
    study = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=0))
    for _ in range(20):
        trial = study.ask()
        assert suggest_stdp_config(trial, space) == stdp_config(trial.params)
        assert trial.distributions == dict(space)


def test_the_paper_tunes_eighteen_parameters_and_the_demo_some_of_them() -> None:
    assert len(EXPERIMENT_1_RELEASED) == len(EXPERIMENT_1_AS_RUN) == 18
    assert set(EXPERIMENT_1_RELEASED) == set(EXPERIMENT_1_AS_RUN) > set(STDP_DIGITS)
    assert 8 <= len(STDP_DIGITS) <= 14
    kinds = {type(distribution) for distribution in STDP_DIGITS.values()}
    assert kinds == {CategoricalDistribution, IntDistribution, FloatDistribution}
    assert any(getattr(distribution, "log", False) for distribution in STDP_DIGITS.values())


def test_what_the_params_leave_out_is_as_in_the_defaults() -> None:
    defaults = STDPConfig(DiehlCookConfig(map_size=7), n_epochs=3, decoder="2gram")
    config = stdp_config({"norm": 50.0}, defaults)
    assert (config.network.map_size, config.n_epochs, config.decoder) == (7, 3, "2gram")
    assert config.network.norm == 50.0
    assert stdp_config({}) == STDPConfig()


@pytest.mark.parametrize(
    ("space", "message"),
    [
        ({"learning_rate": FloatDistribution(0, 1)}, "Unknown hyperparameter 'learning_rate'"),
        ({"norm": FloatDistribution(-1, 50)}, "norm must be > 0, got -1.0"),
        ({"map_size": FloatDistribution(10, 20.5)}, "map_size must be an integer"),
        ({"decoder": CategoricalDistribution(["all_activity", "svm"])}, "got 'svm'"),
        ({"epochs": IntDistribution(0, 2)}, "n_epochs must be an integer >= 1, got 0"),
        ({"norm": (10, 50)}, "FloatDistribution"),
    ],
)
def test_a_space_without_meaning_is_refused(space: SearchSpace, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        checked_space(space)
