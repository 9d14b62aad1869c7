"""Minimise the Ackley function of five variables under the two constraints of the SCBO paper.

1.1 % of the space is feasible, half a ball; the optimum, 0 at the origin, lies on its edge.
"""

from __future__ import annotations

import math

import optuna
import optunahub


N_DIMS = 5


def objective(trial: optuna.Trial) -> float:
    """Ackley's function at the suggested point; a constraint holds where its value is <= 0."""
    x = [trial.suggest_float(f"x{i}", -5.0, 10.0) for i in range(N_DIMS)]
    trial.set_constraint("sum", sum(x))
    trial.set_constraint("norm", math.hypot(*x) - 5.0)
    mean_square = sum(xi**2 for xi in x) / N_DIMS
    mean_cosine = sum(math.cos(2.0 * math.pi * xi) for xi in x) / N_DIMS
    return 20.0 + math.e - 20.0 * math.exp(-0.2 * math.sqrt(mean_square)) - math.exp(mean_cosine)


if __name__ == "__main__":
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    module = optunahub.load_module(package="samplers/scbo")
    study = optuna.create_study(sampler=module.SCBOSampler(seed=0))
    study.optimize(objective, n_trials=60)

    feasible = [trial for trial in study.trials if max(trial.constraints.values()) <= 0.0]
    best = study.best_trial  # the best of the feasible trials
    print(f"feasible: {len(feasible)} of {len(study.trials)} trials")
    print(f"best feasible value: {best.value:.2f}, of trial {best.number}")
