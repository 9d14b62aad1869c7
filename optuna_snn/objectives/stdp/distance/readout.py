"""The readout of the network with inhibition by distance; `readout` is that of the other one.

Its layers may fire as one, so that spikes stay arrays here and are not listed.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from optuna_snn.objectives.bigrams import predict_by_bigrams
from optuna_snn.objectives.classifiers import predict_by_classifier
from optuna_snn.objectives.decoders import (
    DecoderName,
    accuracy,
    assign_classes,
    predict_all_activity,
    predict_proportion_weighting,
)

__all__ = ["accuracies_by_distance"]


def accuracies_by_distance(
    known: NDArray[np.bool_],
    known_labels: NDArray[np.int64],
    response: NDArray[np.bool_],
    labels: NDArray[np.int64],
    *,
    n_classes: int,
) -> dict[DecoderName, float]:
    """The accuracy of each decoder on `response`, fitted to `known`.

    known, response: (n_samples, n_steps, map_size) excitatory spikes
    """
    known_counts, counts = known.sum(axis=1), response.sum(axis=1)
    neurons = assign_classes(known_counts, known_labels, n_classes=n_classes)
    predictions: dict[DecoderName, NDArray[np.int64]] = {
        "all_activity": predict_all_activity(counts, neurons),
        "proportion_weighting": predict_proportion_weighting(counts, neurons),
        "2gram": predict_by_bigrams(known, known_labels, response, n_classes=n_classes),
        "log": predict_by_classifier("log", known_counts, known_labels, counts),
        "svm": predict_by_classifier("svm", known_counts, known_labels, counts),
    }
    return {name: accuracy(each, labels) for name, each in predictions.items()}
