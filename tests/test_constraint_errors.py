"""What is known of the errors of constraints: told by users, read by the sampler."""

import math

import numpy as np
import optuna
import pytest
from optuna.trial import create_trial

from optuna_snn import SCBOSampler, constraint_errors, history, set_constraint_sd
from optuna_snn.constraint_errors import CONSTRAINT_SD_KEY, constraint_sds
from optuna_snn.scbo.observations import Observations


def known_to(study: optuna.Study) -> Observations:
    """What a sampler would know of the study's finished trials."""
    sampler = study.sampler
    assert isinstance(sampler, SCBOSampler)
    trial = study.ask()
    frozen = study.get_trials()[trial.number]
    distributions = sampler.infer_relative_search_space(study, frozen)
    snapshot = sampler._history.read(study, frozen, distributions)
    return history.observe(snapshot, distributions).known


def study_of(sds: list[object]) -> optuna.Study:
    """A finished trial for each; None stores nothing."""
    study = optuna.create_study(sampler=SCBOSampler(seed=0))
    for i, sd in enumerate(sds):
        trial = study.ask({"x": optuna.distributions.FloatDistribution(0, 1)})
        trial.set_constraint("a", i - 1.5)
        trial.set_constraint("b", 1.0)
        if sd is not None:
            trial.set_user_attr(CONSTRAINT_SD_KEY, sd)
        study.tell(trial, 0.0)
    return study


def test_the_sampler_knows_the_errors_by_trial_and_constraint() -> None:
    study = study_of([None, {"b": 0.5}, {"a": 0.25, "other": 3.0}])
    c_sd = known_to(study).c_sd
    assert c_sd is not None
    assert c_sd.tolist() == [[0.0, 0.0], [0.0, 0.5], [0.25, 0.0]]


@pytest.mark.parametrize("sd", [None, {}, "text", {"a": "text"}, {"a": -1.0}, {"a": True}, [0.1]])
def test_what_is_stored_and_is_no_standard_deviation_counts_as_none(sd: object) -> None:
    study = study_of([None, sd, None])
    assert known_to(study).c_sd is None


@pytest.mark.parametrize("sd", [-0.1, math.nan, math.inf, "0.1", True, None])
def test_a_user_is_told_what_is_no_standard_deviation(sd: object) -> None:
    trial = optuna.create_study().ask()
    with pytest.raises(ValueError, match=r"'load'.*finite and at least 0"):
        set_constraint_sd(trial, {"load": sd})  # type: ignore[dict-item]
    assert CONSTRAINT_SD_KEY not in trial.user_attrs


def test_what_a_user_tells_is_read_back() -> None:
    study = optuna.create_study()
    trial = study.ask()
    set_constraint_sd(trial, {"load": np.float64(0.5), "heat": 0})
    study.tell(trial, 1.0)
    assert constraint_sds(study.trials[0]) == {"load": 0.5, "heat": 0.0}
    assert constraint_errors.constraint_sds(create_trial(value=0.0)) == {}
