"""Networks for the two objectives of the page, which are run once each."""

import optuna
import torch

N_EPOCHS = 3


def build(trial):
    network = torch.nn.Linear(2, 1)
    step = trial.suggest_float("step", 0.01, 0.1)
    return Both(network, torch.optim.SGD(network.parameters(), step))


class Both(tuple):
    """The network and its optimizer, or the network alone where it is moved."""

    def __new__(cls, network, optimizer):
        return super().__new__(cls, (network, optimizer))

    def to(self, device):
        return self[0].to(device)


def train_and_validate(network, optimizer):
    loss = network(torch.rand(8, 2)).square().mean()
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    return loss.item()


def check_the_device(names):
    names["objective"](optuna.trial.FixedTrial({"step": 0.05}))


def check_the_checkpoint(names):
    study = optuna.create_study()
    study.optimize(names["objective"], n_trials=2)
    assert [len(trial.intermediate_values) for trial in study.trials] == [3, 3]


CHECKS = {
    ".to(worker_device())": check_the_device,
    "checkpoint.load()": check_the_checkpoint,
}
