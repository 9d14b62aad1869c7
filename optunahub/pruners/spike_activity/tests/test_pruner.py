"""The pruner as the registry hands it out, with the monitor that it reads."""

from __future__ import annotations

from pathlib import Path
import pickle

import optuna
from optuna.pruners import ThresholdPruner
from optuna.trial import FrozenTrial
import optunahub


REGISTRY = Path(__file__).resolve().parents[3]
module = optunahub.load_local_module("pruners/spike_activity", registry_root=str(REGISTRY))

BATCH_SIZE = 16
N_BATCHES = 20


def finished(
    pruner: optuna.pruners.BasePruner, *, spikes: int, accuracy: float = 0.9
) -> FrozenTrial:
    """A trial that has `spikes` spikes in each sample, and reports `accuracy` each time."""

    def objective(trial: optuna.Trial) -> float:
        with module.SpikeMonitor(trial, planned_samples=N_BATCHES * BATCH_SIZE) as monitor:
            for step in range(N_BATCHES):
                monitor.update("output", [spikes] * BATCH_SIZE)
                trial.report(accuracy, step)
                if trial.should_prune():
                    raise optuna.TrialPruned(monitor.verdict)
        return accuracy

    study = optuna.create_study(direction="maximize", pruner=pruner)
    study.optimize(objective, n_trials=1)
    return study.trials[0]


def test_a_silent_network_is_stopped_early_and_infeasible() -> None:
    trial = finished(module.SpikeActivityPruner(), spikes=0)
    assert trial.state.name == "PRUNED"
    assert trial.last_step is not None and trial.last_step < N_BATCHES - 1
    assert trial.constraints["silent/output"] > 0.0


def test_a_network_that_fires_is_trained_to_the_end_and_feasible() -> None:
    trial = finished(module.SpikeActivityPruner(), spikes=3)
    assert trial.state.name == "COMPLETE"
    assert trial.last_step == N_BATCHES - 1
    assert trial.constraints["silent/output"] <= 0.0


def test_a_network_that_fires_is_left_to_the_wrapped_pruner() -> None:
    pruner = module.SpikeActivityPruner(ThresholdPruner(lower=0.5))
    assert finished(pruner, spikes=3, accuracy=0.9).state.name == "COMPLETE"
    badly_trained = finished(pruner, spikes=3, accuracy=0.1)
    assert badly_trained.state.name == "PRUNED"
    assert badly_trained.constraints["silent/output"] <= 0.0


def test_a_pickled_pruner_stops_the_same_trial() -> None:
    """Other processes find the class in the installed package, where optunahub loaded nothing."""
    pruner = module.SpikeActivityPruner()
    trial = finished(pruner, spikes=0)
    assert pickle.loads(pickle.dumps(pruner)).prune(optuna.create_study(), trial)
    assert type(pruner).__module__ == "optuna_snn.pruner"
