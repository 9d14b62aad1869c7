"""The decoders, by hand, by properties, and against BindsNET's functions of the same names."""

import importlib
from types import ModuleType

import numpy as np
import pytest
import torch

from optuna_snn.backends import bindsnet
from optuna_snn.objectives.decoders import (
    DECODERS,
    SpikeTrains,
    accuracy,
    assign_classes,
    count_ngram_votes,
    predict_all,
    predict_all_activity,
    predict_ngram,
    predict_proportion_weighting,
)

N_CLASSES = 4


@pytest.fixture(scope="module")
def evaluation() -> ModuleType:
    """BindsNET's decoders, the oracle."""
    bindsnet.load()
    return importlib.import_module("bindsnet.evaluation")


def dense(trains: list[list[tuple[int, ...]]], n_neurons: int) -> np.ndarray:
    """(n_steps, n_samples, n_neurons) from the neurons that fire in each step of each sample."""
    n_steps = max(len(steps) for steps in trains)
    spikes = np.zeros((n_steps, len(trains), n_neurons), dtype=bool)
    for sample, steps in enumerate(trains):
        for step, neurons in enumerate(steps):
            spikes[step, sample, list(neurons)] = True
    return spikes


def random_spikes(seed: int, *, one_per_step: bool) -> tuple[np.ndarray, np.ndarray]:
    """Spikes (n_steps, n_samples, n_neurons) that favour the label, and the labels."""
    rng = np.random.default_rng(seed)
    n_steps, n_samples, n_neurons = 30, 60, 12
    labels = rng.integers(N_CLASSES, size=n_samples)
    favours = np.arange(n_neurons) % N_CLASSES == labels[:, None]
    p = np.where(favours, 0.15, 0.04)
    p[:, 5] = 0  # a neuron that never fires
    p[:3] = 0  # samples without a spike
    spikes = rng.random((n_steps, n_samples, n_neurons)) < p
    if one_per_step:
        first = spikes.argmax(axis=2)
        spikes &= np.arange(n_neurons) == first[..., None]
    return spikes, labels


def bindsnet_layout(spikes: np.ndarray) -> torch.Tensor:
    return torch.from_numpy(spikes.transpose(1, 0, 2).astype(np.float32))


def has_one_winner(scores: np.ndarray) -> np.ndarray:
    """Rows whose largest value is neither shared (to rounding) nor zero."""
    ordered = np.sort(scores, axis=-1)
    return (ordered[:, -1] > ordered[:, -2] + 1e-5) & (ordered[:, -1] > 0)


def test_a_neuron_belongs_to_the_class_of_its_highest_mean_rate() -> None:
    # Neuron 0: 4 spikes in the two samples of class 0 (mean 2), 3 in the one of class 1 (mean 3).
    counts = np.array([[3, 0, 1], [1, 0, 1], [3, 0, 0]])
    neurons = assign_classes(counts, np.array([0, 0, 1]), n_classes=3)
    assert neurons.classes.tolist() == [1, -1, 0]
    assert np.allclose(neurons.proportions, [[2 / 5, 3 / 5, 0], [0, 0, 0], [1, 0, 0]])


def test_all_activity_averages_over_the_neurons_of_a_class() -> None:
    labelled = np.array([[9, 9, 9, 0], [0, 0, 0, 9]])
    neurons = assign_classes(labelled, np.array([0, 1]), n_classes=2)
    # Class 0 has three neurons: 2 + 2 + 1 spikes are 5/3 each, fewer than the 2 of class 1.
    assert predict_all_activity(np.array([[2, 2, 1, 2]]), neurons).tolist() == [1]
    assert predict_all_activity(np.array([[2, 2, 3, 2]]), neurons).tolist() == [0]


def test_proportion_weighting_counts_a_neuron_by_how_much_it_favours_its_class() -> None:
    # Neuron 0 gives 60 % of its activity to class 0, neuron 1 all of it to class 1.
    neurons = assign_classes(np.array([[6, 0], [4, 5]]), np.array([0, 1]), n_classes=2)
    counts = np.array([[3, 2], [4, 2]])
    assert predict_all_activity(counts, neurons).tolist() == [0, 0]
    assert predict_proportion_weighting(counts, neurons).tolist() == [1, 0]  # 1.8 < 2, 2.4 > 2


def test_2gram_tells_apart_what_only_the_order_does() -> None:
    forth, back = [(0,), (), (1,), (2,)], [(2,), (1,), (), (0,)]
    labelled = SpikeTrains.from_dense(dense([forth, back], 3))
    labels = np.array([0, 1])
    unlabelled = SpikeTrains.from_dense(dense([[(), (1,), (2,)], [(2,), (1,)], [(1,)]], 3))
    predictions = predict_all(labelled, labels, unlabelled, n_classes=2)
    assert predictions["2gram"].tolist() == [0, 1, -1]
    assert predictions["3gram"].tolist() == [-1, -1, -1]


def test_sequences_do_not_run_from_one_sample_into_the_next() -> None:
    trains = SpikeTrains.from_dense(dense([[(0,), (1,)], [(2,), (0,)]], 3))
    votes = count_ngram_votes(trains, np.array([0, 1]), n_classes=2, n=2)
    assert votes.codes.tolist() == [0 * 3 + 1, 2 * 3 + 0]
    assert votes.votes.tolist() == [[1, 0], [0, 1]]


def test_neurons_of_one_step_are_combined_in_all_ways() -> None:
    trains = SpikeTrains.from_dense(dense([[(0, 1), (), (2,), (0, 1)]], 3))
    votes = count_ngram_votes(trains, np.array([0]), n_classes=1, n=3)
    expected = [(0, 2, 0), (0, 2, 1), (1, 2, 0), (1, 2, 1)]
    assert votes.codes.tolist() == [9 * a + 3 * b + c for a, b, c in expected]


def test_no_answer_is_wrong_even_where_the_label_says_so() -> None:
    assert accuracy(np.array([0, -1, 2, -1]), np.array([0, 1, 2, -1])) == 0.5


def test_silence_gets_no_answer_from_any_decoder() -> None:
    spikes, labels = random_spikes(0, one_per_step=True)
    silent = SpikeTrains.from_dense(np.zeros_like(spikes))
    active = SpikeTrains.from_dense(spikes)
    for labelled, unlabelled in [(active, silent), (silent, active), (silent, silent)]:
        predictions = predict_all(labelled, labels, unlabelled, n_classes=N_CLASSES)
        assert set(predictions) == set(DECODERS)
        assert all(np.all(each == -1) for each in predictions.values())


def test_decoders_do_not_depend_on_the_order_of_samples_or_neurons() -> None:
    spikes, labels = random_spikes(1, one_per_step=False)
    rng = np.random.default_rng(0)
    samples, neurons = rng.permutation(spikes.shape[1]), rng.permutation(spikes.shape[2])
    original = SpikeTrains.from_dense(spikes)
    permuted = SpikeTrains.from_dense(spikes[:, samples][:, :, neurons])
    first = predict_all(original, labels, original, n_classes=N_CLASSES)
    second = predict_all(permuted, labels[samples], permuted, n_classes=N_CLASSES)
    for name in DECODERS:
        assert np.array_equal(first[name][samples], second[name]), name


def test_spike_trains_keep_every_spike() -> None:
    spikes, _ = random_spikes(2, one_per_step=False)
    parts = [SpikeTrains.from_dense(spikes[:, :25]), SpikeTrains.from_dense(spikes[:, 25:])]
    joined = SpikeTrains.concatenate(parts)
    rebuilt = np.zeros_like(spikes)
    rebuilt[joined.step, joined.sample, joined.neuron] = True
    assert np.array_equal(rebuilt, spikes)
    assert np.array_equal(joined.counts, spikes.sum(axis=0))


def test_too_many_neurons_for_long_sequences_are_refused() -> None:
    trains = SpikeTrains.from_dense(np.zeros((1, 1, 20_000), dtype=bool))
    with pytest.raises(ValueError, match="20000 neurons are too many"):
        count_ngram_votes(trains, np.array([0]), n_classes=1, n=5)


@pytest.mark.parametrize("seed", range(4))
def test_neuron_classes_and_rate_decoders_agree_with_bindsnet(
    seed: int, evaluation: ModuleType
) -> None:
    spikes, labels = random_spikes(seed, one_per_step=False)
    unlabelled, _ = random_spikes(seed + 100, one_per_step=False)
    counts = unlabelled.sum(axis=0)
    with torch.random.fork_rng(devices=[]):  # BindsNET breaks ties at random
        assigned, proportions, rates = evaluation.assign_labels(
            bindsnet_layout(spikes), torch.from_numpy(labels), N_CLASSES
        )
    neurons = assign_classes(spikes.sum(axis=0), labels, n_classes=N_CLASSES)
    assert np.allclose(neurons.proportions, proportions.numpy(), atol=1e-6)
    is_decided = has_one_winner(rates.numpy()) | (rates.numpy().sum(axis=1) == 0)
    assert is_decided.sum() >= 10
    assert np.array_equal(neurons.classes[is_decided], assigned.numpy()[is_decided])

    theirs = torch.from_numpy(neurons.classes)
    layout = bindsnet_layout(unlabelled)
    weighted = counts * neurons.proportions.max(axis=1)
    for ours, reference, activity in (
        (
            predict_all_activity(counts, neurons),
            evaluation.all_activity(layout, theirs, N_CLASSES),
            counts,
        ),
        (
            predict_proportion_weighting(counts, neurons),
            evaluation.proportion_weighting(layout, theirs, proportions, N_CLASSES),
            weighted,
        ),
    ):
        members = neurons.classes[:, None] == np.arange(N_CLASSES)
        scores = activity @ members / np.maximum(members.sum(axis=0), 1)
        is_decided = has_one_winner(scores) | (scores.sum(axis=1) == 0)
        assert is_decided.sum() >= 40
        assert np.array_equal(ours[is_decided], reference.numpy()[is_decided])


@pytest.mark.parametrize("n", [1, 2, 3])
@pytest.mark.parametrize("one_per_step", [True, False])
def test_ngram_votes_agree_with_bindsnet(
    n: int, one_per_step: bool, evaluation: ModuleType
) -> None:
    spikes, labels = random_spikes(7, one_per_step=one_per_step)
    ours = count_ngram_votes(SpikeTrains.from_dense(spikes), labels, n_classes=N_CLASSES, n=n)
    theirs = evaluation.update_ngram_scores(
        bindsnet_layout(spikes), torch.from_numpy(labels), N_CLASSES, n, {}
    )
    n_neurons = spikes.shape[2]
    by_code = {
        sum(neuron * n_neurons**place for place, neuron in enumerate(reversed(sequence))): votes
        for sequence, votes in theirs.items()
    }
    assert ours.codes.tolist() == sorted(by_code)
    assert np.array_equal(ours.votes, [by_code[code].numpy() for code in sorted(by_code)])


@pytest.mark.parametrize("n", [2, 3])
def test_ngram_predictions_agree_with_bindsnet_but_for_the_last_sequence(
    n: int, evaluation: ModuleType
) -> None:
    """BindsNET never looks at the last sequence (departure 3): one more spike makes it do so.

    The spike belongs to a neuron of its own, so no sequence with it was seen before. With one
    spike per step the order within a step does not matter.
    """
    spikes, labels = random_spikes(11, one_per_step=True)
    unlabelled, _ = random_spikes(12, one_per_step=True)
    votes = count_ngram_votes(SpikeTrains.from_dense(spikes), labels, n_classes=N_CLASSES, n=n)
    scores = evaluation.update_ngram_scores(
        bindsnet_layout(spikes), torch.from_numpy(labels), N_CLASSES, n, {}
    )
    extended = np.zeros((unlabelled.shape[0] + 1, unlabelled.shape[1], unlabelled.shape[2] + 1))
    extended[:-1, :, :-1] = unlabelled
    extended[-1, :, -1] = 1
    theirs = evaluation.ngram(bindsnet_layout(extended), scores, N_CLASSES, n).numpy()
    ours = predict_ngram(SpikeTrains.from_dense(unlabelled), votes)
    is_answered = ours != -1
    assert 30 <= is_answered.sum() < len(ours)
    assert np.array_equal(ours[is_answered], theirs[is_answered])
    assert np.all(theirs[~is_answered] == 0)  # departure 2
