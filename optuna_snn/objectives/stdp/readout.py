"""The readout of a network that learnt without labels: decoders are fitted, then predict."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from optuna_snn.objectives.datasets import Samples
from optuna_snn.objectives.decoders import DecoderName, SpikeTrains, accuracy, predict_all
from optuna_snn.objectives.stdp.networks import Network
from optuna_snn.objectives.stdp.setup import STDPSetup

__all__ = ["decode", "decoded"]


def decode(
    network: Network,
    labelled: Samples,
    unseen: Samples,
    setup: STDPSetup,
    rng: np.random.Generator,
) -> dict[DecoderName, float]:
    """The accuracy of each decoder on `unseen`, fitted to `labelled`; the network stays frozen.

    Of `labelled`, the last setup.n_assign samples are used.
    """
    return decoded(network, labelled, unseen, setup, rng)[0]


def decoded(
    network: Network,
    labelled: Samples,
    unseen: Samples,
    setup: STDPSetup,
    rng: np.random.Generator,
) -> tuple[dict[DecoderName, float], SpikeTrains]:
    """As `decode`, and the excitatory spikes for `unseen`."""
    n_assign = len(labelled) if setup.n_assign is None else min(setup.n_assign, len(labelled))
    known = _respond(network, labelled.images[-n_assign:], setup, rng)
    response = _respond(network, unseen.images, setup, rng)
    predictions = predict_all(
        known,
        labelled.labels[-n_assign:],
        response,
        n_classes=int(labelled.labels.max()) + 1,
    )
    return {name: accuracy(each, unseen.labels) for name, each in predictions.items()}, response


def _respond(
    network: Network, images: NDArray[np.float32], setup: STDPSetup, rng: np.random.Generator
) -> SpikeTrains:
    """The excitatory spikes of the frozen network for images (n_samples, n_pixels)."""
    return network.respond(images * setup.intensity_hz, n_steps=setup.n_steps, rng=rng)
