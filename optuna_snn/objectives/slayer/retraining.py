"""Training a chosen configuration of the SLAYER objective afresh, to report its test accuracy."""

from __future__ import annotations

import numpy as np

from optuna_snn.objectives.datasets import DataSplit
from optuna_snn.objectives.labelled_samples import refuse_unknown_labels
from optuna_snn.objectives.retrained import Retrained
from optuna_snn.objectives.slayer.config import SLAYERConfig
from optuna_snn.objectives.slayer.setup import SLAYERSetup
from optuna_snn.objectives.slayer.training import SLAYERTraining
from optuna_snn.objectives.spike_inputs import FrameSplit

__all__ = ["retrain", "retrain_network"]


def retrain(
    config: SLAYERConfig,
    split: DataSplit | FrameSplit,
    *,
    setup: SLAYERSetup | None = None,
    seed: int | None = None,
) -> float:
    """Train the configuration afresh on training and validation samples; its test accuracy.

    This is the figure to report for a configuration that was chosen by its validation accuracy.
    The same seed gives the same result on the same machine; None draws from the system.

    Raises ValueError for kernels that do not fit and labels that are in the test part only,
    MissingPackageError without lava-dl, TrainingDivergedError as the objective does.
    """
    return retrain_network(config, split, setup=setup, seed=seed).test_accuracy


def retrain_network(
    config: SLAYERConfig,
    split: DataSplit | FrameSplit,
    *,
    setup: SLAYERSetup | None = None,
    seed: int | None = None,
) -> Retrained:
    """As `retrain`, with the spikes of all layers and the network's ``state_dict`` as arrays."""
    setup = SLAYERSetup() if setup is None else setup
    samples = split.train_and_validation
    n_classes = max(split.n_classes, int(samples.labels.max()) + 1)
    refuse_unknown_labels(n_classes, "test", split.test)
    rng = np.random.default_rng(seed)
    training = SLAYERTraining(config, samples, setup, n_classes=n_classes, rng=rng)
    for _ in range(config.n_epochs):
        for _ in training.run_epoch():
            pass
    found = training.evaluate(split.test)
    state = training.network.state_dict()
    return Retrained(
        test_accuracy=found.accuracy,
        spikes=found.spikes,
        weights={name: each.detach().cpu().numpy() for name, each in state.items()},
    )
