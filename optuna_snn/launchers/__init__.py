"""Engines that start workers on other machines.

A launcher is a function of `RunSettings`, which are the same everywhere, and of what it asks its
engine for. It starts what `optuna-snn run` or `optuna-snn worker` would start, and knows nothing
of the study: budget, retries and the search live in the database.

    local   optuna_snn.workers.run_study       worker processes of this machine
    slurm   optuna_snn.launchers.slurm         a job array; each task is such a run
    ray     optuna_snn.launchers.ray           actors; each is a worker
"""

from optuna_snn.workers.run_settings import RunSettings

__all__ = ["RunSettings"]
