"""Three hosts share a study over a network, and one of them is cut off.

Shorter than the grace: nothing happens. Longer: its trial is tried again by others, its result is
kept, and it goes on. A cut restarts no server, and the cut-off host sees nothing of the others.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest
from optuna.trial import TrialState

from benchmarks.network_hosts import Host, Network, NoNamespacesError, network_of_hosts
from optuna_snn.workers import open_storage
from optuna_snn.workers.errors import RunError
from optuna_snn.workers.identity import worker_of
from tests.conftest import HiddenPassword
from tests.workers.conftest import ROOT
from tests.workers.gated_study import REPORTS, GatedStudy, wait_until

COMMAND = (sys.executable, "-m", "optuna_snn")
HERE = {"PYTHONPATH": str(ROOT)}

GRACE_S = 10
SHORT_CUT_S = 2.0
"""Well below the grace, with the time that TCP takes to notice that the other side is back."""

BUDGET = 8


@pytest.fixture(scope="module")
def data() -> Iterator[Path]:
    """The data folder of the server, below a folder that the user of root's server can enter."""
    folder = Path(tempfile.mkdtemp(prefix="optuna-snn-test-"))
    folder.chmod(0o711)
    yield folder / "data"
    shutil.rmtree(folder)


@pytest.fixture(scope="module")
def network(data: Path) -> Iterator[Network]:
    """The hosts; with them ends the server, before its `data` are removed."""
    try:
        with network_of_hosts("host-a", "host-b", "host-c", "host-d") as hosts:
            yield hosts
    except NoNamespacesError as error:
        if os.environ.get("OPTUNA_SNN_TEST_NETWORK"):
            raise
        pytest.skip(f"no hosts of their own: {error}")


@pytest.fixture(scope="module")
def url(data: Path, network: Network) -> HiddenPassword:
    """URL of a database on host A, which hosts B and C may use."""
    a, b, c, _ = network.hosts.values()
    allow = ("--allow", b.address, "--allow", c.address)
    start = [*COMMAND, "db", "start", "--data", data, "--listen", a.address, *allow]
    a.output(start, environment=HERE)
    printed = a.output([*COMMAND, "db", "url", "--data", data], environment=HERE)
    return HiddenPassword(printed.strip())


@contextmanager
def started(
    host: Host, command: str, study: GatedStudy, folder: Path, url: str
) -> Iterator[subprocess.Popen[str]]:
    """`optuna-snn run` or `worker` on a host, in a folder of the host's own."""
    file = study.write(folder / host.name)
    words = [*COMMAND, command, file, "--n-trials", str(BUDGET), "--grace", str(GRACE_S)]
    with (file.parent / "output").open("w") as output:
        process = host.start(
            words,
            folder=file.parent,
            environment={**HERE, "OPTUNA_SNN_STORAGE": url},
            stdout=output,
            stderr=subprocess.STDOUT,
        )
    with process:
        try:
            yield process
        finally:
            process.kill()  # where the test failed; what it started ends with its host


@pytest.mark.slow
def test_hosts_that_are_not_allowed_are_turned_away_and_the_servers_own_is_not(
    network: Network, url: str
) -> None:
    for name in ("host-a", "host-b"):
        with network.hosts[name].seat() as seat:
            seat.submit(open_storage, url).result()
    with network.hosts["host-d"].seat() as seat:
        with pytest.raises(RunError, match="the server lets nobody in from here"):
            seat.submit(open_storage, url).result()


@pytest.mark.slow
def test_a_host_that_is_cut_off_loses_nothing_and_comes_back(
    network: Network, url: str, tmp_path: Path
) -> None:
    a, b, c, _ = network.hosts.values()
    with ExitStack() as stack:
        study = GatedStudy(url, tmp_path, stack.enter_context(a.seat()))
        processes = [
            stack.enter_context(started(host, command, study, tmp_path, url))
            for host, command in ((a, "worker"), (b, "run"), (c, "run"))
        ]
        of_a, of_b, first = (study.running_on(h.name, n_reports=1) for h in (a, b, c))

        # Shorter than the grace: the trial goes on when the network is back.
        network.cut(c)
        study.let(f"{first.number}-middle")
        time.sleep(SHORT_CUT_S)
        assert len(study.trials[first.number].intermediate_values) == 1, "it was cut off"
        network.join(c)
        study.let(f"{first.number}-end")
        first = study.ended(first.number)
        assert (first.state, first.intermediate_values) == (TrialState.COMPLETE, REPORTS)

        # Longer: the others fail the trial and try it again, while it comes to its end.
        cut_off = study.running_on(c.name, n_reports=1)
        study.let(f"{cut_off.number}-middle")
        cut_off = study.running_on(c.name, n_reports=3)
        network.cut(c)
        study.let(f"{cut_off.number}-end")
        assert study.ended(cut_off.number).state == TrialState.FAIL
        study.let(f"{of_b.number}-middle", f"{of_b.number}-end")  # then B asks for another one
        wait_until(
            lambda: any(
                trial.system_attrs.get("retry_history") == [cut_off.number]
                and trial.state == TrialState.COMPLETE
                and trial.params == cut_off.params
                for trial in study.trials
            ),
            "the same trial, from another host",
        )
        assert study.kept == []

        # Back: its late result is kept, and it takes other trials.
        network.join(c)
        wait_until(lambda: bool(study.kept), "the late result")
        (late,) = study.kept
        assert (late["trial"], late["value"]) == (cut_off.number, cut_off.params["x"])
        lines = (tmp_path / c.name / "gated-late-results.jsonl").read_text().splitlines()
        assert [json.loads(line)["trial"] for line in lines] == [cut_off.number]
        again = study.running_on(c.name, n_reports=1)
        assert again.number > cut_off.number
        assert worker_of(again) == worker_of(cut_off) == worker_of(first), "one process all along"

        # A and B hold the last two trials, and C begins no other one.
        study.let(c.name)
        wait_until(
            lambda: sum(t.state == TrialState.COMPLETE for t in study.trials) >= BUDGET - 2,
            "all trials but two",
        )
        study.let(a.name, b.name)
        codes = [process.wait(timeout=60) for process in processes]
        outputs = [(tmp_path / host.name / "output").read_text() for host in (a, b, c)]
        assert codes == [0, 0, 0], outputs
        trials = study.trials

    complete = [trial for trial in trials if trial.state == TrialState.COMPLETE]
    # Workers that ask at the same instant may each begin the last trial: at most two too many.
    assert BUDGET <= len(complete) <= BUDGET + 2
    assert [trial.number for trial in trials if trial not in complete] == [cut_off.number]
    assert all(trial.intermediate_values == REPORTS for trial in trials)
    hosts = {(worker_of(trial) or "").split(":")[0] for trial in complete}
    assert hosts == {"host-a", "host-b", "host-c"}
    assert of_a.number in {trial.number for trial in complete}
