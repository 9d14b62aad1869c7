"""Many workers on one database: what they lose when something dies, and what they cost.

    python -m benchmarks.workers

runs the scenarios that `benchmarks/results/workers.jsonl` does not hold yet and prints their
tables; `--only` names some, `--again` runs them anew, `--results` keeps them elsewhere.
`python -m benchmarks.document` writes the tables into docs/many_workers.md. PostgreSQL is a
private server of `optuna_snn.database` in a temporary folder, as durable as any. Workers are
processes of `optuna-snn run` and train nothing (`benchmarks/worker_study.py`), so that the
database is what they wait for.

    integrity     16 workers on PostgreSQL, 4 on SQLite: numbers, reports, attributes of all trials
    killed        a random worker is killed every few seconds, for two minutes
    outage        the database is stopped three times in a run, for 5 s or 30 s, in order or not
    connections   90 workers on a server that takes 100 connections
    cost          storage calls of one trial while 0, 100 and 1,000 trials of others run
    stored        a fresh worker and an ask on a study of 100, 1,000 and 10,000 trials
    waiting       1 to 64 simulated workers in virtual time: the part of it spent in the sampler
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import optuna
import psutil

from benchmarks.runs import ROOT
from benchmarks.worker_results import KEPT, Kept, Key, keep, read
from benchmarks.worker_tables import TABLES
from optuna_snn.database import Server, create_database, start_server, stop_server

STORAGES = ("postgresql", "sqlite")
N_RUNNING = (0, 100, 1_000)
N_STORED = (100, 1_000, 10_000)
N_WAITING = (1, 4, 16, 64)
DEFAULT_LIMIT = 100
"""max_connections of a PostgreSQL server that nobody has configured."""


@dataclass(frozen=True)
class Place:
    """Where a scenario runs: a storage of its own, and a folder for what it writes."""

    url: str
    folder: Path
    server: Server | None

    @property
    def server_pid(self) -> int | None:
        """Process of the server, whose CPU time is measured."""
        return None if self.server is None else self.server.pid


@dataclass(frozen=True)
class Scenario:
    """One line of results."""

    name: str
    setting: str
    storage: str
    measure: Callable[[Place], Any]

    @property
    def key(self) -> Key:
        """What it is found by."""
        return self.name, self.storage, self.setting


def scenarios() -> list[Scenario]:
    """All of them, in the order of the tables."""
    from benchmarks import worker_faults as faults
    from benchmarks import worker_load as load

    found = []
    for storage, n in zip(STORAGES, (16, 4), strict=True):

        def whole(place: Place, n: int = n) -> Any:
            return faults.integrity(place.url, place.folder, budget=25 * n, n_workers=n)

        found.append(Scenario("integrity", f"{n} workers", storage, whole))
    for storage in STORAGES:

        def killed(place: Place) -> Any:
            return faults.killed_workers(
                place.url, place.folder, budget=220, n_workers=4, kill_for_s=120.0
            )

        found.append(Scenario("killed", "4 workers, 2 minutes", storage, killed))
    for how in faults.STOPS:
        for away_s in (5.0, 30.0):

            def away(place: Place, how: str = how, away_s: float = away_s) -> Any:
                assert place.server is not None
                return faults.outages(
                    place.server, place.url, place.folder, how=how, away_s=away_s, n_workers=4
                )

            found.append(Scenario("outage", f"{how}, {away_s:g} s", "postgresql", away))

    def held(place: Place) -> Any:
        assert place.server is not None
        set_limit(place.server, DEFAULT_LIMIT)
        return faults.connections(place.url, place.folder, n_workers=90)

    found.append(Scenario("connections", "90 workers", "postgresql", held))
    for storage in STORAGES:
        for n in N_RUNNING:

            def cost(place: Place, n: int = n) -> Any:
                return load.storage_cost(place.url, n, place.server_pid)

            found.append(Scenario("cost", f"{n} others", storage, cost))
    for storage in STORAGES:
        for n in N_STORED:

            def stored(place: Place, n: int = n) -> Any:
                name = load.fill(place.url, n)
                return _in_new_process("stored_trials", place.url, name, n, place.server_pid)

            found.append(Scenario("stored", f"{n} trials", storage, stored))
    for n in N_WAITING:

        def waited(place: Place, n: int = n) -> Any:
            return load.waiting(place.url, n)

        found.append(Scenario("waiting", f"{n} workers", "postgresql", waited))
    return found


@contextmanager
def place_for(storage: str) -> Iterator[Place]:
    """A new storage of that kind, gone afterwards."""
    with tempfile.TemporaryDirectory(prefix="optuna-snn-workers-") as name:
        folder = Path(name)
        if storage == "sqlite":
            yield Place(f"sqlite:///{folder / 'study.db'}", folder, None)
            return
        with durable_server() as server:
            yield Place(create_database(server.url, "workers"), folder, server)


@contextmanager
def durable_server() -> Iterator[Server]:
    """A server that keeps what it has committed, through a crash as well."""
    folder = Path(tempfile.mkdtemp(prefix="optuna-snn-server-"))
    folder.chmod(0o755)  # where PostgreSQL may not run as this user, another one has to get in
    server = start_server(folder / "data")
    try:
        yield server
    finally:
        stop_server(server.data)
        shutil.rmtree(folder)


def set_limit(server: Server, limit: int) -> None:
    """Start the server anew with so many connections; not by SQL, for its role is no superuser."""
    stop_server(server.data)
    with (server.data / "cluster" / "postgresql.conf").open("a") as settings:
        settings.write(f"max_connections = {limit}\n")  # the last one counts
    start_server(server.data)


def _in_new_process(function: str, url: str, *arguments: object) -> Mapping[str, Any]:
    """Call a function of `worker_load` there; what it returns, as a record."""
    code = (
        "import json, os, sys; from dataclasses import asdict; from benchmarks import worker_load;"
        f"made = worker_load.{function}(os.environ['STORAGE_URL'], *json.loads(sys.argv[1]));"
        "print(json.dumps(asdict(made)))"
    )
    ended = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", code, json.dumps(arguments)],
        env={**os.environ, "STORAGE_URL": url, "OMP_NUM_THREADS": "1"},
        cwd=ROOT,
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )
    record: Mapping[str, Any] = json.loads(ended.stdout.splitlines()[-1])
    return record


def run(scenario: Scenario) -> Kept:
    """Measure it in a place of its own."""
    load = psutil.getloadavg()[0] / (psutil.cpu_count() or 1)
    with place_for(scenario.storage) as place:
        made = scenario.measure(place)
    record = made if isinstance(made, Mapping) else asdict(made)
    return Kept(*scenario.key, load=round(load, 2), measured=record)


def tables(kept: Sequence[Kept]) -> Mapping[str, str]:
    """All tables by name, as they are with these results."""
    wanted = [scenario.key for scenario in scenarios()]
    return {name: table(kept, wanted) for name, table in TABLES.items()}


def main() -> None:
    """Words to calls."""
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    names = list(dict.fromkeys(each.name for each in scenarios()))
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--only", nargs="+", choices=names, default=names)
    parser.add_argument("--again", action="store_true", help="run what is there as well")
    parser.add_argument("--results", type=Path, default=KEPT, help="file of the results")
    parser.add_argument("--table", action="store_true", help="only print what is there")
    arguments = parser.parse_args()
    order = [each.key for each in scenarios()]
    for scenario in scenarios():
        done = {kept.key for kept in read(arguments.results)}
        is_wanted = scenario.name in arguments.only and not arguments.table
        if not is_wanted or (scenario.key in done and not arguments.again):
            continue
        print("running", *scenario.key, flush=True)
        made = run(scenario)
        print(made.measured, flush=True)
        keep(arguments.results, made, order)
    for table in tables(read(arguments.results)).values():
        print("\n" + table)


if __name__ == "__main__":
    main()
