"""The search spaces: of the paper's experiments, and of digits at the size of a laptop."""

from optuna_snn.objectives.search_space import SearchSpace
from optuna_snn.objectives.slayer.spaces import (
    EXPERIMENT_3_AS_RUN,
    EXPERIMENT_3_RELEASED,
    EXPERIMENT_4_AS_RUN,
    EXPERIMENT_4_RELEASED,
    SLAYER_DIGITS,
)
from optuna_snn.objectives.stdp.spaces import (
    EXPERIMENT_1_AS_RUN,
    EXPERIMENT_1_RELEASED,
    EXPERIMENT_2_AS_RUN,
    EXPERIMENT_2_RELEASED,
    STDP_DIGITS,
)

__all__ = [
    "EXPERIMENT_1_AS_RUN",
    "EXPERIMENT_1_RELEASED",
    "EXPERIMENT_2_AS_RUN",
    "EXPERIMENT_2_RELEASED",
    "EXPERIMENT_3_AS_RUN",
    "EXPERIMENT_3_RELEASED",
    "EXPERIMENT_4_AS_RUN",
    "EXPERIMENT_4_RELEASED",
    "SLAYER_DIGITS",
    "STDP_DIGITS",
    "SearchSpace",
]
