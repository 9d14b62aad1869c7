"""Tune the neurons of a small spiking network, and stop the networks that stay silent.

Ten leaky integrate-and-fire neurons see weak or strong inputs; their spikes are to tell which.
Where the threshold is too high for the leak, no neuron ever fires.
"""

from __future__ import annotations

import numpy as np
import optuna
import optunahub


module = optunahub.load_module(package="pruners/spike_activity")

N_BATCHES = 40
BATCH_SIZE = 16
N_NEURONS = 10
N_TIME_STEPS = 50
WEAK, STRONG = 0.35, 0.40  # mean input to a neuron in one time step


def spike_counts(
    is_strong: np.ndarray, threshold: float, leak: float, rng: np.random.Generator
) -> np.ndarray:
    """Spikes of all neurons together in each sample of a batch, shape (BATCH_SIZE,)."""
    mean_input = np.where(is_strong, STRONG, WEAK)[:, None]
    potential = np.zeros((BATCH_SIZE, N_NEURONS))
    counts = np.zeros(BATCH_SIZE, dtype=int)
    for _ in range(N_TIME_STEPS):
        potential = leak * potential + rng.poisson(mean_input, potential.shape)
        has_fired = potential >= threshold
        potential[has_fired] = 0.0
        counts += has_fired.sum(axis=1)
    return counts


def objective(trial: optuna.Trial) -> float:
    """Share of samples told apart: a sample is called strong above the mean count before it."""
    threshold = trial.suggest_float("threshold", 1.0, 100.0, log=True)
    leak = trial.suggest_float("leak", 0.5, 0.99)
    rng = np.random.default_rng(trial.number)
    n_planned = N_BATCHES * BATCH_SIZE
    n_right, mean_count = 0, 0.0
    with module.SpikeMonitor(trial, alpha=1, beta=0.1, planned_samples=n_planned) as monitor:
        for step in range(N_BATCHES):
            is_strong = rng.random(BATCH_SIZE) < 0.5
            counts = spike_counts(is_strong, threshold, leak, rng)
            n_right += int(((counts > mean_count) == is_strong).sum())
            mean_count += (counts.mean() - mean_count) / (step + 1)
            monitor.update("output", counts)
            trial.report(n_right / ((step + 1) * BATCH_SIZE), step)
            if trial.should_prune():
                raise optuna.TrialPruned(monitor.verdict)
    return n_right / n_planned


if __name__ == "__main__":
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    # Networks that fire are left to Optuna's pruner, which judges the accuracy.
    pruner = module.SpikeActivityPruner(optuna.pruners.MedianPruner(n_warmup_steps=10))
    sampler = optuna.samplers.TPESampler(seed=0)
    study = optuna.create_study(direction="maximize", sampler=sampler, pruner=pruner)
    study.optimize(objective, n_trials=60)

    pruned = study.get_trials(states=(optuna.trial.TrialState.PRUNED,))
    silent = [trial for trial in pruned if trial.constraints["silent/output"] > 0.0]
    print(f"stopped: {len(pruned)} of {len(study.trials)} trials, {len(silent)} of them silent")
    print(f"best accuracy: {study.best_value:.3f} at {study.best_params}")
