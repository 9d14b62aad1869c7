"""Workers of a run are killed at random: nothing is lost, and all see the same search.

The long form of this test, with figures, is `benchmarks/workers.py`.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks.worker_faults import killed_workers

BUDGET, N_WORKERS = 18, 3


@pytest.mark.slow
def test_workers_that_are_killed_at_random_cost_no_trial_and_the_others_see_the_same_search(
    postgres_url: str, tmp_path: Path
) -> None:
    killed = killed_workers(
        postgres_url, tmp_path, budget=BUDGET, n_workers=N_WORKERS, kill_for_s=12.0, grace_s=4
    )
    output = (tmp_path / "run.log").read_text()
    assert killed.exit_code == 0, output
    assert killed.n_kills >= 2
    assert output.count("was killed by SIGKILL") >= killed.n_kills
    # Numbers without gaps, no report missing, nothing left running, each death retried or spent.
    assert killed.audit.is_whole, killed.audit
    assert killed.audit.complete + killed.audit.pruned <= BUDGET + N_WORKERS - 1
    # The trust region of a fresh process is that of every worker which saw the end.
    assert killed.n_survivors >= 1
    assert killed.n_agreeing == killed.n_survivors
