"""Which engine computes the network of the STDP objective.

    compiled    `optuna_snn.stdp_engine`: needs Numba, runs on a CPU
    bindsnet    BindsNET: runs on what torch runs on
    auto        the compiled one where it is installed and the device is a CPU

Both learn the same from the same input spikes and random draws; they draw these from the same seed
in other ways, so that a seed gives other networks in the one than in the other.
"""

from __future__ import annotations

import logging
from typing import Literal, get_args

import numpy as np

from optuna_snn.backends import MissingPackageError, bindsnet
from optuna_snn.objectives.stdp.compiled import CompiledNetwork
from optuna_snn.objectives.stdp.diehl_cook import DiehlCookConfig
from optuna_snn.objectives.stdp.distance.config import DistanceConfig
from optuna_snn.objectives.stdp.distance.learner import CompiledDistance, SimulatedDistance
from optuna_snn.objectives.stdp.presenting import AnyNetwork
from optuna_snn.objectives.stdp.simulated import SimulatedNetwork
from optuna_snn.stdp_engine import compiler

__all__ = ["EngineChoice", "EngineName", "build_network", "chosen_engine"]

EngineName = Literal["compiled", "bindsnet"]
EngineChoice = Literal["auto", "compiled", "bindsnet"]

_logger = logging.getLogger(__name__)


def chosen_engine(engine: EngineChoice, device: str = "cpu") -> EngineName:
    """The engine that is meant, which is installed.

    Raises:
        ValueError: There is no such engine, or the compiled one shall run on another device.
        MissingPackageError: What it needs is not installed.
    """
    if engine not in get_args(EngineChoice):
        raise ValueError(f"engine must be one of {get_args(EngineChoice)}, got {engine!r}.")
    if engine == "compiled" and device != "cpu":
        raise ValueError(
            f'The compiled engine runs on a CPU, and device={device!r}; take device="cpu", or '
            'engine="bindsnet".'
        )
    if engine == "compiled" or (engine == "auto" and device == "cpu" and compiler.is_installed()):
        compiler.require()
        return "compiled"
    try:
        bindsnet.load()
    except MissingPackageError as error:
        if engine == "bindsnet" or device != "cpu":
            raise
        raise MissingPackageError(
            "No engine for the STDP objective is installed; "
            f"run: {compiler.INSTALL_COMMAND}, or: optuna-snn backends install bindsnet"
        ) from error
    if engine == "auto":
        reason = f"the device is {device}"
        if device == "cpu":
            reason = f"Numba is not installed ({compiler.INSTALL_COMMAND})"
        _logger.info("BindsNET computes the networks, since %s.", reason)
    return "bindsnet"


def build_network(
    engine: EngineName,
    config: DiehlCookConfig,
    *,
    n_inputs: int,
    rng: np.random.Generator,
    device: str = "cpu",
) -> AnyNetwork:
    """A new network; its weights are uniform random numbers from rng, then normalised.

    A `DistanceConfig` makes a network with inhibition by distance.
    """
    if isinstance(config, DistanceConfig):
        if engine == "compiled":
            return CompiledDistance(config, n_inputs=n_inputs, rng=rng)
        return SimulatedDistance(config, n_inputs=n_inputs, rng=rng, device=device)
    if engine == "compiled":
        return CompiledNetwork(config, n_inputs=n_inputs, rng=rng)
    return SimulatedNetwork(config, n_inputs=n_inputs, rng=rng, device=device)
