"""Objectives ready to tune, and their parts: data, spike encoding, networks, decoders, spaces."""

from optuna_snn.objectives.datasets import (
    DatasetError,
    DataSplit,
    EventSamples,
    EventSplit,
    Samples,
    load_digits,
    split_digits,
    split_dvs_gesture,
    split_gestures,
    split_mnist,
    split_nmnist,
)
from optuna_snn.objectives.slayer import (
    SLAYERConfig,
    SLAYERObjective,
    SLAYERSetup,
    TrainingDivergedError,
    slayer_config,
)
from optuna_snn.objectives.slayer import retrain as retrain_slayer
from optuna_snn.objectives.slayer.spaces import suggest_slayer_config
from optuna_snn.objectives.stdp import STDPObjective, STDPSetup, retrain
from optuna_snn.objectives.stdp.diehl_cook import DiehlCookConfig
from optuna_snn.objectives.stdp.spaces import STDPConfig, stdp_config, suggest_stdp_config

__all__ = [
    "DataSplit",
    "DatasetError",
    "DiehlCookConfig",
    "EventSamples",
    "EventSplit",
    "SLAYERConfig",
    "SLAYERObjective",
    "SLAYERSetup",
    "STDPConfig",
    "STDPObjective",
    "STDPSetup",
    "Samples",
    "TrainingDivergedError",
    "load_digits",
    "retrain",
    "retrain_slayer",
    "slayer_config",
    "split_digits",
    "split_dvs_gesture",
    "split_gestures",
    "split_mnist",
    "split_nmnist",
    "stdp_config",
    "suggest_slayer_config",
    "suggest_stdp_config",
]
