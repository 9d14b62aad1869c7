"""Networks that are silent at first and then fire, because they learn: the warm-up saves them.

The moment of waking of a `HomeostaticLayer` is known, so it is known as well what saves it. All of
its samples are silent until then and none is afterwards. It is stopped after a warm-up w if and
only if one of the looks from w + min_samples on finds too many of the silent samples that came
after w.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import optuna
import pytest
from optuna.trial import FrozenTrial, TrialState

from benchmarks.waking_networks import HomeostaticLayer
from optuna_snn import SpikeActivityPruner, SpikeMonitor
from optuna_snn.spikes.rules import SilenceRule
from optuna_snn.stored_spikes import spike_report

N_SAMPLES = 400
GROWTH = 0.0005
CRITICAL = HomeostaticLayer(np.zeros(1), GROWTH).critical_weight


def layer_that_wakes_after(n_silent: int) -> HomeostaticLayer:
    """Its strongest neuron lacks a little less than n_silent steps of growth."""
    strongest = CRITICAL - (n_silent - 0.5) * GROWTH if n_silent else CRITICAL + GROWTH
    return HomeostaticLayer(strongest * np.array([0.8, 0.9, 1.0]), GROWTH)


def trained(layer: HomeostaticLayer, batch: int = 1, **options: Any) -> FrozenTrial:
    """A trial that trains the layer under the monitor and the pruner."""

    def objective(trial: optuna.Trial) -> float:
        network, seen = layer, 0
        with SpikeMonitor(trial, layers=["layer"], **options) as monitor:
            while seen < N_SAMPLES:
                counts = []
                for _ in range(batch):
                    counts.append(network.spikes())
                    network = network.after_sample()
                monitor.update("layer", counts)
                seen += batch
                if trial.should_prune():
                    raise optuna.TrialPruned(monitor.verdict)
        return 0.0

    study = optuna.create_study(pruner=SpikeActivityPruner())
    study.optimize(objective, n_trials=1)
    return study.trials[0]


def samples_seen(trial: FrozenTrial) -> int:
    report = spike_report(trial)
    assert report is not None
    return report.samples_seen


def allowance(min_samples: int, beta: float = 0.1) -> int:
    """The most silent samples that a warm-up may miss, if only firing ones follow them."""
    rule = SilenceRule("sequential", beta, 1e-3, min_samples)
    n_missed = 0
    while not any(rule.is_silent(n, min(n, n_missed + 1), 1) for n in range(1, N_SAMPLES)):
        n_missed += 1
    return n_missed


@pytest.mark.parametrize("n_silent", [0, 1, 7, 40, 150])
def test_the_layer_wakes_when_it_is_said_to(n_silent: int) -> None:
    layer = layer_that_wakes_after(n_silent)
    assert layer.n_silent == n_silent
    for n in range(n_silent + 50):
        assert (layer.spikes() > 0) == (n >= n_silent)
        layer = layer.after_sample()


def test_a_layer_without_growth_never_wakes() -> None:
    assert HomeostaticLayer(np.array([0.9 * CRITICAL]), growth=0.0).n_silent == math.inf


@pytest.mark.parametrize("batch", [1, 16])
@pytest.mark.parametrize("n_silent", [20, 32, 150])
def test_it_is_stopped_without_a_warm_up_and_not_when_the_warm_up_covers_its_waking(
    n_silent: int, batch: int
) -> None:
    layer = layer_that_wakes_after(n_silent)
    hasty = trained(layer, batch, warmup=0)
    assert hasty.state == TrialState.PRUNED
    assert hasty.constraints["silent/layer"] == 0.9 and samples_seen(hasty) == 16
    patient = trained(layer, batch, warmup=n_silent)
    assert patient.state == TrialState.COMPLETE
    assert patient.constraints["silent/layer"] == -0.1 and samples_seen(patient) == N_SAMPLES


def test_a_warm_up_does_not_save_one_that_wakes_too_late_for_it() -> None:
    late = trained(layer_that_wakes_after(150), warmup=100)
    assert late.state == TrialState.PRUNED and samples_seen(late) == 116


@pytest.mark.parametrize("warmup", [0, 32])
@pytest.mark.parametrize("min_samples", [3, 16, 32])
def test_the_minimum_saves_those_that_wake_a_little_after_the_warm_up(
    min_samples: int, warmup: int
) -> None:
    spare = allowance(min_samples)
    for n_silent, state in ((spare, TrialState.COMPLETE), (spare + 1, TrialState.PRUNED)):
        layer = layer_that_wakes_after(warmup + n_silent)
        assert trained(layer, warmup=warmup, min_samples=min_samples).state == state


def test_the_minimum_adds_less_than_itself_to_the_warm_up() -> None:
    found = {m: (allowance(m, 0.05), allowance(m, 0.1), allowance(m, 0.3)) for m in (3, 8, 16, 32)}
    assert found == {3: (2, 3, 7), 8: (4, 5, 7), 16: (6, 8, 12), 32: (8, 12, 21)}
