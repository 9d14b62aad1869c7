"""Classifiers of spike counts: logistic regression and a support vector machine, by scikit-learn.

They are fitted to the spikes of each neuron in labelled samples, as the decoders "log" and "svm"
of Firmin, Boulet & Talbi 2024 (doi 10.1016/j.neucom.2024.128483) are, with scikit-learn's default
parameters. A sample without a spike gets no answer, as from the other decoders.
"""

from __future__ import annotations

import warnings
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from optuna_snn.backends.errors import MissingPackageError
from optuna_snn.objectives.decoders import NO_CLASS

__all__ = ["ClassifierName", "predict_by_classifier"]

ClassifierName = Literal["log", "svm"]
MAX_ITERATIONS = 200
"""Of the logistic regression. What it has reached then predicts as well as its limit does."""


def predict_by_classifier(
    name: ClassifierName,
    counts: NDArray[np.integer],
    labels: NDArray[np.int64],
    unlabelled: NDArray[np.integer],
) -> NDArray[np.int64]:
    """Classify `unlabelled` by a classifier that is fitted to `counts`.

    counts, unlabelled: (n_samples, n_neurons) spikes
    labels:             (n_samples of counts,)
    Returns (n_samples of unlabelled,), -1 where no neuron fired.

    Raises MissingPackageError if scikit-learn is not installed.
    """
    try:
        from sklearn.exceptions import ConvergenceWarning
        from sklearn.linear_model import LogisticRegression
        from sklearn.svm import SVC
    except ImportError as error:
        raise MissingPackageError(
            f"The decoder {name!r} needs scikit-learn, which cannot be imported ({error}); run: "
            "pip install 'optuna-snn[stdp]'"
        ) from error
    answers = np.full(len(unlabelled), NO_CLASS, dtype=np.int64)
    fires = unlabelled.any(axis=1)
    classes = np.unique(labels)
    if len(classes) == 1:
        answers[fires] = classes[0]
    elif counts.any() and fires.any():
        model = LogisticRegression(max_iter=MAX_ITERATIONS) if name == "log" else SVC()
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)
            model.fit(counts, labels)
        answers[fires] = model.predict(unlabelled[fires])
    return answers
