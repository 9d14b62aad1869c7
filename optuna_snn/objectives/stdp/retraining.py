"""Training a chosen configuration of the STDP objective afresh, to report its test accuracy."""

from __future__ import annotations

import numpy as np

from optuna_snn.objectives.datasets import DataSplit
from optuna_snn.objectives.labelled_samples import refuse_unknown_labels
from optuna_snn.objectives.retrained import Retrained
from optuna_snn.objectives.spike_inputs import FrameSplit
from optuna_snn.objectives.stdp.engines import EngineChoice
from optuna_snn.objectives.stdp.readout import decoded
from optuna_snn.objectives.stdp.setup import STDPSetup
from optuna_snn.objectives.stdp.spaces import STDPConfig
from optuna_snn.objectives.stdp.training import train_stdp

__all__ = ["retrain", "retrain_network"]


def retrain(
    config: STDPConfig,
    split: DataSplit | FrameSplit,
    *,
    setup: STDPSetup | None = None,
    seed: int | None = None,
    engine: EngineChoice = "auto",
) -> float:
    """Train the configuration afresh on training and validation samples; its test accuracy.

    This is the figure to report for a configuration that was chosen by its validation accuracy.
    The same seed and engine give the same result on the same machine; None draws from the system.

    Raises ValueError for labels that are in the test part only, MissingPackageError where what the
    engine needs is not installed.
    """
    return retrain_network(config, split, setup=setup, seed=seed, engine=engine).test_accuracy


def retrain_network(
    config: STDPConfig,
    split: DataSplit | FrameSplit,
    *,
    setup: STDPSetup | None = None,
    seed: int | None = None,
    engine: EngineChoice = "auto",
) -> Retrained:
    """As `retrain`, with the excitatory spikes and what the network has learnt.

    The weights are ``weights`` (n_inputs, map_size) and ``theta_mv`` (map_size,), what the
    excitatory thresholds have adapted by.
    """
    setup = STDPSetup() if setup is None else setup
    rng = np.random.default_rng(seed)
    samples = split.train_and_validation
    n_classes = max(split.n_classes, int(samples.labels.max()) + 1)
    refuse_unknown_labels(n_classes, "test", split.test)
    *_, last = train_stdp(config, samples, setup, rng, engine=engine)
    learned = last.network.learned
    accuracies, n_spikes = decoded(last.network, samples, split.test, setup, rng)
    return Retrained(
        test_accuracy=accuracies[config.decoder],
        spikes={"excitatory": n_spikes},
        weights={"weights": learned.weights, "theta_mv": learned.theta_mv},
    )
