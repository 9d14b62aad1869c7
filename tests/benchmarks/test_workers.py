"""Results of the workers' benchmark: measured in small, kept, and shown as they are."""

from __future__ import annotations

import math
from dataclasses import asdict
from pathlib import Path

import optuna
import psycopg2
import pytest
from sqlalchemy.engine import make_url

from benchmarks import worker_load, workers
from benchmarks.worker_load import ServerCPU, fill, storage_cost, stored_trials, waiting
from benchmarks.worker_results import Kept, keep, missing_words, read
from benchmarks.worker_tables import TABLES, cost_table, faults_table, stored_table, waiting_table
from optuna_snn.database import server_status

ORDER = [("a", "sqlite", "1"), ("a", "sqlite", "2"), ("b", "sqlite", "1")]
AUDIT = {
    "budget": 20,
    "complete": 18,
    "pruned": 3,
    "failed": 5,
    "retried": 4,
    "running": 0,
    "numbers": True,
    "flawed": 0,
    "lost": 0,
}


# The benchmark asks and tells by hand, in trials that no other worker looks at.
pytestmark = pytest.mark.filterwarnings("ignore:Heartbeat of storage is supposed to be used")


@pytest.fixture(autouse=True)
def _short(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(worker_load, "N_TIMED", 2)
    monkeypatch.setattr(worker_load, "N_ASKS", 1)
    optuna.logging.set_verbosity(optuna.logging.WARNING)


@pytest.fixture
def url(tmp_path: Path) -> str:
    return f"sqlite:///{tmp_path}/study.db"


def kept_of(name: str, measured: object) -> Kept:
    return Kept(name, "sqlite", "in small", 0.0, asdict(measured))  # type: ignore[call-overload]


def cells(table: str) -> list[str]:
    """Of the last row."""
    return [cell.strip() for cell in table.splitlines()[-1].strip("|").split("|")]


def test_a_result_takes_the_place_of_a_former_one_in_the_order_of_the_scenarios(
    tmp_path: Path,
) -> None:
    path = tmp_path / "kept.jsonl"
    assert read(path) == []
    first, second, other = (Kept(*key, load=0.5, measured={"n": 1}) for key in ORDER)
    for made in (other, second, first):
        keep(path, made, ORDER)
    assert read(path) == [first, second, other]
    anew = Kept(*ORDER[1], load=0.1, measured={"n": 2})
    keep(path, anew, ORDER)
    assert read(path) == [first, anew, other]
    keep(path, anew, ORDER[1:])  # the first scenario is none any more
    assert read(path) == [anew, other]


def test_what_is_not_kept_is_counted_and_its_command_named() -> None:
    have = [Kept(*ORDER[0], load=0.0, measured={})]
    command = "`python -m benchmarks.workers --only a`"
    assert missing_words(have, ORDER, "a") == (
        f"Not measured yet: 1 of 2 results; {command} measures them."
    )
    assert missing_words(have, ORDER[:1], "a") == ""


def test_each_scenario_is_in_a_table_and_can_be_found_by_its_key() -> None:
    keys = [scenario.key for scenario in workers.scenarios()]
    assert len(set(keys)) == len(keys)
    words = " ".join(table([], keys) for table in TABLES.values())
    for name, _, _ in keys:
        assert name in words


def test_a_turn_of_a_worker_is_measured_beside_trials_that_run(url: str) -> None:
    cost = storage_cost(url, 3, None)
    (study,) = optuna.get_all_study_names(url)
    states = [
        trial.state.name for trial in optuna.load_study(study_name=study, storage=url).trials
    ]
    assert states.count("RUNNING") == 3 + 1  # and the one that beats
    assert states.count("COMPLETE") == 1 + worker_load.N_TIMED
    assert min(cost.turn.wall_ms, cost.read.wall_ms) > 0
    assert cost.n_connections > 10
    assert (
        0 < cost.open_ms < 2 * cost.turn.wall_ms
    )  # of two threads: its own, and that which beats
    assert cost.beat.server_ms is None
    shown = cells(cost_table([kept_of("cost", cost)], []))
    assert shown[:2] == ["sqlite", "3"]
    assert shown[2] == f"{cost.turn.wall_ms:.1f} ({cost.turn.cpu_ms:.1f})"


def test_stored_trials_are_loaded_asked_after_and_added_to(url: str) -> None:
    measured = stored_trials(url, fill(url, 30), 30, None)
    assert measured.load_server is None
    assert min(measured.load, measured.ask, measured.create) > 0
    assert cells(stored_table([kept_of("stored", measured)], []))[:2] == ["30", "sqlite"]


def test_simulated_workers_do_their_trials_and_their_share_is_that_of_their_seconds(
    url: str,
) -> None:
    measured = waiting(url, 2, n_trials=6)
    study = optuna.load_study(study_name="waiting 2", storage=url)
    assert [trial.state.name for trial in study.trials] == ["COMPLETE"] * 6
    busy = 6 * measured.seconds
    trained = busy * (100 / measured.share - 1)
    assert 6 * 20 < trained < 6 * 180  # six lognormal minutes
    assert cells(waiting_table([kept_of("waiting", measured)], []))[0] == "2"


def test_the_table_of_faults_counts_gaps_in_the_numbers_as_lost() -> None:
    for numbers, lost in ((True, "1"), (False, "2")):
        measured = {
            "audit": {**AUDIT, "lost": 1, "numbers": numbers},
            "exit_code": 0,
            "n_outages": 3,
            "n_crashes": 0,
        }
        shown = cells(faults_table([Kept("outage", "postgresql", "fast", 0.0, measured)], []))
        assert shown[3:8] == ["21", "5, 4", "0", lost, "0"]
        assert shown[-1] == "3 outages, 0 workers crashed"


@pytest.mark.slow
def test_a_server_takes_as_many_connections_as_it_is_told_and_its_work_is_seen() -> None:
    with workers.durable_server() as server:
        workers.set_limit(server, 14)
        running = server_status(server.data)
        assert running is not None
        cpu = ServerCPU(running.pid)
        before = cpu.seconds()
        url = make_url(running.local_url).set(drivername="postgresql")
        text = url.render_as_string(hide_password=False)
        for _ in range(20):
            connection = psycopg2.connect(text)
            with connection.cursor() as cursor:
                cursor.execute("SHOW max_connections")
                assert cursor.fetchone() == ("14",)
            connection.close()
        assert cpu.seconds() > before
    assert math.isnan(ServerCPU(None).seconds())
