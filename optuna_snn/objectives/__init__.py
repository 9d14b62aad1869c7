"""Objectives ready to tune, and their parts: data, spike encoding, networks, decoders, spaces."""

from optuna_snn.objectives.datasets import DataSplit, Samples, load_digits, split_digits
from optuna_snn.objectives.diehl_cook import DiehlCookConfig
from optuna_snn.objectives.spaces import STDPConfig, stdp_config, suggest_stdp_config
from optuna_snn.objectives.stdp import STDPObjective, STDPSetup, retrain

__all__ = [
    "DataSplit",
    "DiehlCookConfig",
    "STDPConfig",
    "STDPObjective",
    "STDPSetup",
    "Samples",
    "load_digits",
    "retrain",
    "split_digits",
    "stdp_config",
    "suggest_stdp_config",
]
