"""Constrained Bayesian optimisation for spiking neural networks, on Optuna."""

from optuna_snn.monitor import SpikeMonitor
from optuna_snn.pruner import SpikeActivityPruner
from optuna_snn.sampler import SCBOSampler

__all__ = ["SCBOSampler", "SpikeActivityPruner", "SpikeMonitor"]
