"""Search spaces of the STDP objective, as data, and what a point of them means.

A space maps the names of hyperparameters to Optuna distributions. The names are those of the first
experiment of Firmin, Boulet & Talbi 2024 (doi 10.1016/j.neucom.2024.128483): the fields of
`DiehlCookConfig` without their units, and

    decoder     the decoder whose accuracy is the objective value
    epochs      passes through the training samples

What a space leaves out keeps the default of `STDPConfig`.

Departures from the paper's spaces:
    1. The authors' decoder names: all = all_activity, vote = proportion_weighting.
    2. Their scales shaped only the first random points; the search itself was linear. Here a scale
       holds for the whole search. Their reversed log scale (dense near the upper bound) is linear.
    3. The scales of the space "as run" are not known: log where a bound is 100 times the other.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from types import MappingProxyType
from typing import Any

from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution
from optuna.trial import BaseTrial

from optuna_snn.objectives.decoders import DECODERS, DecoderName
from optuna_snn.objectives.search_space import (
    SearchSpace,
    extremes,
    refuse_unknown,
    suggest_params,
)
from optuna_snn.objectives.stdp.diehl_cook import DiehlCookConfig
from optuna_snn.spikes.checks import checked_integer

__all__ = [
    "EXPERIMENT_1_AS_RUN",
    "EXPERIMENT_1_RELEASED",
    "STDP_DIGITS",
    "STDPConfig",
    "SearchSpace",
    "checked_space",
    "stdp_config",
    "suggest_stdp_config",
]


@dataclass(frozen=True)
class STDPConfig:
    """What a trial of the STDP objective trains and how it is read out.

    Raises ValueError for an unknown decoder or n_epochs below 1.
    """

    network: DiehlCookConfig = field(default_factory=DiehlCookConfig)
    n_epochs: int = 1
    decoder: DecoderName = "all_activity"

    def __post_init__(self) -> None:
        checked_integer("n_epochs", self.n_epochs, at_least=1)
        if self.decoder not in DECODERS:
            raise ValueError(f"decoder must be one of {DECODERS}, got {self.decoder!r}.")


def suggest_stdp_config(
    trial: BaseTrial, space: SearchSpace, defaults: STDPConfig | None = None
) -> STDPConfig:
    """Let the trial suggest every hyperparameter of the space; the others are as in `defaults`.

    Raises ValueError for a name or a distribution that has no meaning here.
    """
    return stdp_config(suggest_params(trial, space), defaults)


def stdp_config(params: Mapping[str, Any], defaults: STDPConfig | None = None) -> STDPConfig:
    """The configuration that the params of a trial stand for; the rest is as in `defaults`.

    Raises ValueError for an unknown name or a value out of range.
    """
    refuse_unknown(params, PARAMETER_NAMES)
    config = STDPConfig() if defaults is None else defaults
    own = {_OWN_FIELDS[name]: value for name, value in params.items() if name in _OWN_FIELDS}
    network = {
        _NETWORK_FIELDS[name]: value for name, value in params.items() if name in _NETWORK_FIELDS
    }
    return replace(config, network=replace(config.network, **network), **own)


def checked_space(space: SearchSpace) -> SearchSpace:
    """Return the space; ValueError if a name or a distribution in it has no meaning here."""
    for name, distribution in space.items():
        for value in extremes(name, distribution):
            stdp_config({name: value})
    return space


_NETWORK_FIELDS = {
    each.name.removesuffix("_mv").removesuffix("_ms"): each.name
    for each in fields(DiehlCookConfig)
}
_OWN_FIELDS = {"decoder": "decoder", "epochs": "n_epochs"}
PARAMETER_NAMES = (*_OWN_FIELDS, *_NETWORK_FIELDS)

EXPERIMENT_1_RELEASED: SearchSpace = MappingProxyType(
    {
        "decoder": CategoricalDistribution(["all_activity", "proportion_weighting", "2gram"]),
        "epochs": IntDistribution(1, 3),
        "map_size": IntDistribution(10, 1000),
        "nu_pre": FloatDistribution(1e-4, 1e-3, log=True),
        "nu_post": FloatDistribution(1e-3, 1e-2),
        "strength_exc": FloatDistribution(50, 500),
        "strength_inh": FloatDistribution(60, 600),
        "norm": FloatDistribution(78.4, 200),
        "e_thresh": FloatDistribution(-70, -50),
        "e_rest": FloatDistribution(-65, -55),
        "theta_plus": FloatDistribution(0.01, 0.1, log=True),
        "tc_theta_decay": FloatDistribution(1e6, 1e7),
        "e_tc_decay": FloatDistribution(1000, 5000),
        "i_tc_decay": FloatDistribution(1000, 5000, log=True),
        "i_thresh": FloatDistribution(-30, -10),
        "i_rest": FloatDistribution(-60, -40),
        "e_refrac": IntDistribution(1, 10),
        "i_refrac": IntDistribution(15, 35),
    }
)
"""Experiment 1 of the paper with the bounds of the authors' released scripts."""

EXPERIMENT_1_AS_RUN: SearchSpace = MappingProxyType(
    {
        "decoder": CategoricalDistribution(DECODERS),
        "epochs": IntDistribution(1, 3),
        "map_size": IntDistribution(20, 2000, log=True),
        "nu_pre": FloatDistribution(1e-4, 1e-2, log=True),
        "nu_post": FloatDistribution(1e-4, 1e-2, log=True),
        "strength_exc": FloatDistribution(1, 500, log=True),
        "strength_inh": FloatDistribution(0.8, 500, log=True),
        "norm": FloatDistribution(78.4, 784),
        "e_thresh": FloatDistribution(-59, 0),
        "e_rest": FloatDistribution(-70, -60),
        "theta_plus": FloatDistribution(0.001, 0.5, log=True),
        "tc_theta_decay": FloatDistribution(1e6, 2e7),
        "e_tc_decay": FloatDistribution(5, 5000, log=True),
        "i_tc_decay": FloatDistribution(5, 5000, log=True),
        "i_thresh": FloatDistribution(-40, 0),
        "i_rest": FloatDistribution(-60, -45),
        "e_refrac": IntDistribution(0, 20),
        "i_refrac": IntDistribution(0, 20),
    }
)
"""Experiment 1 with the bounds that the authors' published results fill."""

STDP_DIGITS: SearchSpace = MappingProxyType(
    {
        "decoder": CategoricalDistribution(DECODERS),
        "map_size": IntDistribution(20, 200, log=True),
        "nu_pre": FloatDistribution(1e-6, 1e-3, log=True),
        "nu_post": FloatDistribution(5e-4, 5e-2, log=True),
        "strength_exc": FloatDistribution(1, 500, log=True),
        "strength_inh": FloatDistribution(1, 500, log=True),
        "norm": FloatDistribution(4, 200, log=True),
        "e_thresh": FloatDistribution(-59, 0),
        "theta_plus": FloatDistribution(1e-2, 1, log=True),
        "e_tc_decay": FloatDistribution(5, 500, log=True),
        "i_thresh": FloatDistribution(-40, 0),
        "e_refrac": IntDistribution(1, 10),
    }
)
"""For digits on a laptop: nine of ten random networks are silent."""
