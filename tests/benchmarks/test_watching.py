"""The benchmark of watching runs, and its table says whether the goal is kept."""

from dataclasses import replace

import pytest

from benchmarks.watching import CASES, GOAL_PERCENT, Case, measure, table

SHORT = {"snnTorch": (3, 2, 784), "lava-dl": (2, 784, 3), "BindsNET": (3, 2, 784)}


@pytest.mark.parametrize("case", [case for case in CASES if case.framework in SHORT])
def test_three_twins_of_each_network_are_timed(case: Case) -> None:
    row = measure(replace(case, shape=SHORT[case.framework]), n_steps=2)
    assert min(row.plain_ms, row.counted_ms, row.judged_ms) > 0
    assert f"| {row.framework} ({row.version}) |" in table([row])


def test_the_table_names_those_that_miss_the_goal() -> None:
    row = measure(replace(CASES[0], shape=SHORT["snnTorch"]), n_steps=2)
    kept = replace(row, framework="A", counting_percent=GOAL_PERCENT - 1)
    missed = replace(row, framework="B", counting_percent=GOAL_PERCENT + 1)
    assert table([kept]).endswith("kept.")
    assert table([kept, missed]).endswith("missed by B.")
