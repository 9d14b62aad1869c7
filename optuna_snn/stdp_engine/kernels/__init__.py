"""The compiled half of the engine, which `compiler` alone imports: it looks after the cache."""

from optuna_snn.stdp_engine.kernels.distance import present_by_distance, run_by_distance
from optuna_snn.stdp_engine.kernels.draws import draw_spikes
from optuna_snn.stdp_engine.kernels.plasticity import normalise
from optuna_snn.stdp_engine.kernels.presentation import DRAWN, compile_all, present, run

__all__ = [
    "DRAWN",
    "compile_all",
    "draw_spikes",
    "normalise",
    "present",
    "present_by_distance",
    "run",
    "run_by_distance",
]
