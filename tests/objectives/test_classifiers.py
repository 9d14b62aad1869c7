"""Classifiers of spike counts learn which neurons fire for which class."""

from __future__ import annotations

import sys

import numpy as np
import pytest

from optuna_snn.backends.errors import MissingPackageError
from optuna_snn.objectives.classifiers import ClassifierName, predict_by_classifier

classifiers = pytest.mark.parametrize("name", ["log", "svm"])


def counts(n_samples: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Neuron 0 fires for class 2, neuron 1 for class 5, neuron 2 for both."""
    rng = np.random.default_rng(seed)
    labels = np.where(np.arange(n_samples) % 2, 2, 5)
    rates = np.stack([np.where(labels == 2, 6, 1), np.where(labels == 5, 6, 1), labels * 0 + 3])
    return rng.poisson(rates.T), labels


@classifiers
def test_unseen_samples_are_classified_by_their_counts(name: ClassifierName) -> None:
    (known, labels), (unseen, truth) = counts(200, 0), counts(100, 1)
    assert np.mean(predict_by_classifier(name, known, labels, unseen) == truth) > 0.9
    shuffled = np.random.default_rng(0).permutation(labels)
    assert np.mean(predict_by_classifier(name, known, shuffled, unseen) == truth) < 0.8


@classifiers
def test_a_sample_without_a_spike_gets_no_answer(name: ClassifierName) -> None:
    known, labels = counts(40, 0)
    unseen = np.array([[9, 0, 3], [0, 0, 0]])
    assert predict_by_classifier(name, known, labels, unseen).tolist() == [2, -1]


@classifiers
def test_a_network_that_never_fired_answers_nothing(name: ClassifierName) -> None:
    known, labels = counts(40, 0)
    assert set(predict_by_classifier(name, 0 * known, labels, known)) == {-1}


@classifiers
def test_where_one_class_was_seen_it_is_the_answer(name: ClassifierName) -> None:
    known, _ = counts(40, 0)
    answers = predict_by_classifier(name, known, np.full(40, 7), known)
    assert set(answers) == {7}


def test_without_scikit_learn_the_error_names_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "sklearn.svm", None)
    known, labels = counts(4, 0)
    with pytest.raises(MissingPackageError, match="'svm' needs scikit-learn"):
        predict_by_classifier("svm", known, labels, known)
