"""Scalable constrained Bayesian optimisation (SCBO) on the unit cube; knows nothing of Optuna."""
