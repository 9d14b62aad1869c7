"""What workers cost the database, and the database them; part of `benchmarks.workers`."""

from __future__ import annotations

import contextlib
import heapq
import math
import os
import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import optuna
import psutil
from optuna.trial import FrozenTrial, TrialState
from sqlalchemy import event
from sqlalchemy.engine import Engine

from benchmarks.ask_cost import ACKLEY_20, make_trials
from benchmarks.runs import ROOT
from benchmarks.worker_study import N_REPORTS, make_sampler, stored_objective
from optuna_snn import SCBOSampler
from optuna_snn.workers import StopRequest, open_storage
from optuna_snn.workers.one_trial import run_trial
from optuna_snn.workers.storage.opening import WorkerStorage
from optuna_snn.workers.study_file import load_study_file

STUDY_FILE = ROOT / "benchmarks" / "worker_study.py"

TRIAL_SECONDS = 60.0
"""Median of the simulated trainings; they are lognormal."""
DURATION_SIGMA = 0.5
N_SIMULATED = 300
N_TIMED = 20
N_ASKS = 8
SETTLE_S = 0.2
"""A connection that was closed has ended on the server by then, and its CPU time is accounted."""


class ServerCPU:
    """CPU seconds of a PostgreSQL server so far, those of connections that have ended included."""

    def __init__(self, pid: int | None) -> None:
        self._main = None if pid is None else psutil.Process(pid)

    def seconds(self) -> float:
        """Nan where there is no server."""
        if self._main is None:
            return math.nan
        time.sleep(SETTLE_S)
        own = self._main.cpu_times()
        total = sum(own[:4])  # its own, user and system, and that of processes it has waited for
        for process in self._main.children():
            with contextlib.suppress(psutil.NoSuchProcess):
                total += sum(process.cpu_times()[:2])
        return float(total)


class ConnectionWatch:
    """Counts the connections that an engine opens, and the seconds for which they are open."""

    def __init__(self, engine: Engine) -> None:
        self._since: dict[int, float] = {}
        self.reset()
        event.listen(engine, "connect", self._opened)
        event.listen(engine, "close", self._closed)

    def reset(self) -> None:
        """Begin anew."""
        self.n_opened, self.open_s = 0, 0.0

    def _opened(self, connection: object, record: object) -> None:
        self._since[id(connection)] = time.perf_counter()
        self.n_opened += 1

    def _closed(self, connection: object, record: object) -> None:
        self.open_s += time.perf_counter() - self._since.pop(id(connection))


@dataclass(frozen=True)
class Timed:
    """Milliseconds of a call, the mean of N_TIMED: on the clock, CPU here, CPU of the server."""

    wall_ms: float
    cpu_ms: float
    server_ms: float | None


@dataclass(frozen=True)
class StorageCost:
    """What the storage calls of one worker cost while others have trials on their way.

    n_running:      trials of others (20 parameters, 5 reports each)
    turn:           one trial of `worker_study` from the look at the budget to tell, not trained
    n_connections:  opened in a turn
    open_ms:        for which they were open, all together
    read:           all trials are read once
    beat:           a heartbeat
    """

    n_running: int
    turn: Timed
    n_connections: float
    open_ms: float
    read: Timed
    beat: Timed


def storage_cost(url: str, n_running: int, server_pid: int | None) -> StorageCost:
    """As a worker does it, with random suggestions."""
    server = ServerCPU(server_pid)
    storage = open_storage(url, first_beat=True)
    assert isinstance(storage, WorkerStorage)
    study = optuna.create_study(storage=storage, sampler=make_sampler("random"))
    study.add_trials([_on_its_way(trial) for trial in make_trials(n_running)])
    definition = replace(
        load_study_file(STUDY_FILE), objective=lambda trial: stored_objective(trial, 0.0)
    )
    watch = ConnectionWatch(storage.engine)

    def turn() -> None:
        study.get_trials(deepcopy=False)
        storage.heartbeat_ages(study.study_name)
        run_trial(
            study,
            definition,
            StopRequest(signals=()),
            limit_s=None,
            waited_s=storage.patience.waited_s,
            late_file=Path(os.devnull),
        )

    turn()  # what happens once: imports, prepared statements
    watch.reset()
    turned = _timed(turn, server)
    n_connections, open_ms = watch.n_opened / N_TIMED, 1e3 * watch.open_s / N_TIMED
    study_id = storage.get_study_id_from_name(study.study_name)
    beating = storage.create_new_trial(study_id)
    return StorageCost(
        n_running=n_running,
        turn=turned,
        n_connections=n_connections,
        open_ms=open_ms,
        read=_timed(lambda: study.get_trials(deepcopy=False), server),
        beat=_timed(lambda: storage.record_heartbeat(beating), server),
    )


def _on_its_way(trial: FrozenTrial) -> FrozenTrial:
    return optuna.create_trial(
        state=TrialState.RUNNING,
        params=trial.params,
        distributions=trial.distributions,
        system_attrs=trial.system_attrs,
        intermediate_values={step: 1.0 / (1 + step) for step in range(N_REPORTS)},
    )


def _timed(call: Callable[[], object], server: ServerCPU) -> Timed:
    begun = server.seconds(), time.perf_counter(), time.process_time()
    for _ in range(N_TIMED):
        call()
    wall, cpu = time.perf_counter() - begun[1], time.process_time() - begun[2]
    wall, cpu, of_server = (
        1e3 * each / N_TIMED for each in (wall, cpu, server.seconds() - begun[0])
    )
    return Timed(wall, cpu, None if math.isnan(of_server) else of_server)


@dataclass(frozen=True)
class StoredTrials:
    """Seconds of a worker on a study of so many stored trials (20 parameters, 2 constraints).

    load_cpu, load:   a new process reads them all
    load_server:      the same, CPU of the server; None where there is none
    first_ask_cpu:    its first ask
    ask_cpu, ask:     one more, at the median, storage calls included
    create:           a trial is created, at the median: creations of one study take turns
    """

    n_trials: int
    load_cpu: float
    load: float
    load_server: float | None
    first_ask_cpu: float
    ask_cpu: float
    ask: float
    create: float


def fill(url: str, n_trials: int) -> str:
    """A study of made trials; its name."""
    study = optuna.create_study(storage=open_storage(url), study_name=f"stored {n_trials}")
    study.add_trials(make_trials(n_trials))
    return study.study_name


def stored_trials(
    url: str, study_name: str, n_trials: int, server_pid: int | None
) -> StoredTrials:
    """Measured in this process, which should be new."""
    server = ServerCPU(server_pid)
    storage = open_storage(url)
    study = optuna.load_study(study_name=study_name, storage=storage, sampler=SCBOSampler(seed=0))
    _import_all()
    of_server, wall, cpu = server.seconds(), time.perf_counter(), time.process_time()
    study.get_trials(deepcopy=False)
    load, load_cpu = time.perf_counter() - wall, time.process_time() - cpu
    of_server = server.seconds() - of_server
    asks, ask_cpus = [], []
    for _ in range(1 + N_ASKS):
        wall, cpu = time.perf_counter(), time.process_time()
        trial = study.ask(dict(ACKLEY_20.space))
        asks.append(time.perf_counter() - wall)
        ask_cpus.append(time.process_time() - cpu)
        study.tell(trial, state=TrialState.FAIL)
    study_id, creations = storage.get_study_id_from_name(study_name), []
    for _ in range(N_TIMED):
        wall = time.perf_counter()
        storage.create_new_trial(study_id)
        creations.append(time.perf_counter() - wall)
    return StoredTrials(
        n_trials=n_trials,
        load_cpu=load_cpu,
        load=load,
        load_server=None if math.isnan(of_server) else of_server,
        first_ask_cpu=ask_cpus[0],
        ask_cpu=statistics.median(ask_cpus[1:]),
        ask=statistics.median(asks[1:]),
        create=statistics.median(creations),
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
