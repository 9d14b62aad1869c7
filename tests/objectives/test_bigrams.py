"""The two forms of the decoder "2gram" answer alike; one lists pairs, the other counts them."""

from __future__ import annotations

import numpy as np
import pytest

from optuna_snn.objectives.bigrams import predict_by_bigrams
from optuna_snn.objectives.decoders import SpikeTrains, count_ngram_votes, predict_ngram


@pytest.mark.parametrize("density", [0.003, 0.03, 0.3, 0.9])
@pytest.mark.parametrize("seed", range(3))
def test_the_answers_are_those_of_listed_pairs(seed: int, density: float) -> None:
    rng = np.random.default_rng(seed)
    labels = rng.integers(4, size=30)
    favourite = rng.random((4, 12))
    spikes = rng.random((60, 15, 12)) < 2 * density * favourite[np.tile(labels, 2)][:, None]
    known, unseen = spikes[:30], spikes[30:]
    votes = count_ngram_votes(trains(known), labels, n_classes=4, n=2)
    expected = predict_ngram(trains(unseen), votes)
    assert np.array_equal(predict_by_bigrams(known, labels, unseen, n_classes=4), expected)
    if density == 0.003:
        assert (expected == -1).any()
    if density == 0.3:
        assert np.mean(expected == labels) > 0.5  # a quarter by chance


def test_the_order_of_two_spikes_tells_classes_apart() -> None:
    forth, back = np.zeros((2, 4, 2), dtype=bool)
    forth[0, 0] = forth[2, 1] = back[0, 1] = back[3, 0] = True  # silent steps lie between
    known = np.stack([forth, back])
    answers = predict_by_bigrams(known, np.array([0, 1]), known[::-1], n_classes=2)
    assert answers.tolist() == [1, 0]


def trains(spikes: np.ndarray) -> SpikeTrains:
    return SpikeTrains.from_dense(spikes.transpose(1, 0, 2))
