"""The study of `benchmarks.workers`: a cheap objective that stores as much as a training does.

Each trial suggests N_PARAMS values, reports N_REPORTS times, sets N_ATTRS attributes and a
constraint; `flaws` tells what of it a finished trial lacks. The environment says how long it
takes and who suggests:

    WORKER_STUDY_SECONDS   seconds of a trial
    WORKER_STUDY_SAMPLER   "random", or "scbo"
    WORKER_STUDY_STATES    folder where each worker, when it ends, writes how it sees the search
"""

from __future__ import annotations

import atexit
import json
import os
import time
from collections.abc import Mapping
from pathlib import Path

import optuna
from optuna.trial import FrozenTrial, TrialState

N_PARAMS, N_REPORTS, N_ATTRS = 3, 5, 3
NAMES = [f"x{i}" for i in range(N_PARAMS)]

SECONDS = float(os.environ.get("WORKER_STUDY_SECONDS", "0.05"))
PATIENCE_S = 60.0
"""A worker waits so long for the trials of others before it writes how it sees the search."""
STATES = os.environ.get("WORKER_STUDY_STATES")

name = "workers"
direction = "minimize"


def sampler() -> optuna.samplers.BaseSampler:
    """Each worker's own."""
    return make_sampler(os.environ.get("WORKER_STUDY_SAMPLER", "random"))


def make_sampler(which: str) -> optuna.samplers.BaseSampler:
    """The sampler called so."""
    if which == "random":
        return optuna.samplers.RandomSampler()
    from optuna_snn import SCBOSampler

    return SCBOSampler(n_startup_trials=8)


def pruner() -> optuna.pruners.BasePruner:
    """None is stopped."""
    return optuna.pruners.NopPruner()


def objective(trial: optuna.Trial) -> float:
    """A paraboloid, feasible on one side of a plane, in SECONDS."""
    _keep_state_at_exit(trial.study)
    return stored_objective(trial, SECONDS)


def stored_objective(trial: optuna.Trial, seconds: float) -> float:
    """The objective, and what it stores, in so many seconds of sleep."""
    x = [trial.suggest_float(each, -1.0, 1.0) for each in NAMES]
    value = sum(v * v for v in x)
    for step in range(N_REPORTS):
        time.sleep(seconds / N_REPORTS)
        trial.report(value + 1.0 / (1 + step), step)
    for i in range(N_ATTRS):
        trial.set_user_attr(f"measured/{i}", x[i % N_PARAMS])
    trial.set_user_attr("pid", os.getpid())
    trial.set_constraint("plane", 0.3 - sum(x))
    return value


def flaws(trial: FrozenTrial) -> list[str]:
    """What a COMPLETE trial should have and has not; nothing is asked of the others."""
    if trial.state != TrialState.COMPLETE:
        return []
    wanted: Mapping[str, bool] = {
        "parameters": sorted(trial.params) == NAMES,
        "reports": sorted(trial.intermediate_values) == list(range(N_REPORTS)),
        "attributes": all(f"measured/{i}" in trial.user_attrs for i in range(N_ATTRS)),
        "constraint": list(trial.constraints) == ["plane"],
        "value": trial.value is not None,
    }
    return [what for what, is_there in wanted.items() if not is_there]


def search_state(study: optuna.Study) -> str:
    """The search as this study's sampler folds it, from what it has cached and the new trials."""
    return repr(study.sampler._history.read_state(study))  # type: ignore[attr-defined]


def n_running(study: optuna.Study) -> int:
    """Trials that somebody is at, or seems to be."""
    return sum(t.state == TrialState.RUNNING for t in study.get_trials(deepcopy=False))


_kept: list[optuna.Study] = []


def _keep_state_at_exit(study: optuna.Study) -> None:
    if STATES is None or _kept:
        return
    _kept.append(study)

    def write() -> None:
        deadline = time.monotonic() + PATIENCE_S
        while n_running(study) and time.monotonic() < deadline:
            time.sleep(0.2)  # so that all workers look at the same trials
        n_finished = sum(t.state.is_finished() for t in study.get_trials(deepcopy=False))
        record = {"n_finished": n_finished, "state": search_state(study)}
        Path(STATES, f"{os.getpid()}.json").write_text(json.dumps(record))

    atexit.register(write)
