"""Decoders: from the spikes of unlabelled neurons to classes.

A network trained by STDP knows no labels. After training, neurons (or the order in which they
fire) are matched with classes on labelled samples; other samples are then classified.

    all_activity           the class whose neurons fire most on average; a neuron belongs to the
                           class that it fires most for [Diehl & Cook 2015, section 2.6]
    proportion_weighting   the same, each neuron's spikes weighted by the share of its activity
                           that fell on its class: a neuron with one favourite counts more
    2gram, 3gram           each sequence of n successively firing neurons votes for the classes
                           during which it was seen, as often as it was seen [Hazan et al. 2018]

Definitions where the sources leave room, or where BindsNET's functions of the same names differ:
    1. Rates per class are means over the samples of that class, so unequal class sizes do not
       matter. Ties go to the smaller class. (BindsNET breaks ties by global random numbers.)
    2. -1 is "no answer": the class of a neuron that never fired, the prediction where nothing
       votes. It is never a hit. (BindsNET's n-gram decoder answers 0 there.)
    3. A sequence runs over successive steps in which anything fires. Neurons that fire in the
       same step have no order: all combinations count, when learning and when predicting.
       (BindsNET orders them by index when predicting, and leaves out the last sequence.)

    [Diehl & Cook 2015]  doi 10.3389/fncom.2015.00099
    [Hazan et al. 2018]  Unsupervised learning with self-organizing spiking neural networks,
                         arXiv:1807.09374
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

__all__ = [
    "ALL_DECODERS",
    "DECODERS",
    "NO_CLASS",
    "DecoderName",
    "NeuronClasses",
    "NgramVotes",
    "SpikeTrains",
    "accuracy",
    "assign_classes",
    "count_ngram_votes",
    "predict_all",
    "predict_all_activity",
    "predict_ngram",
    "predict_proportion_weighting",
]

DecoderName = Literal["all_activity", "proportion_weighting", "2gram", "3gram", "log", "svm"]
ALL_DECODERS: tuple[DecoderName, ...] = get_args(DecoderName)
"""The last two are classifiers of spike counts, see `classifiers`."""
DECODERS: tuple[DecoderName, ...] = ("all_activity", "proportion_weighting", "2gram", "3gram")
"""Those of this file."""
NGRAM_LENGTHS: Mapping[DecoderName, int] = {"2gram": 2, "3gram": 3}

NO_CLASS = -1

Labels = NDArray[np.int64]


@dataclass(frozen=True)
class SpikeTrains:
    """The spikes of a layer, one entry per spike, sorted by sample, then step, then neuron.

    sample, step, neuron: (n_spikes,) int64
    """

    sample: NDArray[np.int64]
    step: NDArray[np.int64]
    neuron: NDArray[np.int64]
    n_samples: int
    n_neurons: int

    @classmethod
    def from_dense(cls, spikes: NDArray[np.bool_]) -> SpikeTrains:
        """Collect the spikes of an array (n_steps, n_samples, n_neurons)."""
        sample, step, neuron = np.nonzero(spikes.transpose(1, 0, 2))
        return cls(sample, step, neuron, n_samples=spikes.shape[1], n_neurons=spikes.shape[2])

    @classmethod
    def concatenate(cls, parts: Sequence[SpikeTrains]) -> SpikeTrains:
        """Put the samples of several recordings of one layer behind each other."""
        first_samples = np.cumsum([0, *(part.n_samples for part in parts)])
        return cls(
            sample=np.concatenate(
                [part.sample + first for part, first in zip(parts, first_samples, strict=False)]
            ),
            step=np.concatenate([part.step for part in parts]),
            neuron=np.concatenate([part.neuron for part in parts]),
            n_samples=int(first_samples[-1]),
            n_neurons=parts[0].n_neurons,
        )

    @property
    def counts(self) -> NDArray[np.int64]:
        """(n_samples, n_neurons): spikes of each neuron in each sample."""
        cells = self.sample * self.n_neurons + self.neuron
        counts = np.bincount(cells, minlength=self.n_samples * self.n_neurons)
        return counts.reshape(self.n_samples, self.n_neurons)


@dataclass(frozen=True)
class NeuronClasses:
    """What labelled samples say about each neuron.

    classes:     (n_neurons,) the class that the neuron fires most for; -1 if it never fired
    proportions: (n_neurons, n_classes) its rate for each class, divided by their sum
    """

    classes: Labels
    proportions: NDArray[np.float64]


@dataclass(frozen=True)
class NgramVotes:
    """How often each sequence of n firing neurons was seen in each class.

    codes: (n_ngrams,) sorted; the neurons' indices as the digits of a number
    votes: (n_ngrams, n_classes)
    """

    n: int
    codes: NDArray[np.int64]
    votes: NDArray[np.float64]


def predict_all(
    labelled: SpikeTrains, labels: Labels, unlabelled: SpikeTrains, *, n_classes: int
) -> dict[DecoderName, Labels]:
    """Classify `unlabelled` by every decoder, each fitted to `labelled`.

    labels: (n_samples of labelled,)
    Returns decoder -> (n_samples of unlabelled,), -1 where a decoder has no answer.
    """
    neurons = assign_classes(labelled.counts, labels, n_classes=n_classes)
    counts = unlabelled.counts
    predictions: dict[DecoderName, Labels] = {
        "all_activity": predict_all_activity(counts, neurons),
        "proportion_weighting": predict_proportion_weighting(counts, neurons),
    }
    for name, n in NGRAM_LENGTHS.items():
        votes = count_ngram_votes(labelled, labels, n_classes=n_classes, n=n)
        predictions[name] = predict_ngram(unlabelled, votes)
    return predictions


def accuracy(predictions: Labels, labels: Labels) -> float:
    """The share of predictions that are right; -1, no answer, is wrong."""
    return float(np.mean((predictions == labels) & (predictions != NO_CLASS)))


def assign_classes(
    counts: NDArray[np.integer], labels: Labels, *, n_classes: int
) -> NeuronClasses:
    """Give each neuron the class that it fires most for.

    counts: (n_samples, n_neurons)
    labels: (n_samples,), each below n_classes
    """
    is_class = np.arange(n_classes)[:, None] == labels  # (n_classes, n_samples)
    n_of_class = np.maximum(is_class.sum(axis=1), 1)
    rates = (is_class.astype(float) @ counts).T / n_of_class  # (n_neurons, n_classes)
    total = rates.sum(axis=1, keepdims=True)
    proportions = np.divide(rates, total, out=np.zeros_like(rates), where=total > 0)
    classes = np.where(total[:, 0] > 0, rates.argmax(axis=1), NO_CLASS)
    return NeuronClasses(classes, proportions)


def predict_all_activity(counts: NDArray[np.integer], neurons: NeuronClasses) -> Labels:
    """For each sample, the class with the most spikes per neuron of that class.

    counts: (n_samples, n_neurons)
    Returns (n_samples,), -1 where no neuron with a class fires.
    """
    return _predict_by_mean(counts.astype(float), neurons)


def predict_proportion_weighting(counts: NDArray[np.integer], neurons: NeuronClasses) -> Labels:
    """As `predict_all_activity`, with each neuron's spikes times its proportion for its class."""
    weights = np.take_along_axis(neurons.proportions, neurons.classes.clip(min=0)[:, None], axis=1)
    return _predict_by_mean(counts * weights[:, 0], neurons)


def count_ngram_votes(
    trains: SpikeTrains, labels: Labels, *, n_classes: int, n: int
) -> NgramVotes:
    """Count the sequences of n successively firing neurons, class by class.

    labels: (n_samples,), each below n_classes
    """
    sample, code = _ngrams(trains, n)
    codes, position = np.unique(code, return_inverse=True)
    votes = np.zeros((len(codes), n_classes))
    np.add.at(votes, (position, labels[sample]), 1)
    return NgramVotes(n, codes, votes)


def predict_ngram(trains: SpikeTrains, ngrams: NgramVotes) -> Labels:
    """For each sample, the class with the most votes of its sequences, repetitions included.

    Returns (n_samples,), -1 where no sequence of the sample was seen before.
    """
    sample, code = _ngrams(trains, ngrams.n)
    position = np.searchsorted(ngrams.codes, code)
    is_known = np.isin(code, ngrams.codes)
    sample, position = sample[is_known], position[is_known]
    occurrences = sparse.csr_array(
        (np.ones(len(sample)), (sample, position)), shape=(trains.n_samples, len(ngrams.codes))
    )
    return _largest(occurrences @ ngrams.votes)


def _predict_by_mean(activity: NDArray[np.float64], neurons: NeuronClasses) -> Labels:
    """activity: (n_samples, n_neurons)"""
    n_classes = neurons.proportions.shape[1]
    is_member = neurons.classes[:, None] == np.arange(n_classes)  # (n_neurons, n_classes)
    n_members = np.maximum(is_member.sum(axis=0), 1)
    return _largest(activity @ is_member / n_members)


def _largest(scores: NDArray[np.float64]) -> Labels:
    """scores: (n_samples, n_classes); the best class of each sample, -1 where all are zero."""
    return np.where(scores.any(axis=1), scores.argmax(axis=1), NO_CLASS)


def _ngrams(trains: SpikeTrains, n: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """All sequences of n neurons, each of which fires in the firing step after the one before.

    Returns the sample and the code of each sequence, both (n_sequences,).
    """
    if trains.n_neurons**n > np.iinfo(np.int64).max:
        raise ValueError(
            f"Sequences of {n} among {trains.n_neurons} neurons are too many; use a smaller n."
        )
    is_first = np.ones(len(trains.neuron), dtype=np.bool_)  # spike of its firing step
    is_first[1:] = (np.diff(trains.sample) != 0) | (np.diff(trains.step) != 0)
    start = np.flatnonzero(is_first)  # (n_firing_steps,), position of the step's first spike
    size = np.diff(start, append=len(trains.neuron))
    sample_of = trains.sample[start]
    has_next = np.append(sample_of[1:] == sample_of[:-1], np.zeros(min(1, len(start)), np.bool_))

    code = trains.neuron
    firing_step = np.cumsum(is_first) - 1  # the step in which a sequence ends
    for _ in range(n - 1):
        goes_on = has_next[firing_step]
        code, firing_step = code[goes_on], firing_step[goes_on] + 1
        n_next = size[firing_step]
        ends = np.cumsum(n_next)
        within = np.arange(n_next.sum()) - np.repeat(ends - n_next, n_next)
        following = trains.neuron[np.repeat(start[firing_step], n_next) + within]
        code = np.repeat(code, n_next) * trains.n_neurons + following
        firing_step = np.repeat(firing_step, n_next)
    return sample_of[firing_step], code
