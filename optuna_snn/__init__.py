"""Constrained Bayesian optimisation for spiking neural networks, on Optuna."""

from optuna_snn.constraint_errors import set_constraint_sd
from optuna_snn.monitor import SpikeMonitor
from optuna_snn.pruner import SpikeActivityPruner
from optuna_snn.replays.study import Replay, ReplayedTrial, replay
from optuna_snn.sampler import SCBOSampler
from optuna_snn.search_trace import Ask, search_trace

__all__ = [
    "Ask",
    "Replay",
    "ReplayedTrial",
    "SCBOSampler",
    "SpikeActivityPruner",
    "SpikeMonitor",
    "replay",
    "search_trace",
    "set_constraint_sd",
]
