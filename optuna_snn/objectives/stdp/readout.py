"""The readout of a network that learnt without labels: decoders are fitted, then predict."""

from __future__ import annotations

import numpy as np

from optuna_snn.objectives.decoders import DecoderName
from optuna_snn.objectives.spike_inputs import LabelledSamples
from optuna_snn.objectives.stdp.presenting import AnyNetwork, read_out
from optuna_snn.objectives.stdp.setup import STDPSetup

__all__ = ["decode", "decoded"]


def decode(
    network: AnyNetwork,
    labelled: LabelledSamples,
    unseen: LabelledSamples,
    setup: STDPSetup,
    rng: np.random.Generator,
) -> dict[DecoderName, float]:
    """The accuracy of each decoder on `unseen`, fitted to `labelled`; the network stays frozen.

    Of `labelled`, the last setup.n_assign samples are used.
    """
    return decoded(network, labelled, unseen, setup, rng)[0]


def decoded(
    network: AnyNetwork,
    labelled: LabelledSamples,
    unseen: LabelledSamples,
    setup: STDPSetup,
    rng: np.random.Generator,
) -> tuple[dict[DecoderName, float], float]:
    """As `decode`, and the mean excitatory spikes of a sample of `unseen`."""
    n_assign = len(labelled) if setup.n_assign is None else min(setup.n_assign, len(labelled))
    return read_out(network, labelled, n_assign, unseen, setup, rng)
