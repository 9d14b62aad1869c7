"""Constrained Bayesian optimisation for spiking neural networks, on Optuna."""

from optuna_snn.sampler import SCBOSampler

__all__ = ["SCBOSampler"]
