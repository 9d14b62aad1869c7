"""The plan for many workers follows from what one was measured to cost, by formulas."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from benchmarks.worker_plan import N_WORKERS, TRIAL_S, Plan, plan, plans
from benchmarks.worker_results import Kept
from benchmarks.worker_tables import plan_table

STORED = {"n_trials": 10_000, "create": 0.02, "load_server": 1.5}


def timed(wall_ms: float, cpu_ms: float, server_ms: float) -> dict[str, float]:
    return {"wall_ms": wall_ms, "cpu_ms": cpu_ms, "server_ms": server_ms}


def cost(n_running: int) -> dict[str, Any]:
    """Of a worker whose turns and reads cost more by the trial that runs."""
    return {
        "n_running": n_running,
        "turn": timed(200.0 + n_running, 100.0 + 2 * n_running, 100.0 + 0.1 * n_running),
        "open_ms": 80.0 + 0.5 * n_running,
        "read": timed(10.0 + 0.5 * n_running, 5.0, 4.0 + 0.01 * n_running),
        "beat": timed(20.0, 5.0, 5.0),
    }


def kept(*costs: dict[str, Any], stored: dict[str, Any] | None = None) -> list[Kept]:
    found = [Kept("cost", "postgresql", f"{c['n_running']} others", 0.0, c) for c in costs]
    return found + [Kept("stored", "postgresql", "of it", 0.0, stored)] * (stored is not None)


def test_each_number_of_the_plan_is_that_of_its_formula() -> None:
    # 120 workers, a minute: 2 trials a second; a turn with 120 running trials takes 340 ms of
    # the worker's CPU, 112 ms of the server's, and 140 ms of connections. 12 beats a second. 15
    # supervisors read for 70 ms, 5.2 ms of the server's, and pause for 0.5 s, which is more than
    # 4 x 70 ms.
    reads = 15 / 0.57
    assert plan([cost(0), cost(100)], STORED, 120, 60.0) == Plan(
        n_workers=120,
        trial_s=60.0,
        trials_per_s=2.0,
        creations_per_s=pytest.approx(50.0),
        connections=pytest.approx(2 * 0.14 + 12 * 0.02 + reads * 0.07),
        cores_trials=pytest.approx(2 * 0.112),
        cores_beats=pytest.approx(12 * 0.005),
        cores_supervisors=pytest.approx(reads * 0.0052),
        turn_cpu_s=pytest.approx(0.34),
        start_core_s=pytest.approx(180.0),
    )


@pytest.mark.parametrize(("n_workers", "pause_s"), [(1_980, 4.0), (9_980, 5.0)])
def test_a_supervisor_pauses_four_times_as_long_as_it_reads_and_five_seconds_at_most(
    n_workers: int, pause_s: float
) -> None:
    read_s = 0.01 + 0.0005 * n_workers
    planned = plan([cost(0), cost(100)], STORED, n_workers, 600.0)
    expected = n_workers / 8 / (read_s + pause_s) * (0.004 + 0.00001 * n_workers)
    assert planned.cores_supervisors == pytest.approx(expected)


def test_three_measurements_are_taken_by_least_squares() -> None:
    bent = cost(100)
    bent["turn"] = timed(0.0, 100.0 + 2 * 100 + 30.0, 0.0)
    planned = plan([cost(0), bent, cost(200)], STORED, 100, 60.0)
    assert planned.turn_cpu_s == pytest.approx(0.31)  # a third of the 30 ms that lie outside


def test_a_line_that_falls_does_not_fall_below_nothing() -> None:
    falling = replace(Kept("cost", "postgresql", "100 others", 0.0, cost(100)), measured=cost(0))
    less = {**falling.measured, "n_running": 100, "turn": timed(100.0, 50.0, 50.0)}
    assert plan([cost(0), less], STORED, 1_000, 60.0).cores_trials == 0.0


def test_there_is_a_plan_for_each_size_once_costs_and_the_largest_study_were_measured() -> None:
    both = [cost(0), cost(100)]
    assert [(p.n_workers, p.trial_s) for p in plans(kept(*both, stored=STORED))] == [
        (n_workers, trial_s) for trial_s in TRIAL_S for n_workers in N_WORKERS
    ]
    assert plans(kept(*both)) == []
    assert plans(kept(both[0], stored=STORED)) == []
    assert plans(kept(*both, stored={**STORED, "n_trials": 1_000})) == []


def test_the_table_of_the_plan_is_complete_or_says_what_has_to_be_measured() -> None:
    wanted = [("cost", "postgresql", "0 others"), ("stored", "postgresql", "10000 trials")]
    filled = plan_table(kept(cost(0), cost(100), stored=STORED), wanted)
    assert filled.count("\n") == 1 + len(N_WORKERS) * len(TRIAL_S)
    assert "| 1,000 | 1 min | 17 | 50 |" in filled
    assert plan_table([], wanted) == (
        "Not measured yet: 2 of 2 results; `python -m benchmarks.workers --only cost stored` "
        "measures them."
    )
