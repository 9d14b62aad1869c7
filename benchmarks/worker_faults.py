"""Workers and databases that die in the middle; part of `benchmarks.workers`.

Every scenario is a real `optuna-snn run` of `benchmarks/worker_study.py` in a folder of its own,
and an audit of what is stored when it has ended.
"""

from __future__ import annotations

import json
import os
import random
import re
import signal
import statistics
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import optuna
import psutil
import sqlalchemy
from optuna.trial import FrozenTrial, TrialState
from sqlalchemy.pool import NullPool

from benchmarks.runs import ROOT
from benchmarks.worker_study import flaws, make_sampler, search_state
from optuna_snn.checkpoints.lineage import RETRY_HISTORY
from optuna_snn.database import Server, server_status, start_server
from optuna_snn.workers import open_storage
from optuna_snn.workers.retry import DEFAULT_MAX_RETRY

STUDY_FILE = ROOT / "benchmarks" / "worker_study.py"
KILL_EVERY_S = (2.0, 5.0)
N_OUTAGES = 3
OUTAGE_TRIAL_S = 3.0
COUNT = sqlalchemy.text(
    "SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'client backend'"
)
LIMIT = sqlalchemy.text("SHOW max_connections")


@dataclass(frozen=True)
class Audit:
    """What is stored after a run.

    numbers:   whether trial numbers are 0, 1, 2, ... without a gap or a duplicate
    flawed:    COMPLETE trials that lack something they should have
    running:   trials that nobody ended
    lost:      trials that failed without a retry although they had one left
    """

    budget: int
    complete: int
    pruned: int
    failed: int
    retried: int
    running: int
    numbers: bool
    flawed: int
    lost: int

    @property
    def is_whole(self) -> bool:
        """Whether nothing was lost."""
        done = self.complete + self.pruned
        return (
            self.numbers
            and not (self.flawed or self.lost or self.running)
            and (done >= self.budget)
        )


def audit(study: optuna.Study, budget: int) -> Audit:
    """Count the trials, and look at each of them."""
    trials = study.get_trials(deepcopy=False)
    states = Counter(trial.state for trial in trials)
    retried = {n for trial in trials for n in trial.system_attrs.get(RETRY_HISTORY, [])}
    failed = [trial for trial in trials if trial.state == TrialState.FAIL]
    return Audit(
        budget=budget,
        complete=states[TrialState.COMPLETE],
        pruned=states[TrialState.PRUNED],
        failed=len(failed),
        retried=sum(trial.number in retried for trial in failed),
        running=states[TrialState.RUNNING],
        numbers=[trial.number for trial in trials] == list(range(len(trials))),
        flawed=sum(bool(flaws(trial)) for trial in trials),
        lost=sum(_is_lost(trial, retried) for trial in failed),
    )


def _is_lost(trial: FrozenTrial, retried: set[int]) -> bool:
    """A FAIL that was not tried again, although it had parameters and a retry left."""
    is_spent = len(trial.system_attrs.get(RETRY_HISTORY, [])) >= DEFAULT_MAX_RETRY
    return bool(trial.params) and not is_spent and trial.number not in retried


@dataclass(frozen=True)
class Supervised:
    """A run under way."""

    process: subprocess.Popen[str]
    folder: Path
    states: Path

    def workers(self) -> list[psutil.Process]:
        """The living worker processes."""
        try:
            return psutil.Process(self.process.pid).children()
        except psutil.NoSuchProcess:
            return []

    def output(self) -> str:
        """What the run has printed so far."""
        return (self.folder / "run.log").read_text()


@contextmanager
def supervised(
    url: str, folder: Path, budget: int, n_workers: int, options: Mapping[str, object]
) -> Iterator[Supervised]:
    """`optuna-snn run` on the storage, with more options and variables as given.

    options: "--words" of the command line and VARIABLES of the environment
    """
    states = folder / "states"
    states.mkdir(parents=True)
    words = [str(w) for k, v in options.items() if k.startswith("--") for w in (k, v)]
    variables = {k: str(v) for k, v in options.items() if not k.startswith("--")}
    environment = {
        **os.environ,
        **variables,
        "PYTHONPATH": str(ROOT),
        "OPTUNA_SNN_STORAGE": url,
        "WORKER_STUDY_STATES": str(states),
        "OMP_NUM_THREADS": "1",
    }
    command = [sys.executable, "-W", "ignore", "-m", "optuna_snn", "run", str(STUDY_FILE)]
    sizes = ["--n-trials", str(budget), "--workers", str(n_workers)]
    with (folder / "run.log").open("w") as log:
        process = subprocess.Popen(
            [*command, *sizes, *words],
            cwd=folder,
            env=environment,
            stdout=log,
            stderr=subprocess.STDOUT,
            text=True,
        )
    try:
        yield Supervised(process, folder, states)
    finally:
        if process.poll() is None:
            process.terminate()
            process.wait()


def load(url: str) -> optuna.Study:
    """The study of the run, in a fresh storage."""
    return optuna.load_study(
        study_name="workers", storage=open_storage(url), sampler=make_sampler("scbo")
    )


@dataclass(frozen=True)
class Killed:
    """A run whose workers were killed at random."""

    audit: Audit
    exit_code: int
    n_kills: int
    seconds: float
    n_survivors: int
    n_agreeing: int
    """Survivors whose view of the search equals that of a fresh process."""


def killed_workers(
    url: str, folder: Path, *, budget: int, n_workers: int, kill_for_s: float, grace_s: int = 6
) -> Killed:
    """Kill a random worker every few seconds, for so many seconds; then let the run end."""
    options = {
        "--grace": grace_s,
        "WORKER_STUDY_SECONDS": 1.0,
        "WORKER_STUDY_SAMPLER": "scbo",
    }
    rng = random.Random(0)
    started, n_kills = time.monotonic(), 0
    with supervised(url, folder, budget, n_workers, options) as run:
        while run.process.poll() is None and time.monotonic() < started + kill_for_s:
            time.sleep(rng.uniform(*KILL_EVERY_S))
            if workers := run.workers():
                rng.choice(workers).send_signal(signal.SIGKILL)
                n_kills += 1
        code = run.process.wait()
        seconds = time.monotonic() - started
        study = load(url)
        seen = [json.loads(path.read_text()) for path in run.states.glob("*.json")]
    mine = {
        "n_finished": sum(t.state.is_finished() for t in study.get_trials(deepcopy=False)),
        "state": search_state(study),
    }
    agreeing = sum(each == mine for each in seen)
    return Killed(audit(study, budget), code, n_kills, seconds, len(seen), agreeing)


CRASH = re.compile(r"^a worker ended with code", re.MULTILINE)
STOPS = {"fast": signal.SIGINT, "immediate": signal.SIGQUIT}
"""Ways to stop PostgreSQL: connections are ended in order, or as in a crash."""
SETTLE_S = 10.0
"""Seconds between two outages."""


@dataclass(frozen=True)
class Outages:
    """A run whose database was away several times.

    n_crashes: workers that ended before the run did
    """

    audit: Audit
    exit_code: int
    n_outages: int
    n_crashes: int
    seconds: float


def outages(
    server: Server, url: str, folder: Path, *, how: str, away_s: float, n_workers: int
) -> Outages:
    """Stop the server N_OUTAGES times in the middle of a run, and start it again."""
    cycle_s = away_s + SETTLE_S
    budget = max(20, round(0.7 * n_workers * N_OUTAGES * cycle_s / OUTAGE_TRIAL_S))
    options = {"--grace": 20, "WORKER_STUDY_SECONDS": OUTAGE_TRIAL_S}
    started, n_outages = time.monotonic(), 0
    with supervised(url, folder, budget, n_workers, options) as run:
        _wait_for_trials(url, run, n_workers)
        while run.process.poll() is None and n_outages < N_OUTAGES:
            _away(server, STOPS[how], away_s)
            n_outages += 1
            time.sleep(SETTLE_S)
        code = run.process.wait()
        n_crashes = len(CRASH.findall(run.output()))
    seconds = time.monotonic() - started
    return Outages(audit(load(url), budget), code, n_outages, n_crashes, seconds)


def _away(server: Server, how: signal.Signals, seconds: float) -> None:
    running = server_status(server.data)
    assert running is not None
    process = psutil.Process(running.pid)
    process.send_signal(how)
    process.wait()
    time.sleep(seconds)
    start_server(server.data)


def _wait_for_trials(url: str, run: Supervised, n: int) -> None:
    """Until n trials have been finished; the run's own start takes its time."""
    while run.process.poll() is None:
        time.sleep(0.5)
        names = optuna.get_all_study_names(open_storage(url))
        if "workers" in names:
            trials = load(url).get_trials(deepcopy=False)
            if sum(trial.state.is_finished() for trial in trials) >= n:
                return


@dataclass(frozen=True)
class Integrity:
    """A run of many workers with short trials."""

    audit: Audit
    exit_code: int
    n_processes: int
    """Workers that finished a trial."""
    seconds: float
    trials_per_second: float
    """While trials were finished."""


def integrity(url: str, folder: Path, *, budget: int, n_workers: int) -> Integrity:
    """Nothing dies; everything has to be there."""
    started = time.monotonic()
    with supervised(url, folder, budget, n_workers, {"WORKER_STUDY_SECONDS": 0.05}) as run:
        code = run.process.wait()
    seconds = time.monotonic() - started
    study = load(url)
    trials = study.get_trials(deepcopy=False)
    ends = sorted(t.datetime_complete for t in trials if t.datetime_complete is not None)
    span = (ends[-1] - ends[0]).total_seconds() if len(ends) > 1 else float("nan")
    pids = {trial.user_attrs.get("pid") for trial in trials}
    return Integrity(audit(study, budget), code, len(pids), seconds, len(ends) / span)


@dataclass(frozen=True)
class Connections:
    """Connections that many workers hold while they train.

    at_rest, most: of the server in all, the median and the largest number seen; this look is one,
                   and where there is no room for it, all are taken
    """

    audit: Audit
    exit_code: int
    n_workers: int
    limit: int
    at_rest: float
    most: int


def connections(url: str, folder: Path, *, n_workers: int) -> Connections:
    """Workers with trainings of a quarter of a minute on a server with its default limit."""
    engine = sqlalchemy.create_engine(url, poolclass=NullPool)
    with engine.connect() as connection:
        limit = int(connection.execute(LIMIT).scalar_one())
    held: list[int] = []
    options = {"WORKER_STUDY_SECONDS": 15.0, "--grace": 120}
    with supervised(url, folder, 2 * n_workers, n_workers, options) as run:
        while run.process.poll() is None:
            try:
                with engine.connect() as connection:
                    held.append(connection.execute(COUNT).scalar_one())
            except sqlalchemy.exc.OperationalError:
                held.append(limit)
            time.sleep(0.25)
        code = run.process.wait()
    found = audit(load(url), 2 * n_workers)
    busy = held[len(held) // 2 :]
    return Connections(found, code, n_workers, limit, statistics.median(busy), max(held))
