"""A network of snnTorch that fires as often as its threshold allows, and batches for it."""

import optuna
import snntorch
import torch
from snntorch import utils


class Network(torch.nn.Module):
    """Called once for each time step: (batch, 4) -> spikes (batch, 4)."""

    def __init__(self, threshold):
        super().__init__()
        self.hidden, self.output = (
            snntorch.Leaky(beta=0.5, threshold=level, init_hidden=True)
            for level in (0.1, threshold)
        )

    def forward(self, image):
        return self.output(self.hidden(image))


def build(threshold):
    return Network(threshold)


def train(network, images, labels):
    utils.reset(network)
    return torch.stack([network(images) for _ in range(10)], dim=1)


def accuracy(network):
    return 1 / (1 + float(network.output.threshold))


# Longer than the warm-up of 32 batches, so that networks can be stopped.
batches = [(torch.ones(16, 4), None) for _ in range(40)]
n_images = 16 * len(batches)


def check_the_study(names):
    study = names["study"]
    assert {trial.state.name for trial in study.trials} == {"COMPLETE", "PRUNED"}
    assert all(set(trial.constraints) == {"silent/output"} for trial in study.trials)
    # The next block is a part of an objective: it needs a trial, and a network that fires.
    names["trial"], names["network"] = optuna.create_study().ask(), build(0.5)


def check_the_watched(names):
    assert set(names["trial"].constraints) == {"silent/hidden", "silent/output"}


def check_the_trace(names):
    assert names["ask"].number == 99


CHECKS = {
    "study.optimize(objective, n_trials=100)": check_the_study,
    "monitor.watch(network, layers=": check_the_watched,
    "search_trace(study)": check_the_trace,
}
