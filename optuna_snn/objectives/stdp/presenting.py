"""Samples shown to a network, whichever it is: images as rates, recordings as their spikes."""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from optuna_snn.objectives.datasets import Samples
from optuna_snn.objectives.decoders import DecoderName, SpikeTrains, accuracy, predict_all
from optuna_snn.objectives.encoding import poisson_spikes
from optuna_snn.objectives.spike_inputs import LabelledSamples
from optuna_snn.objectives.stdp.distance.learner import (
    CompiledDistance,
    DistanceLearner,
    SimulatedDistance,
)
from optuna_snn.objectives.stdp.distance.readout import accuracies_by_distance
from optuna_snn.objectives.stdp.networks import Fired, Network
from optuna_snn.objectives.stdp.setup import STDPSetup

__all__ = ["AnyNetwork", "learn_from", "n_inputs_of", "read_out", "record"]

AnyNetwork = Network | DistanceLearner

CHUNK = 16
"""Samples whose spikes are in memory at once as an array: 50 MB of 100 frames of 2 x 128 x 128."""


def n_inputs_of(samples: LabelledSamples) -> int:
    """Inputs that a network for these samples has."""
    if isinstance(samples, Samples):
        return int(samples.images.shape[1])
    return math.prod(samples.frame_shape)


def learn_from(
    network: AnyNetwork,
    samples: LabelledSamples,
    indices: NDArray[np.int64],
    setup: STDPSetup,
    rng: np.random.Generator,
    *,
    reads_membranes: bool = False,
) -> Fired:
    """Let the network learn from the samples at `indices`, in batches."""
    if isinstance(network, CompiledDistance | SimulatedDistance):
        # A report may be of a thousand samples, whose spikes would be gigabytes.
        n_at_once = setup.batch_size * max(1, CHUNK // setup.batch_size)
        parts = [
            network.learn(
                _spikes(samples, part, setup, rng),
                batch_size=setup.batch_size,
                reads_membranes=reads_membranes,
            )
            for part in np.split(indices, range(n_at_once, len(indices), n_at_once))
        ]
        return Fired.concatenate(parts)
    return network.learn(
        _images(samples)[indices] * setup.intensity_hz,
        n_steps=setup.n_steps,
        batch_size=setup.batch_size,
        rng=rng,
        reads_membranes=reads_membranes,
    )


def record(
    network: AnyNetwork,
    samples: LabelledSamples,
    indices: NDArray[np.int64],
    setup: STDPSetup,
    rng: np.random.Generator,
) -> Mapping[str, NDArray[np.bool_]]:
    """Layer -> (n_samples, n_steps, n_neurons) spikes for the samples at `indices`, a few.

    Learning is off, and the network is as before, bit by bit.
    """
    if isinstance(network, CompiledDistance | SimulatedDistance):
        return network.record(_spikes(samples, indices, setup, rng))
    rates_hz = _images(samples)[indices] * setup.intensity_hz
    return network.record(rates_hz, n_steps=setup.n_steps, rng=rng)


def read_out(
    network: AnyNetwork,
    labelled: LabelledSamples,
    n_assign: int,
    unseen: LabelledSamples,
    setup: STDPSetup,
    rng: np.random.Generator,
) -> tuple[dict[DecoderName, float], float]:
    """The accuracy of each decoder on `unseen`, and the mean excitatory spikes of its samples.

    Decoders are fitted to the last n_assign samples of `labelled`; the network stays frozen.
    """
    known = np.arange(len(labelled))[-n_assign:]
    labels, n_classes = labelled.labels, int(labelled.labels.max()) + 1
    if isinstance(network, CompiledDistance | SimulatedDistance):
        fired = _respond_by_distance(network, labelled, known, setup, rng)
        response = _respond_by_distance(network, unseen, np.arange(len(unseen)), setup, rng)
        found = accuracies_by_distance(
            fired, labels[known], response, unseen.labels, n_classes=n_classes
        )
        return found, float(response.sum()) / len(unseen)

    def respond(images: NDArray[np.floating]) -> SpikeTrains:
        return network.respond(images * setup.intensity_hz, n_steps=setup.n_steps, rng=rng)

    trains, unlabelled = respond(_images(labelled)[known]), respond(_images(unseen))
    predictions = predict_all(trains, labels[known], unlabelled, n_classes=n_classes)
    found = {name: accuracy(each, unseen.labels) for name, each in predictions.items()}
    return found, len(unlabelled.sample) / len(unseen)


def _respond_by_distance(
    network: DistanceLearner,
    samples: LabelledSamples,
    indices: NDArray[np.int64],
    setup: STDPSetup,
    rng: np.random.Generator,
) -> NDArray[np.bool_]:
    """(n_samples, n_steps, map_size)"""
    parts = np.split(indices, range(CHUNK, len(indices), CHUNK))
    return np.concatenate([network.respond(_spikes(samples, part, setup, rng)) for part in parts])


def _spikes(
    samples: LabelledSamples,
    indices: NDArray[np.int64],
    setup: STDPSetup,
    rng: np.random.Generator,
) -> NDArray[np.bool_]:
    """(n_samples, n_steps, n_inputs) input spikes; rng: of Poisson trains of images."""
    if isinstance(samples, Samples):
        rates_hz = samples.images[indices] * setup.intensity_hz
        return poisson_spikes(rates_hz, n_steps=setup.n_steps, rng=rng).transpose(1, 0, 2)
    frames = samples.frames(indices, n_steps=setup.n_steps)
    return frames.reshape(len(indices), -1, setup.n_steps).transpose(0, 2, 1)


def _images(samples: LabelledSamples) -> NDArray[np.floating]:
    """The images, which alone the network of Diehl & Cook takes; `STDPObjective` sees to it."""
    assert isinstance(samples, Samples)
    return samples.images
