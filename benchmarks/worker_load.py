"""What workers cost the database, and the database them; part of `benchmarks.workers`."""

from __future__ import annotations

import heapq
import statistics
import time
from dataclasses import dataclass

import numpy as np
import optuna

from benchmarks.ask_cost import ACKLEY_20, make_trials
from benchmarks.worker_study import make_sampler, objective
from optuna_snn import SCBOSampler
from optuna_snn.workers import open_storage

TRIAL_SECONDS = 60.0
"""Median of the simulated trainings; they are lognormal."""
DURATION_SIGMA = 0.5
N_SIMULATED = 300
N_TIMED = 50
N_ASKS = 8


@dataclass(frozen=True)
class StorageCost:
    """Milliseconds of one trial of `worker_study` in storage calls, at the median."""

    wall_ms: float
    cpu_ms: float


def storage_cost(url: str) -> StorageCost:
    """Ask, 3 parameters, 5 reports, 3 attributes, a constraint and tell, without the sampler."""
    study = optuna.create_study(storage=open_storage(url), sampler=make_sampler("random"))
    walls, cpus = [], []
    for _ in range(N_TIMED):
        wall, cpu = time.perf_counter(), time.process_time()
        trial = study.ask()
        study.tell(trial, objective(trial))
        walls.append(time.perf_counter() - wall)
        cpus.append(time.process_time() - cpu)
    return StorageCost(1e3 * statistics.median(walls), 1e3 * statistics.median(cpus))


@dataclass(frozen=True)
class StoredTrials:
    """Seconds of a worker on a study of so many stored trials (20 parameters, 2 constraints).

    load_cpu, load:   a new process reads them all
    first_ask_cpu:    its first ask
    ask_cpu, ask:     one more, at the median, storage calls included
    """

    n_trials: int
    load_cpu: float
    load: float
    first_ask_cpu: float
    ask_cpu: float
    ask: float


def fill(url: str, n_trials: int) -> str:
    """A study of made trials; its name."""
    study = optuna.create_study(storage=open_storage(url), study_name=f"stored {n_trials}")
    study.add_trials(make_trials(n_trials))
    return study.study_name


def stored_trials(url: str, study_name: str, n_trials: int) -> StoredTrials:
    """Measured in this process, which should be new."""
    study = optuna.load_study(
        study_name=study_name, storage=open_storage(url), sampler=SCBOSampler(seed=0)
    )
    _import_all()
    wall, cpu = time.perf_counter(), time.process_time()
    study.get_trials(deepcopy=False)
    load, load_cpu = time.perf_counter() - wall, time.process_time() - cpu
    asks, ask_cpus = [], []
    for _ in range(1 + N_ASKS):
        wall, cpu = time.perf_counter(), time.process_time()
        trial = study.ask(dict(ACKLEY_20.space))
        asks.append(time.perf_counter() - wall)
        ask_cpus.append(time.process_time() - cpu)
        study.tell(trial, state=optuna.trial.TrialState.FAIL)
    return StoredTrials(
        n_trials=n_trials,
        load_cpu=load_cpu,
        load=load,
        first_ask_cpu=ask_cpus[0],
        ask_cpu=statistics.median(ask_cpus[1:]),
        ask=statistics.median(asks[1:]),
    )


def _import_all() -> None:
    """What a first ask imports is not what is measured."""
    study = optuna.create_study(sampler=SCBOSampler(n_startup_trials=2))
    study.optimize(lambda trial: trial.suggest_float("x", 0, 1), n_trials=4)


@dataclass(frozen=True)
class Waiting:
    """Simulated workers, whose trials take about a minute of virtual time.

    throughput:     trials per hour
    seconds:        of asking, suggesting and telling per trial, storage calls included
    share:          of a worker's time that these take, in percent
    """

    n_workers: int
    n_trials: int
    throughput: float
    seconds: float
    share: float


def waiting(url: str, n_workers: int, n_trials: int = N_SIMULATED) -> Waiting:
    """The workers take turns in this process, each with its own storage, study and sampler."""
    import torch

    torch.set_num_threads(1)
    optuna.create_study(storage=open_storage(url), study_name=f"waiting {n_workers}")
    studies = [
        optuna.load_study(
            study_name=f"waiting {n_workers}", storage=open_storage(url), sampler=SCBOSampler()
        )
        for _ in range(n_workers)
    ]
    durations = np.random.default_rng(0).lognormal(np.log(TRIAL_SECONDS), DURATION_SIGMA, n_trials)
    busy, begun, now = 0.0, 0, 0.0
    free = [(0.0, worker) for worker in range(n_workers)]
    running: dict[int, optuna.Trial] = {}
    while free:
        now, worker = heapq.heappop(free)
        started = time.perf_counter()
        if worker in running:
            _tell(studies[worker], running.pop(worker))
        if begun < n_trials:
            running[worker] = studies[worker].ask(dict(ACKLEY_20.space))
        spent = time.perf_counter() - started
        busy, now = busy + spent, now + spent
        if begun < n_trials:
            heapq.heappush(free, (now + durations[begun], worker))
            begun += 1
    total = busy + float(durations.sum())
    return Waiting(n_workers, n_trials, 3600 * n_trials / now, busy / n_trials, 100 * busy / total)


def _tell(study: optuna.Study, trial: optuna.Trial) -> None:
    value, constraints = ACKLEY_20.evaluate(trial.params)
    for j, c in enumerate(constraints):
        trial.set_constraint(f"c{j:02d}", float(c))
    study.tell(trial, value)
