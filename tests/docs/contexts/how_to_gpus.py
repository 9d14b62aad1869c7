"""A network to be moved, in a process without a GPU."""

import optuna
import torch


def build(trial):
    return torch.nn.Linear(trial.suggest_int("n", 1, 4), 1)


def train_and_validate(network):
    return str(next(network.parameters()).device)


def check_the_device(names):
    assert names["objective"](optuna.trial.FixedTrial({"n": 2})) == "cpu"


CHECKS = {"worker_device()": check_the_device}
