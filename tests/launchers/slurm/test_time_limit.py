"""Times as sbatch reads them, and the notice before the end."""

from __future__ import annotations

import pytest

from optuna_snn.launchers.slurm.time_limit import check_time, notice_s, seconds_of
from optuna_snn.workers.errors import RunError
from optuna_snn.workers.stop import DEFAULT_STOP_GRACE_S, KILL_AFTER_S


@pytest.mark.parametrize(
    ("time", "seconds"),
    [
        ("90", 5400),
        ("90:30", 5430),
        ("1:30:00", 5400),
        ("100:00:01", 360_001),
        ("2-12", 216_000),
        ("2-12:30", 217_800),
        ("1-00:00:10", 86_410),
    ],
)
def test_all_forms_of_sbatch_are_read(time: str, seconds: int) -> None:
    assert seconds_of(time) == seconds


@pytest.mark.parametrize(
    "time", ["", "0", "0:00:00", "an hour", "1.5", "-5", "1-", "1h", "1:2:3:4", " 5"]
)
def test_what_is_no_time_is_told_with_a_way_out(time: str) -> None:
    with pytest.raises(RunError, match="write minutes, hours:minutes:seconds, or days-hours"):
        seconds_of(time)


def test_a_task_is_told_early_enough_to_stop_in_order() -> None:
    assert notice_s(DEFAULT_STOP_GRACE_S) == 120
    assert notice_s(0) > 2 * KILL_AFTER_S  # until interrupted, then killed, objectives are gone
    assert notice_s(500.2) == notice_s(0) + 501


def test_more_notice_than_slurm_gives_is_refused() -> None:
    assert notice_s(65_435) == 65_535
    with pytest.raises(RunError, match=r"--stop-grace 65436: .* at most 65435 s"):
        notice_s(65_436)


@pytest.mark.parametrize(("time", "grace_s"), [("3", 20), ("3:00", 20), ("10", 440)])
def test_a_time_that_leaves_nothing_before_the_notice_is_refused(time: str, grace_s: int) -> None:
    with pytest.raises(RunError, match=f"--time {time} is too short: .* or less --stop-grace"):
        check_time(time, grace_s)
    check_time(f"{int(time.partition(':')[0]) + 1}", grace_s)
