"""Trials of the SLAYER objective on small data, for its tests."""

from __future__ import annotations

from typing import Any

import optuna
from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution
from optuna.trial import FrozenTrial

from optuna_snn.objectives.search_space import SearchSpace
from optuna_snn.objectives.slayer.config import SLAYERConfig
from optuna_snn.objectives.slayer.objective import SLAYERObjective
from optuna_snn.objectives.slayer.setup import SLAYERSetup
from optuna_snn.pruner import SpikeActivityPruner

SETUP = SLAYERSetup(n_steps=12)
DEFAULTS = SLAYERConfig(n_hidden=16, batch_size=8, learning_rate=1e-2, n_epochs=2)

SPACE: SearchSpace = {
    "epochs": IntDistribution(1, 4),
    "threshold": FloatDistribution(0.5, 1e4, log=True),
    "decoder": CategoricalDistribution(["rate", "max"]),
}

LIVELY = {"epochs": 2, "threshold": 1.25, "decoder": "rate"}
SILENT = LIVELY | {"threshold": 1e4}


def make(split: Any, **options: Any) -> SLAYERObjective:
    given = {"space": SPACE, "setup": SETUP, "defaults": DEFAULTS, "seed": 0} | options
    return SLAYERObjective(split, **given)


def run(
    objective: SLAYERObjective,
    params: list[dict[str, Any]],
    pruner: optuna.pruners.BasePruner | None = None,
    n_jobs: int = 1,
) -> list[FrozenTrial]:
    study = optuna.create_study(direction="maximize", pruner=pruner or SpikeActivityPruner())
    for each in params:
        study.enqueue_trial(each)
    study.optimize(objective, n_trials=len(params), n_jobs=n_jobs)
    return study.trials


def results(trial: FrozenTrial) -> tuple[object, ...]:
    """What a trial found out, without the times and where it was resumed."""
    attributes = {
        key: value
        for key, value in trial.user_attrs.items()
        if not key.startswith("seconds/") and key != "resumed_at"
    }
    return trial.values, trial.intermediate_values, attributes, trial.constraints
