"""The STDP objective where it reads membrane potentials."""

from typing import Any

import numpy as np
import optuna
import pytest

from optuna_snn.objectives.datasets import DataSplit, stratified_split
from optuna_snn.objectives.stdp.diehl_cook import DiehlCookConfig
from optuna_snn.stored_spikes import spike_report
from tests.objectives.stdp.test_diehl_cook import input_spikes, network
from tests.objectives.stdp.test_objective import LIVELY, SILENT, make, run, stripes


@pytest.fixture(scope="module")
def split() -> DataSplit:
    return stratified_split(stripes(), n_train=72, n_validation=30, n_test=30, seed=0)


def excitatory_peak(config: DiehlCookConfig, weights: np.ndarray, spikes: np.ndarray) -> float:
    """The largest share of the way to the threshold, of neurons that never fire.

    weights: (n_inputs, n_neurons); spikes: (n_steps, n_inputs)
    """
    above_rest, peak = np.zeros(weights.shape[1]), 0.0
    for step in range(len(spikes)):
        above_rest *= np.exp(-1 / config.e_tc_decay_ms)
        above_rest += spikes[step - 1] @ weights if step else 0.0
        peak = max(peak, above_rest.max() / (config.e_thresh_mv - config.e_rest_mv))
    return peak


def test_gaps_of_a_silent_network_are_those_of_a_step_by_step_reference() -> None:
    config = DiehlCookConfig(map_size=4, norm=2.0, e_thresh_mv=-40.0, nu_pre=0.0)
    net, spikes = network(config), input_spikes(0, n_samples=3)
    expected = [1 - excitatory_peak(config, net.weights, spikes[:, i]) for i in range(3)]
    fired = net.learn(spikes, np.random.default_rng(0), reads_membranes=True)
    assert fired.excitatory.sum() == 0
    assert fired.gaps is not None
    np.testing.assert_allclose(fired.gaps["excitatory"], expected, rtol=1e-4)
    assert 0.1 < min(expected) < max(expected) < 0.9
    assert fired.gaps["inhibitory"].tolist() == [1.0] * 3  # nothing reaches it


def test_reading_potentials_changes_nothing_else() -> None:
    nets = [network(), network()]
    fired = [
        net.learn(input_spikes(1), np.random.default_rng(2), reads_membranes=reads)
        for net, reads in zip(nets, (False, True), strict=True)
    ]
    assert np.array_equal(fired[0].excitatory, fired[1].excitatory)
    assert np.array_equal(nets[0].weights, nets[1].weights)
    assert fired[0].gaps is None
    assert fired[1].gaps is not None
    has_fired = fired[1].counts["inhibitory"] > 0
    assert has_fired.any()
    assert (fired[1].gaps["inhibitory"][has_fired] == 0).all()


def test_an_objective_with_membranes_grades_what_is_silent(split: DataSplit) -> None:
    params: list[dict[str, Any]] = [{**SILENT, "norm": 0.03}, {**SILENT, "norm": 0.3}, LIVELY]
    trials = run(make(split, membranes=True), params)
    plain = run(make(split, membranes=False), params)
    assert [trial.state for trial in trials] == [trial.state for trial in plain]
    assert trials[2].constraints == plain[2].constraints
    assert plain[0].constraints == plain[1].constraints  # the plateau
    assert trials[0].constraints["silent/excitatory"] > trials[1].constraints["silent/excitatory"]
    report = spike_report(trials[0])
    assert report is not None
    assert trials[0].constraints["silent/excitatory"] == report.constraints["excitatory"]
    assert trials[0].state == optuna.trial.TrialState.PRUNED
