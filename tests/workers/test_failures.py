"""Reasons of failures, and the row of failures that ends a run."""

from __future__ import annotations

import errno
from collections.abc import Sequence
from datetime import datetime, timedelta

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from optuna.trial import FrozenTrial, TrialState

from optuna_snn.workers.failures import (
    FAIL_REASON,
    STOPPED,
    describe_death,
    describe_error,
    fail_reason,
    fail_streak,
    is_out_of_memory,
    time_limit_reason,
    unusable_value,
)

BEGIN = datetime(2026, 1, 1)
LETTERS = {"C": TrialState.COMPLETE, "P": TrialState.PRUNED, "R": TrialState.RUNNING}
LETTERS |= {"W": TrialState.WAITING, "F": TrialState.FAIL, "S": TrialState.FAIL}


def trials_of(letters: Sequence[str]) -> list[FrozenTrial]:
    """Trials by letters: F failed, S stopped on request, and the first letters of the others."""
    return [
        FrozenTrial(
            number=number,
            trial_id=number,
            state=LETTERS[letter],
            value=1.0 if letter == "C" else None,
            values=None,
            datetime_start=None if letter == "W" else BEGIN,
            datetime_complete=BEGIN if letter in "CPFS" else None,
            params={},
            distributions={},
            user_attrs={FAIL_REASON: STOPPED} if letter == "S" else {},
            system_attrs={},
            intermediate_values={},
        )
        for number, letter in enumerate(letters)
    ]


@pytest.mark.parametrize(
    ("letters", "streak"),
    [
        ("", []),
        ("CCPW", []),
        ("CFF", [1, 2]),
        ("FCF", [2]),
        ("FFC", []),
        ("FFP", []),
        ("CFRFW", [1, 3]),
        ("CFSF", [1, 3]),
        ("SSS", []),
    ],
)
def test_the_streak_is_the_failures_after_the_last_success(
    letters: str, streak: list[int]
) -> None:
    assert [trial.number for trial in fail_streak(trials_of(letters), BEGIN)] == streak


@given(st.lists(st.sampled_from("CPRWFS"), max_size=12))
def test_trials_that_run_wait_or_were_stopped_change_no_streak(letters: list[str]) -> None:
    """By the slow rule: walk forwards, a success clears the row."""
    row = 0
    for letter in letters:
        row = row + 1 if letter == "F" else 0 if letter in "CP" else row
    assert len(fail_streak(trials_of(letters), BEGIN)) == row


def test_failures_of_an_earlier_run_do_not_count() -> None:
    assert fail_streak(trials_of("FFFF"), BEGIN + timedelta(seconds=1)) == []


def test_the_order_is_that_of_the_numbers_whatever_the_order_of_the_list() -> None:
    trials = trials_of("CFFF")
    assert [trial.number for trial in fail_streak(trials[::-1], BEGIN)] == [1, 2, 3]


def test_an_error_becomes_one_short_line() -> None:
    text = describe_error(ValueError("first\nsecond   line " + "x" * 1000))
    assert text.startswith("ValueError: first second line xxx")
    assert len(text) <= 500
    assert describe_error(KeyboardInterrupt()) == "KeyboardInterrupt"


@pytest.mark.parametrize("value", [0.0, 1, True, float("inf"), "0.5", [0.5], (1,)])
def test_values_that_optuna_takes_are_usable(value: object) -> None:
    assert unusable_value(value) is None


@pytest.mark.parametrize("value", [None, "high", float("nan"), [0.1, 0.2], [float("nan")], {}])
def test_values_that_optuna_fails_are_named(value: object) -> None:
    reason = unusable_value(value)
    assert reason is not None
    assert reason.startswith("the objective returned")


def test_a_failure_without_a_reason_is_a_dead_worker() -> None:
    assert "worker died" in fail_reason(trials_of("F")[0])
    assert fail_reason(trials_of("S")[0]) == STOPPED


@pytest.mark.parametrize(
    "error",
    [
        MemoryError(),
        OSError(errno.ENOMEM, "Cannot allocate memory"),
        torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB."),
        RuntimeError("CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate(handle)`"),
    ],
)
def test_errors_for_want_of_memory_are_known(error: Exception) -> None:
    assert is_out_of_memory(error)
    assert describe_error(error).startswith(f"out of memory: {type(error).__name__}")


def test_what_torch_says_when_this_machines_memory_is_too_small_is_known() -> None:
    with pytest.raises(RuntimeError) as caught:
        torch.empty(2**60)
    assert is_out_of_memory(caught.value)


@pytest.mark.parametrize(
    "error", [ValueError("out of memory"), OSError(errno.ENOSPC, "disk"), RuntimeError("shape")]
)
def test_other_errors_are_no_want_of_memory(error: Exception) -> None:
    assert not is_out_of_memory(error)
    assert "out of memory: " not in describe_error(error)


@pytest.mark.parametrize(
    ("code", "words"),
    [
        (1, "ended with code 1"),
        (-9, "was killed by SIGKILL, signal 9 (out of memory?)"),
        (-11, "was killed by SIGSEGV, signal 11"),
        (-36, "was killed by a signal, signal 36"),
    ],
)
def test_a_death_is_told_by_the_exit_code(code: int, words: str) -> None:
    assert describe_death(code) == words


def test_the_time_limit_is_told_in_seconds() -> None:
    assert time_limit_reason(90.0) == "time limit of 90 s"
