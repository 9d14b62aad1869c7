"""Search spaces of the STDP objective, as data, and what a point of them means.

A space maps the names of hyperparameters to Optuna distributions. The names are those of the first
and second experiment of Firmin, Boulet & Talbi 2024 (doi 10.1016/j.neucom.2024.128483): the fields
of `DiehlCookConfig`, or `DistanceConfig`, without their units, and

    decoder     the decoder whose accuracy is the objective value
    epochs      passes through the training samples

What a space leaves out keeps the default of `STDPConfig`. Experiment 2 needs
`STDPSetup(network="distance")`.

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

from optuna_snn.objectives.decoders import ALL_DECODERS, DECODERS, DecoderName
from optuna_snn.objectives.search_space import (
    SearchSpace,
    extremes,
    refuse_unknown,
    suggest_params,
)
from optuna_snn.objectives.stdp.diehl_cook import DiehlCookConfig
from optuna_snn.objectives.stdp.distance.config import DistanceConfig
from optuna_snn.objectives.stdp.setup import NetworkName
from optuna_snn.spikes.checks import checked_integer

__all__ = [
    "EXPERIMENT_1_AS_RUN",
    "EXPERIMENT_1_RELEASED",
    "EXPERIMENT_2_AS_RUN",
    "EXPERIMENT_2_RELEASED",
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
        if self.decoder not in self.decoders:
            raise ValueError(f"decoder must be one of {self.decoders}, got {self.decoder!r}.")

    @property
    def decoders(self) -> tuple[DecoderName, ...]:
        """The decoders that there are for its network."""
        if isinstance(self.network, DistanceConfig):
            return DISTANCE_DECODERS
        return DECODERS


def default_config(network: NetworkName) -> STDPConfig:
    """What a space leaves out."""
    return STDPConfig(DistanceConfig() if network == "distance" else DiehlCookConfig())


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
    config = STDPConfig() if defaults is None else defaults
    fields_of_network = _network_fields(config.network)
    refuse_unknown(params, (*_OWN_FIELDS, *fields_of_network))
    own = {_OWN_FIELDS[name]: value for name, value in params.items() if name in _OWN_FIELDS}
    network = {
        fields_of_network[name]: value
        for name, value in params.items()
        if name in fields_of_network
    }
    return replace(config, network=replace(config.network, **network), **own)


def checked_space(space: SearchSpace, defaults: STDPConfig | None = None) -> SearchSpace:
    """Return the space; ValueError if a name or a distribution in it has no meaning here."""
    for name, distribution in space.items():
        for value in extremes(name, distribution):
            stdp_config({name: value}, defaults)
    return space


def _network_fields(network: DiehlCookConfig) -> dict[str, str]:
    """The names of the paper -> those of the config."""
    names = [each.name for each in fields(network)]
    return {name.removesuffix("_mv").removesuffix("_ms"): name for name in names}


_OWN_FIELDS = {"decoder": "decoder", "epochs": "n_epochs"}
DISTANCE_DECODERS = tuple(name for name in ALL_DECODERS if name != "3gram")
"""Sequences of three among hundreds of neurons that fire at once are too many."""

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

EXPERIMENT_2_RELEASED: SearchSpace = MappingProxyType(
    {
        "decoder": CategoricalDistribution(DISTANCE_DECODERS),
        "reset_interval": IntDistribution(10, 100),
        "map_size": IntDistribution(50, 500),
        "nu_pre": FloatDistribution(1e-3, 1e-2, log=True),
        "nu_post": FloatDistribution(1e-2, 1e-1, log=True),
        "strength_exc": FloatDistribution(10, 160, log=True),
        "strength_inh": FloatDistribution(30, 280, log=True),
        "norm": FloatDistribution(3276.8, 16384),
        "e_thresh": FloatDistribution(-40, 0),
        "e_rest": FloatDistribution(-140, -75),
        "theta_plus": FloatDistribution(0.5, 5, log=True),
        "tc_theta_decay": FloatDistribution(5e6, 5e7),
        "e_tc_decay": FloatDistribution(1000, 5000, log=True),
        "e_tc_trace": FloatDistribution(500, 5000, log=True),
        "i_tc_decay": FloatDistribution(500, 5000, log=True),
        "i_thresh": FloatDistribution(-10, 10),
        "i_rest": FloatDistribution(-80, -60),
        "e_refrac": IntDistribution(0, 20),
        "i_refrac": IntDistribution(20, 40),
    }
)
"""Experiment 2 with the bounds of the authors' released scripts, which leave epochs at 1."""

EXPERIMENT_2_AS_RUN: SearchSpace = MappingProxyType(
    {
        "decoder": CategoricalDistribution(DISTANCE_DECODERS),
        "epochs": IntDistribution(1, 3),
        "reset_interval": IntDistribution(5, 100),
        "map_size": IntDistribution(20, 1000),
        "nu_pre": FloatDistribution(1e-4, 1e-2, log=True),
        "nu_post": FloatDistribution(1e-4, 1e-2, log=True),
        "strength_exc": FloatDistribution(1, 500, log=True),
        "strength_inh": FloatDistribution(1, 500, log=True),
        "norm": FloatDistribution(3277, 32768),
        "e_thresh": FloatDistribution(-59, 60),
        "e_rest": FloatDistribution(-140, -60),
        "theta_plus": FloatDistribution(0.01, 1, log=True),
        "tc_theta_decay": FloatDistribution(1e6, 2e7),
        "e_tc_decay": FloatDistribution(5, 5000, log=True),
        "e_tc_trace": FloatDistribution(5, 5000, log=True),
        "i_tc_decay": FloatDistribution(5, 5000, log=True),
        "i_thresh": FloatDistribution(-40, 40),
        "i_rest": FloatDistribution(-120, -45),
        "e_refrac": IntDistribution(0, 40),
        "i_refrac": IntDistribution(0, 40),
    }
)
"""Experiment 2 with the bounds that the authors' published results fill."""

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
