"""The benchmark of the STDP engine runs, and says whether its goals are kept."""

import json
from dataclasses import replace
from pathlib import Path

import pytest

from benchmarks import stdp_engine
from benchmarks.stdp_engine import GOALS, Measured, judged, measure, speedups, table

ROW = Measured(100, 250, 10.0, 100.0, 2000.0, 2100.0, 9.0)


def test_all_four_networks_are_timed() -> None:
    row = measure(6, 3, n_rounds=1)
    rates = (row.bindsnet_batch_1, row.bindsnet_batch_32, row.compiled_batch_1)
    assert min(*rates, row.compiled_batch_32) > 0
    assert (row.n_neurons, row.n_steps) == (6, 3)


def test_speedups_are_those_of_the_engine_at_batch_1_in_the_main_case() -> None:
    other = replace(ROW, n_neurons=400, compiled_batch_1=1.0)
    assert speedups([other, ROW]) == {"speedup_batch_1": 200.0, "speedup_batch_32": 20.0}
    assert "| 100 | 250 | 10.0 | 100.0 | 2,000 | 2,100 | 200 | 20 |" in table([ROW])


def test_the_verdict_names_the_goals_that_are_missed() -> None:
    assert judged(dict(GOALS)).endswith("kept.")
    missed = judged({"speedup_batch_1": 149.9, "speedup_batch_32": 30.0})
    assert missed.endswith("missed: speedup_batch_1 149.9 < 150.")


def test_the_last_line_is_json_and_the_result_is_kept(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    path = tmp_path / "result.json"
    monkeypatch.setattr(
        stdp_engine, "measure", lambda n, t, _: replace(ROW, n_neurons=n, n_steps=t)
    )
    monkeypatch.setattr(stdp_engine, "loading_seconds", lambda: {"compile_seconds": 7.0})
    monkeypatch.setattr("sys.argv", ["stdp_engine", "--json", "--results", str(path)])
    shown: list[object] = []
    stdp_engine.main(shown.append)
    found = json.loads(str(shown[-1]))
    assert found == json.loads(path.read_text())
    assert found["speedup_batch_1"] == 200.0 and found["speedup_batch_32"] == 20.0
    assert len(found["rows"]) == 6
