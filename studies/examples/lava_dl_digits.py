"""Digits read by a network of lava-dl, whose SLAYER blocks take (batch, neurons, time).
Run it: optuna-snn run studies/examples/lava_dl_digits.py --n-trials 20
"""

import optuna
import torch

from optuna_snn import SpikeMonitor
from optuna_snn.backends import lava_dl
from optuna_snn.objectives import split_digits

direction, metric_name = "maximize", "accuracy"
slayer = lava_dl.load()  # lava.lib.dl.slayer, without OpenCV and torchvision
split = split_digits(n_train=1000, n_validation=500, n_test=1)
images, labels = map(torch.tensor, (split.train.images, split.train.labels))


def objective(trial: optuna.Trial) -> float:
    decays = {f"{of}_decay": trial.suggest_float(of, 0.01, 1) for of in ("current", "voltage")}
    threshold = trial.suggest_float("threshold", 0.1, 100, log=True)
    cuba = {"threshold": threshold, "tau_grad": 0.1 * threshold, "scale_grad": 3, **decays}
    hidden, output = (slayer.block.cuba.Dense(cuba, *n) for n in ((784, 100), (100, 10)))
    model = torch.nn.Sequential(hidden, output)
    adam = torch.optim.Adam(model.parameters(), trial.suggest_float("lr", 1e-4, 0.1, log=True))
    loss = slayer.loss.SpikeRate(true_rate=0.5, false_rate=0.03, reduction="sum")

    def spikes(x: torch.Tensor) -> torch.Tensor:  # (batch, 10, time)
        return model((torch.rand(*x.shape, 16) < x[:, :, None]).float())

    with SpikeMonitor(trial, alpha=1, beta=0.1, planned_samples=1000) as monitor:
        monitor.watch(model, {"hidden": hidden, "output": output})
        for batch in torch.arange(1000).split(20):
            adam.zero_grad()
            loss(spikes(images[batch]), labels[batch]).backward()
            adam.step()
            monitor.update()
            if trial.should_prune():
                raise optuna.TrialPruned(monitor.verdict)
    guesses = spikes(torch.tensor(split.validation.images)).sum(2).argmax(1).numpy()
    return float((guesses == split.validation.labels).mean())
