"""Workers share the cores, and torch follows."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from optuna_snn.workers.supervisor import cores
from optuna_snn.workers.supervisor.cores import thread_limits


@pytest.mark.parametrize(("n_workers", "expected"), [(1, 8), (2, 4), (3, 2), (8, 1), (20, 1)])
def test_workers_share_the_cores(
    monkeypatch: pytest.MonkeyPatch, n_workers: int, expected: int
) -> None:
    monkeypatch.setattr(cores, "n_cores", lambda _: 8)
    limits = thread_limits(n_workers, {})
    assert set(limits.values()) == {str(expected)}
    assert "OMP_NUM_THREADS" in limits


@pytest.mark.parametrize(
    ("given", "expected"), [("2", 2), ("64", 6), ("", 6), ("0", 6), ("2(x3)", 6)]
)
def test_a_slurm_task_uses_no_more_cores_than_it_was_given(
    monkeypatch: pytest.MonkeyPatch, given: str, expected: int
) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(6)))
    assert cores.n_cores({"SLURM_CPUS_PER_TASK": given}) == expected
    assert cores.n_cores({}) == 6


def test_thread_numbers_that_the_user_set_are_kept() -> None:
    assert "OMP_NUM_THREADS" not in thread_limits(2, {"OMP_NUM_THREADS": "7"})


@pytest.mark.slow
def test_torch_computes_with_as_many_threads_within_and_between_operations() -> None:
    """By itself it would take all cores for each."""
    code = """
import torch
from optuna_snn.workers.supervisor.cores import share_interop_threads
share_interop_threads()
share_interop_threads()  # a second time torch refuses: that is no error
print(torch.get_num_threads(), torch.get_num_interop_threads())
"""
    shown = subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    assert shown.split() == ["1", "1"]
