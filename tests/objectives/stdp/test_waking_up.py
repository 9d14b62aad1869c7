"""A real network that learns by STDP wakes up: its warm-up keeps it from being stopped.

Its threshold is 1.8 times the potential to which the mean digit drives a neuron. Only bright
digits make it fire at first; since the sum of its weights is fixed, each of them moves weight to
the pixels that digits light, and after some hundred digits hardly one leaves it silent.
"""

from __future__ import annotations

import optuna
import pytest
from optuna.distributions import FloatDistribution, IntDistribution
from optuna.trial import FrozenTrial, TrialState

from optuna_snn import SpikeActivityPruner
from optuna_snn.objectives import STDPObjective, STDPSetup, split_digits
from optuna_snn.stored_spikes import spike_report

PARAMS = {
    "map_size": 40,
    "nu_pre": 1e-5,
    "nu_post": 0.04,
    "strength_exc": 100.0,
    "strength_inh": 120.0,
    "norm": 60.0,
    "e_thresh": 16.1,
    "theta_plus": 0.0045,
    "e_tc_decay": 100.0,
}
SPACE = {
    name: IntDistribution(value, value)
    if isinstance(value, int)
    else FloatDistribution(value, value)
    for name, value in PARAMS.items()
}
N_SAMPLES, BATCH = 320, 16
WAKING = 128


def trained(warmup: int) -> FrozenTrial:
    """A trial of the objective, under the pruner."""
    objective = STDPObjective(
        split_digits(n_train=N_SAMPLES, n_validation=20, n_test=1),
        space=SPACE,
        setup=STDPSetup(n_steps=60, batch_size=BATCH, n_assign=20),
        seed=0,
        warmup=warmup,
        min_samples=16,
    )
    study = optuna.create_study(direction="maximize", pruner=SpikeActivityPruner())
    study.optimize(objective, n_trials=1)
    return study.trials[0]


@pytest.mark.parametrize("warmup", [0, 32])
def test_an_stdp_network_that_wakes_up_is_stopped_without_a_warm_up_or_with_too_short_a_one(
    warmup: int,
) -> None:
    trial = trained(warmup)
    report = spike_report(trial)
    assert trial.state == TrialState.PRUNED and report is not None
    assert report.samples_seen == warmup + 16
    assert report.stopped_layers == ("excitatory", "inhibitory")


def test_an_stdp_network_that_wakes_up_goes_on_when_the_warm_up_covers_it() -> None:
    trial = trained(WAKING)
    report = spike_report(trial)
    assert trial.state == TrialState.COMPLETE and report is not None
    assert report.samples_seen == N_SAMPLES
    for layer in report.layers.values():
        judged, seen = layer.activity.judged, layer.activity.seen
        n_before = seen.n_silent - judged.n_silent
        assert n_before > 0.6 * WAKING and judged.n_silent < 0.05 * judged.n_samples
    assert max(trial.constraints.values()) < -0.05
