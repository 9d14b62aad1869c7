"""The network of the paper's second experiment: its parameters, in BindsNET, and compiled."""

from optuna_snn.objectives.stdp.distance.config import DistanceConfig

__all__ = ["DistanceConfig"]
