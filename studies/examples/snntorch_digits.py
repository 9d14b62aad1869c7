"""Digits read by a network of snnTorch, whose neurons are called once for each time step.
Run it: optuna-snn run studies/examples/snntorch_digits.py --n-trials 20
"""

import optuna
import snntorch.utils
import torch
from torch.nn import Linear, Sequential

from optuna_snn import SpikeMonitor
from optuna_snn.objectives import split_digits

direction, metric_name = "maximize", "accuracy"
split = split_digits(n_train=1000, n_validation=500, n_test=1)
images, labels = torch.tensor(split.train.images), torch.tensor(split.train.labels)


def objective(trial: optuna.Trial) -> float:
    beta = trial.suggest_float("beta", 0.1, 1)
    threshold = trial.suggest_float("threshold", 0.1, 1000, log=True)
    hidden, output = (snntorch.Leaky(beta, threshold, init_hidden=True) for _ in range(2))
    model = Sequential(Linear(784, 100), hidden, Linear(100, 10), output)
    adam = torch.optim.Adam(model.parameters(), trial.suggest_float("lr", 1e-4, 0.1, log=True))

    def spikes(x: torch.Tensor) -> torch.Tensor:  # (batch, 10): of each class, in 10 time steps
        snntorch.utils.reset(model)
        return sum(model(x) for _ in range(10))

    with SpikeMonitor(trial, alpha=1, beta=0.1, planned_samples=1000) as monitor:
        monitor.watch(model, {"hidden": hidden, "output": output})
        for batch in torch.arange(1000).split(20):
            loss = torch.nn.functional.cross_entropy(spikes(images[batch]), labels[batch])
            adam.zero_grad()
            loss.backward()
            adam.step()
            monitor.update()
            if trial.should_prune():
                raise optuna.TrialPruned(monitor.verdict)
    guesses = spikes(torch.tensor(split.validation.images)).argmax(1).numpy()
    return float((guesses == split.validation.labels).mean())
