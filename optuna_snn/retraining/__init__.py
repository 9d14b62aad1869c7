"""The best trials of a study, trained again with fresh seeds: the accuracies to publish."""

from optuna_snn.retraining.best import retrain_best
from optuna_snn.retraining.results import Repeat, RetrainedTrial, read_results

__all__ = ["Repeat", "RetrainedTrial", "read_results", "retrain_best"]
