"""Digits sorted by a network of BindsNET, which learns by STDP; labels only name its neurons.
Run it: optuna-snn run studies/examples/bindsnet_digits.py --n-trials 20
"""

import numpy as np
import optuna
import torch

from optuna_snn import SpikeMonitor
from optuna_snn.backends import bindsnet
from optuna_snn.objectives import decoders, split_digits

direction, metric_name = "maximize", "accuracy"
split = split_digits(n_train=480, n_validation=240, n_test=1)
bindsnet.load()  # so that BindsNET is imported without torchvision and game emulators


def objective(trial: optuna.Trial) -> float:
    from bindsnet import models, network

    norm, inh = (trial.suggest_float(name, 5, 500, log=True) for name in ("norm", "inh"))
    model = models.DiehlAndCook2015(784, norm=norm, inh=inh, nu=(1e-5, 1e-3), reduction=torch.sum)
    model.add_monitor(network.monitors.Monitor(model.layers["Ae"], ["s"]), "Ae")

    def respond(images: np.ndarray) -> decoders.SpikeTrains:  # 80 ms, 128 Hz where it is white
        model.reset_state_variables()
        model.run({"X": torch.rand(80, *images.shape) < 0.128 * torch.tensor(images)}, time=80)
        return decoders.SpikeTrains.from_dense(model.monitors["Ae"].get("s").numpy())

    with SpikeMonitor(trial, alpha=1, beta=0.1, planned_samples=480) as monitor:
        monitor.watch(model, ["Ae", "Ai"])
        for batch in np.split(split.train.images, 30):
            respond(batch)
            monitor.update()
            if trial.should_prune():
                raise optuna.TrialPruned(monitor.verdict)
    model.train(False)
    trains = [respond(part.images) for part in (split.train, split.validation)]
    guesses = decoders.predict_all(trains[0], split.train.labels, trains[1], n_classes=10)
    return decoders.accuracy(guesses["all_activity"], split.validation.labels)
