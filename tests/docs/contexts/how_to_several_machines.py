"""The study of the page, in a storage that the variable names."""

import os

import optuna

os.environ["OPTUNA_SNN_STORAGE"] = "sqlite:///shared.db"
_study = optuna.create_study(study_name="my_study", storage="sqlite:///shared.db")
_study.optimize(lambda trial: trial.suggest_float("x", 0, 1), n_trials=3)


def check_the_copy(names):
    copy = optuna.load_study(study_name="my_study", storage="sqlite:///copy-of-my_study.db")
    assert [trial.params for trial in copy.trials] == [trial.params for trial in _study.trials]


CHECKS = {"copy_study(": check_the_copy}
