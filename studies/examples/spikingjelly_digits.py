"""Digits read by a network of SpikingJelly in multi-step mode: all time steps in one call.
Run it: optuna-snn run studies/examples/spikingjelly_digits.py --n-trials 20
"""

import optuna
import torch
from spikingjelly.activation_based import functional, layer, neuron

from optuna_snn import SpikeMonitor
from optuna_snn.objectives import split_digits

direction, metric_name = "maximize", "accuracy"
split = split_digits(n_train=1000, n_validation=500, n_test=1)
images, labels = map(torch.tensor, (split.train.images, split.train.labels))


def objective(trial: optuna.Trial) -> float:
    tau = trial.suggest_float("tau", 1.1, 100, log=True)
    threshold = trial.suggest_float("threshold", 0.01, 100, log=True)
    hidden, output = (neuron.LIFNode(tau, v_threshold=threshold) for _ in range(2))
    model = torch.nn.Sequential(layer.Linear(784, 100), hidden, layer.Linear(100, 10), output)
    functional.set_step_mode(model, "m")
    adam = torch.optim.Adam(model.parameters(), trial.suggest_float("lr", 1e-4, 0.1, log=True))

    def spikes(x: torch.Tensor) -> torch.Tensor:  # (batch, 10): of each class, in 10 time steps
        functional.reset_net(model)
        return model(x.expand(10, *x.shape)).sum(0)

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
