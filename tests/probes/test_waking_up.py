"""A real network that learns by gradients wakes up: its warm-up keeps it from being stopped.

Its configuration is no. 8 of those that `benchmarks.waking_up` draws, with the numbers rounded:
the output fires for no digit until some 150 have been learnt from in batches of 8, and then for
nearly all of them.
"""

from __future__ import annotations

import optuna
import pytest
import torch
from optuna.trial import FrozenTrial, TrialState

from benchmarks.waking_networks import digits_of, slayer_network
from optuna_snn import SpikeActivityPruner, SpikeMonitor
from optuna_snn.backends import lava_dl
from optuna_snn.stored_spikes import spike_report

PARAMS = {"current": 0.37, "voltage": 0.44, "threshold": 12.4, "weight_scale": 0.34, "lr": 0.01}
N_SAMPLES, N_STEPS, BATCH = 640, 16, 8
WAKING = 256


def trained(warmup: int) -> FrozenTrial:
    """A trial that trains the SLAYER network on digits under the monitor and the pruner."""
    digits = digits_of(N_SAMPLES)
    images, labels = torch.tensor(digits.images), torch.tensor(digits.labels)
    loss = lava_dl.load().loss.SpikeRate(true_rate=0.5, false_rate=0.03, reduction="sum")

    def objective(trial: optuna.Trial) -> float:
        torch.manual_seed(0)
        model = slayer_network(PARAMS)
        adam = torch.optim.Adam(model.parameters(), PARAMS["lr"])
        with SpikeMonitor(trial, warmup=warmup, min_samples=16) as monitor:
            monitor.watch(model, {"hidden": "0", "output": "1"})
            for start in range(0, N_SAMPLES, BATCH):
                pixels = images[start : start + BATCH, :, None]
                adam.zero_grad()
                spikes = model((torch.rand(len(pixels), 784, N_STEPS) < pixels).float())
                loss(spikes, labels[start : start + BATCH]).backward()
                adam.step()
                monitor.update()
                if trial.should_prune():
                    raise optuna.TrialPruned(monitor.verdict)
        return 0.0

    study = optuna.create_study(pruner=SpikeActivityPruner())
    with torch.random.fork_rng(devices=[]):
        study.optimize(objective, n_trials=1)
    return study.trials[0]


@pytest.mark.parametrize("warmup", [0, 32])
def test_a_slayer_network_that_wakes_up_is_stopped_without_a_warm_up_or_with_too_short_a_one(
    warmup: int,
) -> None:
    trial = trained(warmup)
    report = spike_report(trial)
    assert trial.state == TrialState.PRUNED and report is not None
    assert report.samples_seen == warmup + 16 and "output" in report.stopped_layers


def test_a_slayer_network_that_wakes_up_goes_on_when_the_warm_up_covers_it() -> None:
    trial = trained(warmup=WAKING)
    report = spike_report(trial)
    assert trial.state == TrialState.COMPLETE and report is not None
    assert report.samples_seen == N_SAMPLES
    output = report.layers["output"].activity
    n_before = output.seen.n_silent - output.judged.n_silent
    assert n_before > 0.5 * WAKING and output.judged.n_silent < 0.1 * output.judged.n_samples
