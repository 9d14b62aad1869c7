"""The sampler as the registry hands it out: Optuna's own suite, and a constrained problem."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
import pickle

import optuna
from optuna.samplers import BaseSampler
from optuna.testing.pytest_samplers import SingleOnlySamplerTestCase
import optunahub
import pytest


REGISTRY = Path(__file__).resolve().parents[3]
SCBOSampler = optunahub.load_local_module("samplers/scbo", registry_root=str(REGISTRY)).SCBOSampler


def disk(trial: optuna.Trial) -> float:
    """Distance squared from (3, 0), inside a disk of radius 2: 1 at (2, 0)."""
    x, y = (trial.suggest_float(name, -5.0, 5.0) for name in "xy")
    trial.set_constraint("disk", x**2 + y**2 - 4.0)
    return (x - 3.0) ** 2 + y**2


class TestSCBOSampler(SingleOnlySamplerTestCase):
    """That of optuna_snn passes Optuna's further suites in its own repository."""

    @pytest.fixture
    def sampler(self) -> Callable[[], BaseSampler]:
        return lambda: SCBOSampler(n_startup_trials=1, seed=0)


def test_the_sampler_finds_the_optimum_on_the_edge_of_the_feasible_region() -> None:
    study = optuna.create_study(sampler=SCBOSampler(seed=0))
    study.optimize(disk, n_trials=40)
    best = study.best_trial
    assert best.constraints["disk"] <= 0.0
    assert best.value is not None and best.value < 1.1


def test_a_pickled_sampler_asks_for_the_same_point() -> None:
    """Other processes find the class in the installed package, where optunahub loaded nothing."""
    sampler = SCBOSampler(seed=0)
    study = optuna.create_study(sampler=sampler)
    study.optimize(disk, n_trials=12)
    copied = optuna.create_study(sampler=pickle.loads(pickle.dumps(sampler)))
    copied.add_trials(study.trials)
    space = study.trials[0].distributions
    assert copied.ask(space).params == study.ask(space).params
    assert SCBOSampler.__module__ == "optuna_snn.sampler"
