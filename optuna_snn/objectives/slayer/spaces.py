"""Search spaces of the SLAYER objective, as data: the paper's and a smaller one.

A space maps the names of hyperparameters to Optuna distributions; the names are those of Firmin,
Boulet & Talbi 2024 (doi 10.1016/j.neucom.2024.128483), see `slayer_config`. What a space leaves
out keeps the default of `SLAYERConfig`. "Released" are the bounds of the authors' published
scripts, "as run" those that their published results fill.

The paper's conditions, beside the space and the network of the same name:

    experiment 3    MNIST, 48 000 to train on, 12 000 to validate; EXPERIMENT_3_SETUP;
                    layers=("output",), alpha=5, beta=0.05
    experiment 4    DVS128 Gesture, 861 and 216 recordings; EXPERIMENT_4_SETUP;
                    layers=("output",), alpha=1, beta=0.3

Departures from the paper's spaces:
    1. Their scales shaped only the first random points; the search itself was linear. Here a scale
       holds for the whole search. Their reversed log scale (dense near the upper bound) is linear.
    2. Whole numbers are drawn as such. The authors cut off fractions, so that upper bounds were
       never drawn.
"""

from __future__ import annotations

from types import MappingProxyType

from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution
from optuna.trial import BaseTrial

from optuna_snn.objectives.search_space import SearchSpace, extremes, suggest_params
from optuna_snn.objectives.slayer.config import LOSSES, SLAYERConfig, slayer_config
from optuna_snn.objectives.slayer.setup import SLAYERSetup

__all__ = [
    "EXPERIMENT_3_AS_RUN",
    "EXPERIMENT_3_RELEASED",
    "EXPERIMENT_3_SETUP",
    "EXPERIMENT_4_AS_RUN",
    "EXPERIMENT_4_RELEASED",
    "EXPERIMENT_4_SETUP",
    "SLAYER_DIGITS",
    "checked_slayer_space",
    "suggest_slayer_config",
]


def suggest_slayer_config(
    trial: BaseTrial, space: SearchSpace, defaults: SLAYERConfig | None = None
) -> SLAYERConfig:
    """Let the trial suggest every hyperparameter of the space; the others are as in `defaults`.

    Raises ValueError for a name or a distribution that has no meaning here.
    """
    return slayer_config(suggest_params(trial, space), defaults)


def checked_slayer_space(space: SearchSpace) -> SearchSpace:
    """Return the space; ValueError if a name or a distribution in it has no meaning here."""
    for name, distribution in space.items():
        for value in extremes(name, distribution):
            slayer_config({name: value})
    return space


EXPERIMENT_3_SETUP = SLAYERSetup(
    network="experiment_3", n_steps=25, intensity_hz=512.0, true_rate=0.2
)
EXPERIMENT_4_SETUP = SLAYERSetup(
    network="experiment_4", n_steps=100, true_rate=0.2, response_batch=5
)

EXPERIMENT_3_RELEASED: SearchSpace = MappingProxyType(
    {
        "epochs": IntDistribution(1, 40),
        "batch_size": IntDistribution(1, 50),
        "decoder": CategoricalDistribution(LOSSES),
        "c1_filters": IntDistribution(1, 128),
        "c2_filters": IntDistribution(1, 128),
        "c1_k": IntDistribution(4, 12),
        "c2_k": IntDistribution(4, 12),
        "learning_rate": FloatDistribution(0.001, 0.1, log=True),
        "tau_grad": FloatDistribution(0.1, 1, log=True),
        "scale_grad": FloatDistribution(0.5, 1, log=True),
        "threshold": FloatDistribution(0.4, 4),
        "threshold_step": FloatDistribution(0.001, 0.25, log=True),
        "current_decay": FloatDistribution(0.1, 0.99),
        "voltage_decay": FloatDistribution(0.01, 0.2, log=True),
        "threshold_decay": FloatDistribution(0.01, 0.5, log=True),
        "refractory_decay": FloatDistribution(0.1, 0.99),
        "dropout": FloatDistribution(0.01, 0.9, log=True),
    }
)
"""Experiment 3 of the paper with the bounds of the authors' released scripts."""

EXPERIMENT_3_AS_RUN: SearchSpace = EXPERIMENT_3_RELEASED
"""The results of experiment 3 are published as figures only; they show no other bounds."""

EXPERIMENT_4_RELEASED: SearchSpace = MappingProxyType(
    {
        "epochs": IntDistribution(1, 15),
        "batch_size": IntDistribution(1, 5),
        "decoder": CategoricalDistribution(LOSSES),
        "c1_filters": IntDistribution(1, 36),
        "c2_filters": IntDistribution(1, 36),
        "c1_k": IntDistribution(4, 48),
        "c2_k": IntDistribution(4, 48),
        "learning_rate": FloatDistribution(0.001, 0.1, log=True),
        "tau_grad": FloatDistribution(0.1, 1, log=True),
        "scale_grad": FloatDistribution(0.5, 1, log=True),
        "threshold": FloatDistribution(0.1, 1, log=True),
        "threshold_step": FloatDistribution(0.001, 0.4, log=True),
        "current_decay": FloatDistribution(0.1, 0.99),
        "voltage_decay": FloatDistribution(0.01, 0.9),
        "threshold_decay": FloatDistribution(0.01, 0.5, log=True),
        "refractory_decay": FloatDistribution(0.1, 0.99, log=True),
        "dropout": FloatDistribution(0.01, 0.9, log=True),
    }
)
"""Experiment 4 of the paper with the bounds of the authors' released scripts."""

EXPERIMENT_4_AS_RUN: SearchSpace = MappingProxyType(
    {**EXPERIMENT_4_RELEASED, "batch_size": IntDistribution(1, 6)}
)
"""Experiment 4 with the bounds that the authors' published results fill."""

SLAYER_DIGITS: SearchSpace = MappingProxyType(
    {
        "decoder": CategoricalDistribution(LOSSES),
        "batch_size": IntDistribution(8, 64, log=True),
        "n_hidden": IntDistribution(32, 512, log=True),
        "learning_rate": FloatDistribution(1e-4, 0.1, log=True),
        "tau_grad": FloatDistribution(0.01, 1, log=True),
        "scale_grad": FloatDistribution(0.3, 10, log=True),
        "threshold": FloatDistribution(0.1, 20, log=True),
        "threshold_step": FloatDistribution(0.01, 1, log=True),
        "current_decay": FloatDistribution(0.05, 1),
        "voltage_decay": FloatDistribution(0.01, 1, log=True),
        "threshold_decay": FloatDistribution(0.01, 1, log=True),
        "refractory_decay": FloatDistribution(0.05, 1),
        "dropout": FloatDistribution(0.01, 0.9, log=True),
    }
)
"""For the dense network and a few thousand digits: cheap enough for one core."""
