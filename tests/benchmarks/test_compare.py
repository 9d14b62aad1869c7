"""The comparison with peers: its table, its paired test, and the words that benchmarks share."""

import json
import math
import sys
from pathlib import Path

import pytest

from benchmarks import compare
from benchmarks.runs import ASK_CHECKPOINTS, Run, read_runs


def a_run(sampler: str, seed: int, best: float) -> Run:
    found = [(10, best)] if math.isfinite(best) else []
    return Run(sampler, "speed7", seed, 100, found, [1.0] * ASK_CHECKPOINTS, 0.1)


def test_a_sampler_that_loses_each_pair_is_told_to_be_behind() -> None:
    """Of 2^10 equally likely signs one is as extreme."""
    worse = [(2.0 + k, 1.0 + k / 2) for k in range(10)]
    assert compare.p_behind(worse) == pytest.approx(2.0**-10)
    assert compare.p_behind([(b, a) for a, b in worse]) == 1.0
    assert compare.p_behind([(1.0, 1.0)] * 10) == 1.0


def test_finding_nothing_is_worse_than_anything_found() -> None:
    pairs = [(math.inf, 1e6), (math.inf, -1e6), (math.inf, math.inf), (math.inf, 0.0)]
    assert compare.p_behind(pairs) == pytest.approx(0.125)
    assert compare.p_behind([(math.inf, math.inf)]) == 1.0


def test_the_table_pairs_seeds_and_counts_runs_without_a_feasible_trial() -> None:
    ours = [a_run("scbo", seed, 3000.0 + seed) for seed in range(3)]
    theirs = [a_run("tpe", 2, math.inf), a_run("tpe", 1, 3000.0), a_run("tpe", 7, 1.0)]
    rows = compare.table([*theirs, *ours]).splitlines()[2:]
    assert [row.split(" | ")[2] for row in rows] == ["tpe", "scbo"]
    assert "| 3001 (3000 to 3002) |  | 0 |" in rows[1]
    assert "| 3000 (1 to inf) | 1 : 1 (0.75) | 1 |" in rows[0]


def test_one_command_runs_what_is_missing_and_keeps_it(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    results = tmp_path / "compare.jsonl"
    results.write_text(json.dumps(vars(a_run("random", 0, 5000.0))) + "\n")
    words = ["compare", "--samplers", "random", "--problems", "speed7", "--seeds", "2"]
    monkeypatch.setattr(sys, "argv", [*words, "--results", str(results)])
    compare.main()
    assert [(r.seed, r.budget) for r in read_runs(results)] == [(0, 100), (1, 100)]
    assert "| speed7 | 100 | random | 2 |" in capsys.readouterr().out
    assert (tmp_path / "compare_evaluations.png").stat().st_size > 10_000


def test_one_run_is_printed_as_one_line(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "argv", ["compare", "--run", "random", "spring3", "3"])
    compare.main()
    found = json.loads(capsys.readouterr().out)
    assert (found["sampler"], found["problem"], found["seed"]) == ("random", "spring3", 3)
