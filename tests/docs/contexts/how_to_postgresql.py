"""The storage of the page is whatever the variable names."""

import os

os.environ["OPTUNA_SNN_STORAGE"] = "shared.db"


def check_the_storage(names):
    from optuna_snn.workers.storage.worker_storage import WorkerStorage

    study = names["study"]
    assert isinstance(names["open_storage"]("shared.db"), WorkerStorage)
    assert len(study.trials) == 12
    assert study.best_trial.params["x"] >= 1


CHECKS = {"load_if_exists=True": check_the_storage}
