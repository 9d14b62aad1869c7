"""Both objectives can be retrained: `optuna-snn retrain` asks them by params and seed."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from optuna_snn.objectives import STDPObjective, STDPSetup, retrain, slayer_config, stdp_config
from optuna_snn.objectives.datasets import DataSplit
from optuna_snn.objectives.retrained import Retrainable
from optuna_snn.objectives.slayer.networks import SLAYERNetwork
from optuna_snn.objectives.slayer.objective import retrain as retrain_slayer
from optuna_snn.objectives.slayer.training import evaluate
from tests.objectives.slayer.samples import split_of_stripes
from tests.objectives.slayer.trials import DEFAULTS, LIVELY, SETUP, make

STDP_SETUP = STDPSetup(n_steps=40, batch_size=8, n_assign=None)
PARAMS = {"map_size": 12, "norm": 15.0, "nu_post": 2e-2}


@pytest.fixture(scope="module")
def split() -> DataSplit:
    return split_of_stripes()


def stdp(split: DataSplit) -> STDPObjective:
    return STDPObjective(
        split, space={}, setup=STDP_SETUP, decoder="2gram", engine="compiled", seed=0
    )


def test_the_stdp_objective_retrains_with_its_decoder_setup_and_engine(split: DataSplit) -> None:
    objective = stdp(split)
    assert isinstance(objective, Retrainable)
    found = objective.retrain(PARAMS, 3)
    config = replace(stdp_config(PARAMS), decoder="2gram")
    expected = retrain(config, split, setup=STDP_SETUP, seed=3, engine="compiled")
    assert found.test_accuracy == expected
    assert found.test_accuracy > 0.6  # a third by chance


def test_the_stdp_objective_hands_out_spikes_and_what_was_learnt(split: DataSplit) -> None:
    found = stdp(split).retrain(PARAMS, 3)
    assert found.spikes["excitatory"] > 1
    weights, theta = found.weights["weights"], found.weights["theta_mv"]
    assert weights.shape == (36, 12) and theta.shape == (12,)
    np.testing.assert_allclose(weights.sum(axis=0), 15.0, rtol=1e-4)
    assert theta.max() > 0
    assert not np.array_equal(weights, stdp(split).retrain(PARAMS, 4).weights["weights"])


def test_the_slayer_objective_retrains_with_its_defaults_and_setup(split: DataSplit) -> None:
    objective = make(split)
    assert isinstance(objective, Retrainable)
    config = slayer_config(LIVELY, DEFAULTS)
    expected = retrain_slayer(config, split, setup=SETUP, seed=3)
    assert objective.retrain(LIVELY, 3).test_accuracy == expected


def test_a_slayer_network_with_the_kept_weights_does_what_was_reported(split: DataSplit) -> None:
    setup = replace(SETUP, encoding="regular")  # nothing random at the inputs
    found = make(split, setup=setup).retrain(LIVELY, 3)
    config = slayer_config(LIVELY, DEFAULTS)
    rng = np.random.default_rng(99)
    shape = setup.inputs.shape_of(split.test)
    network = SLAYERNetwork(setup.plan(config, split.test, 3), config, shape, rng=rng)
    before = evaluate(network, split.test, setup, rng)
    network.load_state_dict({n: torch.tensor(each) for n, each in found.weights.items()})
    after = evaluate(network, split.test, setup, rng)
    assert (after.accuracy, after.spikes) == (found.test_accuracy, found.spikes)
    assert before.spikes != after.spikes
