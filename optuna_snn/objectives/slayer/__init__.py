"""Networks of ALIF neurons trained by SLAYER in lava-dl, dense or convolutional; the objective."""

from optuna_snn.objectives.slayer.config import SLAYERConfig, slayer_config
from optuna_snn.objectives.slayer.objective import SLAYERObjective, retrain
from optuna_snn.objectives.slayer.setup import SLAYERSetup
from optuna_snn.objectives.slayer.training import TrainingDivergedError

__all__ = [
    "SLAYERConfig",
    "SLAYERObjective",
    "SLAYERSetup",
    "TrainingDivergedError",
    "retrain",
    "slayer_config",
]
