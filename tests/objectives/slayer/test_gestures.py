"""The whole path, from recordings of events on disk to a network that knows what they show."""

from __future__ import annotations

from dataclasses import replace

import pytest

from optuna_snn.objectives import SLAYERConfig, retrain_slayer, split_gestures
from optuna_snn.objectives.slayer.spaces import EXPERIMENT_4_SETUP


@pytest.mark.slow
def test_the_network_of_experiment_4_learns_synthetic_gestures_of_people_it_never_saw() -> None:
    """At least half of the 110 recordings of five people; an eleventh is chance.

    Measured with seeds 0 and 1: 0.727 and 0.636. The rounding of a machine is as good as another
    seed, hence the distance from these.
    """
    setup = replace(EXPERIMENT_4_SETUP, n_steps=25, overlapping_pools=False)
    config = SLAYERConfig(
        n_epochs=4,
        batch_size=8,
        c1_filters=12,
        c2_filters=24,
        c1_k=5,
        c2_k=3,
        n_hidden=64,
        learning_rate=3e-3,
        tau_grad=0.3,
        scale_grad=0.5,
        threshold=0.5,
        current_decay=0.95,
        voltage_decay=0.1,
        threshold_decay=0.15,
        refractory_decay=0.15,
        dropout=0.01,
    )
    assert retrain_slayer(config, split_gestures(side=128), setup=setup, seed=0) >= 0.5
