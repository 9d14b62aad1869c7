"""Random histories of all kinds: an ask never raises, never warns and never leaves the range.

``python -m benchmarks.fuzz`` asks after as many as one likes.
"""

import json
import logging
import warnings
from pathlib import Path
from typing import Any

import optuna
import pytest
from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution

from benchmarks import fuzz
from benchmarks.fuzz import examine, out_of_range
from benchmarks.random_histories import random_history
from optuna_snn import SCBOSampler

N_HISTORIES, N_QUICK, N_TOGETHER = 300, 10, 58

slow = pytest.mark.slow


def assert_two_asks_are_right(seed: int) -> list[str]:
    found = examine(seed)
    assert not found.exceptions, (seed, *found.exceptions)
    assert not found.out_of_range, (seed, found.out_of_range)
    assert len(found.answers) == 2
    return found.kinds


@slow
@pytest.mark.parametrize("seed", range(N_QUICK))
def test_asks_after_a_random_history_stay_in_range(seed: int) -> None:
    assert_two_asks_are_right(seed)


@slow
@pytest.mark.parametrize("first", range(N_QUICK, N_HISTORIES, N_TOGETHER))
def test_asks_after_many_random_histories_stay_in_range(first: int) -> None:
    for seed in range(first, first + N_TOGETHER):
        assert_two_asks_are_right(seed)


def test_the_histories_of_the_suite_are_of_every_kind() -> None:
    lacking = set(random_history(0).kinds)
    for seed in range(N_HISTORIES):
        lacking -= {kind for kind, is_so in random_history(seed).kinds.items() if is_so}
        if not lacking:
            break
    assert not lacking


def test_a_seed_gives_the_same_history_again() -> None:
    for seed in range(20):
        first, second = random_history(seed), random_history(seed)
        # As texts: NaN is among the choices, and differs from itself.
        assert repr(first.spaces) == repr(second.spaces) and first.kinds == second.kinds
        for a, b in zip(first.study.trials, second.study.trials, strict=True):
            assert repr((a.params, a.values)) == repr((b.params, b.values))
            assert (a.state, a.constraints, a.system_attrs) == (
                b.state,
                b.constraints,
                b.system_attrs,
            )


@pytest.mark.parametrize(
    "params",
    [
        {},
        {"x": 1.5, "n": 3, "c": "a"},
        {"x": 0.5, "n": 4, "c": "a"},
        {"x": 0.5, "n": 3, "c": "z"},
        {"x": float("nan"), "n": 3, "c": "a"},
    ],
)
def test_what_is_missing_or_outside_is_found(params: dict[str, Any]) -> None:
    space = {
        "x": FloatDistribution(0, 1),
        "n": IntDistribution(1, 5, step=2),
        "c": CategoricalDistribution(["a", "b"]),
    }
    assert not out_of_range({"x": 1.0, "n": 5, "c": "b", "of_a_dead_trial": 7}, space)
    assert out_of_range(params, space)


def raise_error() -> None:
    raise ZeroDivisionError("by intent")


def warn() -> None:
    warnings.warn("by intent", stacklevel=1)


def log_by_other() -> None:
    logging.getLogger("other").warning("by intent")


def log_by_optuna() -> None:
    optuna.logging.get_logger("optuna.other").warning("by intent")


@pytest.mark.parametrize("mistake", [raise_error, warn, log_by_other, log_by_optuna])
def test_errors_warnings_and_foreign_records_are_failures(
    mistake: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Mistaken(SCBOSampler):
        def before_trial(self, study: Any, trial: Any) -> None:
            mistake()

    monkeypatch.setattr("benchmarks.random_histories.SCBOSampler", Mistaken)
    assert any("by intent" in text for text in examine(0).exceptions)


def test_a_run_is_kept_beside_those_before(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "fuzz.json"
    for first in ("0", "3"):
        words = ["fuzz", "--histories", "2", "--first", first, "--results", str(path)]
        monkeypatch.setattr("sys.argv", words)
        assert fuzz.main() == 0
    assert "2 of 2 histories, 0 wrong" in capsys.readouterr().out
    runs = json.loads(path.read_text())
    assert [run["first_seed"] for run in runs] == [0, 3]
    for run in runs:
        assert (run["histories"], run["asks"], run["failures"]) == (2, 4, [])
        assert sum(run["chosen_by"].values()) == 4
