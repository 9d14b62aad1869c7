"""The supervisor of a run: starts the workers of this machine, tends, restarts and stops them."""

from optuna_snn.workers.supervisor.start import run_study

__all__ = ["run_study"]
