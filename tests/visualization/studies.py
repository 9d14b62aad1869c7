"""Studies of every kind, as figures and reports meet them."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from pathlib import Path

import numpy as np
import optuna
from optuna.trial import FrozenTrial, TrialState

from optuna_snn import SCBOSampler, SpikeActivityPruner, SpikeMonitor
from optuna_snn.stored_spikes import SPIKES_KEY

PLANNED = 320
BATCH = 16


def spiking(trial: optuna.Trial) -> float:
    """A simulated network of two layers: the fewer spikes the better, until it falls silent."""
    threshold = trial.suggest_float("threshold", 0.5, 6.0)
    gain = trial.suggest_float("gain", 0.1, 10.0, log=True)
    trial.suggest_categorical("decoder", ["rate", "first"])
    if trial.number == 11:
        raise ArithmeticError("on purpose")
    rng = np.random.default_rng(trial.number)
    rate = 60.0 * gain * np.exp(-1.5 * threshold)
    with SpikeMonitor(
        trial, beta=0.1, planned_samples=PLANNED, layers=["hidden", "output"], report_interval_s=0
    ) as monitor:
        for _ in range(PLANNED // BATCH):
            counts = {"hidden": rng.poisson(rate, BATCH), "output": rng.poisson(rate / 3, BATCH)}
            monitor.update(counts)
            if trial.should_prune():
                raise optuna.TrialPruned(monitor.verdict)
    return float(1.0 - 0.1 * np.log10(rate))


def new_study(**options: object) -> optuna.Study:
    return optuna.create_study(
        direction="maximize",
        study_name="toy",
        sampler=SCBOSampler(seed=3, n_startup_trials=8),
        pruner=SpikeActivityPruner(),
        **options,  # type: ignore[arg-type]
    )


@cache
def spiking_study() -> optuna.Study:
    """40 trials of SCBO; do not change it."""
    study = new_study()
    study.set_metric_names(["accuracy"])
    study.optimize(spiking, n_trials=40, catch=(ArithmeticError,))
    return study


def stored_spiking_study(file: Path) -> optuna.Study:
    """The same trials in a SQLite file."""
    study = new_study(storage=f"sqlite:///{file}")
    study.set_metric_names(["accuracy"])
    study.add_trials(spiking_study().trials)
    return study


def study_of(*trials: FrozenTrial, direction: str = "maximize") -> optuna.Study:
    study = optuna.create_study(direction=direction, study_name="toy")
    study.add_trials(trials)
    return study


def complete(value: float, c: float | None = -0.1) -> FrozenTrial:
    return optuna.create_trial(value=value, constraints={} if c is None else {"silent/out": c})


def silent() -> FrozenTrial:
    return optuna.create_trial(state=TrialState.PRUNED, constraints={"silent/out": 0.9})


def pruned(value: float) -> FrozenTrial:
    return optuna.create_trial(
        state=TrialState.PRUNED,
        value=value if np.isfinite(value) else None,
        intermediate_values={0: value},
        constraints={"silent/out": -0.1},
    )


def other(state: TrialState) -> FrozenTrial:
    return optuna.create_trial(state=state)


ALL = (
    complete(0.2),  # 0
    silent(),  # 1
    complete(0.9, c=0.3),  # 2
    other(TrialState.FAIL),  # 3
    complete(0.5),  # 4
    pruned(0.1),  # 5
    complete(0.4),  # 6
    other(TrialState.RUNNING),  # 7
    other(TrialState.WAITING),  # 8
)
"""One trial of each kind, and more."""


def random_study() -> optuna.Study:
    study = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=0))
    study.optimize(lambda trial: trial.suggest_float("x", 0, 1), n_trials=6)
    return study


def study_of_two_objectives() -> optuna.Study:
    study = optuna.create_study(directions=["maximize", "minimize"])
    study.optimize(lambda trial: (trial.suggest_float("x", 0, 1), 1.0), n_trials=4)
    return study


def study_with_a_damaged_report() -> optuna.Study:
    study = study_of(complete(0.1), complete(0.2))
    study.add_trial(optuna.create_trial(value=0.3, user_attrs={SPIKES_KEY: {"version": 99}}))
    return study


ODD: dict[str, Callable[[], optuna.Study]] = {
    "empty": lambda: study_of(),
    "running": lambda: study_of(other(TrialState.RUNNING)),
    "waiting": lambda: study_of(other(TrialState.WAITING)),
    "failed": lambda: study_of(*[other(TrialState.FAIL)] * 3),
    "silent": lambda: study_of(*[silent()] * 3),
    "infeasible": lambda: study_of(complete(0.1, c=1.0)),
    "without constraints": lambda: study_of(complete(0.1, c=None), complete(0.2, c=None)),
    "a constraint that one lacks": lambda: study_of(complete(0.1), complete(0.2, c=None)),
    "infinite": lambda: study_of(complete(float("inf")), complete(float("-inf"))),
    "NaN on the way": lambda: study_of(pruned(float("nan")), complete(0.3)),
    "equal values": lambda: study_of(complete(0.5), complete(0.5), silent()),
    "every kind": lambda: study_of(*ALL),
    "another sampler": random_study,
    "two objectives": study_of_two_objectives,
    "damaged report": study_with_a_damaged_report,
}
