"""A network that is a number, whose accuracy falls with its distance from 1."""

import numpy as np


def fit(threshold, seed, on):
    return threshold + 0.01 * len(on) * np.random.default_rng(seed).standard_normal()


def accuracy(network, on):
    return float(np.exp(-abs(network - 1)))


def mean_spikes(network, on):
    return float(10 / (1 + abs(network)))


def check_the_results(names):
    from optuna_snn.retraining import read_results

    results = read_results(names["Path"]("retrained"))
    assert [len(result.repeats) for result in results] == [3, 3]
    assert results[0].number == names["study"].best_trial.number


CHECKS = {"retrain_best(study": check_the_results}
