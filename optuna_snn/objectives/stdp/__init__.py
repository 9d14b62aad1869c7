"""Images and recordings learnt by STDP: networks, the engines that compute them, the objective."""

from optuna_snn.objectives.stdp.objective import STDPObjective, decode, retrain
from optuna_snn.objectives.stdp.setup import STDPSetup
from optuna_snn.objectives.stdp.training import TrainedBatch, train_stdp

__all__ = ["STDPObjective", "STDPSetup", "TrainedBatch", "decode", "retrain", "train_stdp"]
