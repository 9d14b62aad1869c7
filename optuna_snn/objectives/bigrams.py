"""The decoder "2gram" for layers of which many neurons fire in one step.

It answers as `decoders.predict_ngram` does with n = 2. That one lists every pair of neurons that
fired in successive steps, which are millions where hundreds fire at once; here pairs are entries
of a matrix, and counting them is a product of matrices.

Glossary
    f_t      (n_neurons,) 0 or 1: who fires in the t-th of the steps in which anything fires
    V_c      (n_neurons, n_neurons) how often neuron b fired in the step after neuron a, in
             samples of class c: the sum of f_t f_{t+1}^T
    score    of class c for a sample: the sum of f_t^T V_c f_{t+1}
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from optuna_snn.objectives.decoders import NO_CLASS

__all__ = ["predict_by_bigrams"]


def predict_by_bigrams(
    labelled: NDArray[np.bool_],
    labels: NDArray[np.int64],
    unlabelled: NDArray[np.bool_],
    *,
    n_classes: int,
) -> NDArray[np.int64]:
    """Classify `unlabelled` by pairs of successive neurons that were seen in `labelled`.

    labelled, unlabelled: (n_samples, n_steps, n_neurons) spikes
    labels:               (n_samples of labelled,), each below n_classes
    Returns (n_samples of unlabelled,), -1 where no pair was seen before.
    """
    n_neurons = labelled.shape[2]
    votes = np.zeros((n_classes, n_neurons, n_neurons), dtype=np.float32)
    for spikes, label in zip(labelled, labels, strict=True):
        first, second = _successive(spikes)
        votes[label] += first.T @ second
    scores = np.zeros((len(unlabelled), n_classes))
    for row, spikes in zip(scores, unlabelled, strict=True):
        first, second = _successive(spikes)
        for label in range(n_classes):
            row[label] = np.sum((first @ votes[label]) * second, dtype=np.float64)
    return np.where(scores.any(axis=1), scores.argmax(axis=1), NO_CLASS)


def _successive(spikes: NDArray[np.bool_]) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """f_t and f_{t+1} for all t but the last one; both (n_firing_steps - 1, n_neurons)."""
    firing = spikes[spikes.any(axis=1)].astype(np.float32)
    return firing[:-1], firing[1:]
