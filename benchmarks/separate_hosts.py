"""What starts, cuts and deaths cost on three hosts: seconds until a worker works again.

    python -m benchmarks.separate_hosts           # measures, as root: seven minutes
    python -m benchmarks.separate_hosts --table   # the table of what was kept

The hosts are those of `network_hosts`: of one machine, with a network between them. Host A has the
database of `optuna-snn db start` and one `optuna-snn worker`, B and C have an `optuna-snn run`
each. A trial takes 5 s and reports every second; the options are the defaults (`--grace 60`).
"""

from __future__ import annotations

import argparse
import json
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path

from optuna.trial import FrozenTrial, TrialState

from benchmarks.network_hosts import Network, network_of_hosts
from benchmarks.runs import ROOT
from benchmarks.separate_hosts_kept import KEPT, Measured, read, seconds_table, trials_table
from benchmarks.worker_faults import audit, load
from optuna_snn.checkpoints.lineage import RETRY_HISTORY
from optuna_snn.database import create_database
from optuna_snn.workers.identity import worker_of

STUDY_FILE = ROOT / "benchmarks" / "worker_study.py"
COMMAND = (sys.executable, "-W", "ignore", "-m", "optuna_snn")

TRIAL_S = 5.0
CUTS_S = (5.0, 20.0, 40.0)
LONG_CUT_S = 100.0
"""Above the grace of 60 s and half of it again, after which the others look."""

LIMIT_S = 180.0
"""What takes so long will not come any more."""


@dataclass(frozen=True)
class Bench:
    """Three hosts at work on one study."""

    network: Network
    url: str
    seat: ThreadPoolExecutor
    folder: Path
    budget: int

    def start(self, name: str, command: str) -> subprocess.Popen[str]:
        """A worker, or a run with one, on a host."""
        folder = self.folder / name
        folder.mkdir()
        words = [*COMMAND, command, STUDY_FILE, "--n-trials", str(self.budget)]
        variables = {"WORKER_STUDY_SECONDS": str(TRIAL_S), "WORKER_STUDY_SAMPLER": "scbo"}
        with (folder / "output").open("w") as output:
            return self.network.hosts[name].start(
                words,
                folder=folder,
                environment={**_environment(self.url), **variables},
                stdout=output,
                stderr=subprocess.STDOUT,
            )

    def trials(self) -> list[FrozenTrial]:
        """All trials; none where the study does not exist yet."""

        def read() -> list[FrozenTrial]:
            try:
                return load(self.url).get_trials()
            except KeyError:
                return []

        return self.seat.submit(read).result()

    def running_on(self, name: str) -> FrozenTrial | None:
        """The trial that a host's worker trains: it has reported already."""
        found = [
            trial
            for trial in self.trials()
            if trial.state == TrialState.RUNNING
            and (worker_of(trial) or "").startswith(f"{name}:")
            and trial.intermediate_values
        ]
        return found[-1] if found else None

    def is_running_on(self, name: str) -> bool:
        """Whether a host's worker trains."""
        return self.running_on(name) is not None

    def n_reports(self, name: str) -> int:
        """Reports that came from a host so far."""
        return sum(
            len(trial.intermediate_values)
            for trial in self.trials()
            if (worker_of(trial) or "").startswith(f"{name}:")
        )

    def has_reported(self, name: str, n_reports: int) -> bool:
        """Whether more reports came from a host than so many."""
        return self.n_reports(name) > n_reports


Scenario = Callable[[Bench], dict[str, float]]


def short_cuts(bench: Bench) -> dict[str, float]:
    """Host C is cut off for less than the grace, three times."""
    host, seconds = bench.network.hosts["host-c"], {}
    for cut_s in CUTS_S:
        _seconds_until(partial(bench.is_running_on, host.name))
        bench.network.cut(host)
        time.sleep(cut_s)
        n_reports = bench.n_reports(host.name)
        bench.network.join(host)
        came = _seconds_until(partial(bench.has_reported, host.name, n_reports))
        seconds[f"cut off for {cut_s:.0f} s: from the network's return to its next report"] = came
    return seconds


def long_cut(bench: Bench) -> dict[str, float]:
    """Host C is cut off for longer than the grace."""
    host = bench.network.hosts["host-c"]
    bench.network.cut(host)
    time.sleep(LONG_CUT_S)
    n_reports = bench.n_reports(host.name)
    bench.network.join(host)
    # The trial of before takes no reports any more: it is one of the next trial.
    came = _seconds_until(partial(bench.has_reported, host.name, n_reports))
    return {f"cut off for {LONG_CUT_S:.0f} s: from the network's return to its next report": came}


def killed_worker(bench: Bench) -> dict[str, float]:
    """The worker process of host C is killed; its supervisor starts another one."""
    host = bench.network.hosts["host-c"]
    killed = bench.running_on(host.name)
    assert killed is not None
    host.output(["kill", "-9", str(worker_of(killed)).split(":")[1]])
    began = time.monotonic()
    # Only now it is certain which trial the worker was at: that one stays RUNNING.
    victim = bench.running_on(host.name)
    assert victim is not None and worker_of(victim) == worker_of(killed)

    def works_again() -> bool:
        trial = bench.running_on(host.name)
        return trial is not None and worker_of(trial) != worker_of(victim)

    _seconds_until(works_again)
    restart = time.monotonic() - began
    _seconds_until(
        lambda: any(t.system_attrs.get(RETRY_HISTORY) == [victim.number] for t in bench.trials())
    )
    return {
        "worker killed: until the next report from its host": restart,
        "worker killed: until its trial is queued again": time.monotonic() - began,
    }


SCENARIOS: Sequence[tuple[str, Scenario, int]] = (
    ("a worker is killed", killed_worker, 70),
    ("cut off for 5, 20 and 40 s", short_cuts, 65),
    ("cut off for 100 s", long_cut, 60),
)
"""What happens, how, and how many trials the study shall have: more than fit before its end."""


def measure(index: int, network: Network, url: str) -> Measured:
    """Start host after host, let it happen, and look through the study when it has ended."""
    what, scenario, budget = SCENARIOS[index]
    with network.hosts["host-a"].seat() as seat, tempfile.TemporaryDirectory() as folder:
        own_url = seat.submit(create_database, url, f"hosts_{index}").result()
        bench = Bench(network, own_url, seat, Path(folder), budget)
        processes, seconds = [], {}
        for name, command in {"host-a": "worker", "host-b": "run", "host-c": "run"}.items():
            processes.append(bench.start(name, command))
            came = _seconds_until(partial(bench.is_running_on, name))
            seconds[f"start of `optuna-snn {command}` on {name}: until its first report"] = came
        seconds |= scenario(bench)
        codes = [process.wait() for process in processes]
        assert codes == [0, 0, 0], codes
        found = seat.submit(lambda: audit(load(own_url), budget)).result()
    assert found.numbers, "trial numbers without gaps"
    return Measured(
        what=what,
        seconds=seconds,
        wanted=budget,
        finished=found.complete + found.pruned,
        failed=found.failed,
        retried=found.retried,
        running=found.running,
        lost=found.lost,
        flawed=found.flawed,
    )


def main() -> None:
    """Measure and keep, or show what was kept."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--table", action="store_true", help="show what was kept")
    if not parser.parse_args().table:
        with served_network() as (network, url):
            made = []
            for index in range(len(SCENARIOS)):
                made.append(measure(index, network, url))
                print(made[-1], flush=True)
        KEPT.write_text(json.dumps([asdict(each) for each in made], indent=1) + "\n")
    print(seconds_table(read()), trials_table(read()), sep="\n\n")


@contextmanager
def served_network() -> Iterator[tuple[Network, str]]:
    """Three hosts, and the URL of the database that host A serves."""
    # Not below a folder that only root can enter: PostgreSQL runs as another user.
    folder = Path(tempfile.mkdtemp(prefix="optuna-snn-hosts-"))
    folder.chmod(0o711)
    try:
        with network_of_hosts("host-a", "host-b", "host-c") as network:
            host = network.hosts["host-a"]
            data = ("--data", folder / "data")
            start = [*COMMAND, "db", "start", *data, "--listen", host.address]
            host.output(start, environment=_environment(""))
            printed = host.output([*COMMAND, "db", "url", *data], environment=_environment(""))
            yield network, printed.strip()
    finally:
        shutil.rmtree(folder)


def _environment(url: str) -> dict[str, str]:
    return {"PYTHONPATH": str(ROOT), "OPTUNA_SNN_STORAGE": url, "OMP_NUM_THREADS": "1"}


def _seconds_until(condition: Callable[[], bool]) -> float:
    began = time.monotonic()
    while not condition():
        if time.monotonic() - began > LIMIT_S:
            raise TimeoutError(f"not within {LIMIT_S:.0f} s: {condition}")
        time.sleep(0.1)
    return time.monotonic() - began


if __name__ == "__main__":
    main()
