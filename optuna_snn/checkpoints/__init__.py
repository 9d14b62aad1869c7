"""Trainings that go on where a dead worker left them: save by epoch, resume in the retry."""

from optuna_snn.checkpoints.checkpoint import Checkpoint
from optuna_snn.checkpoints.lineage import first_trial_number
from optuna_snn.checkpoints.places import FOLDER_VARIABLE

__all__ = ["FOLDER_VARIABLE", "Checkpoint", "first_trial_number"]
