"""Each switch of the ablations changes something, and all of them run."""

import pytest

from benchmarks.ablations import SAMPLER_SWITCHES, SWITCHES, make_sampler, table
from benchmarks.problems import PROBLEMS
from benchmarks.runs import Run
from optuna_snn.scbo.options import DEFAULT, Options


@pytest.mark.parametrize("switch", [s for s in SWITCHES if s != "default"])
def test_every_switch_differs_from_the_default(switch: str) -> None:
    assert Options(**SWITCHES[switch]) != DEFAULT


@pytest.mark.parametrize("switch", [*SWITCHES, *SAMPLER_SWITCHES])
def test_every_switch_makes_a_sampler(switch: str) -> None:
    sampler = make_sampler(switch, PROBLEMS["welded4"], seed=3)
    assert type(sampler).__name__ == "SCBOSampler"


def run_of(switch: str, seed: int, value: float) -> Run:
    return Run(switch, "welded4", seed, 100, [(10, value + 1), (50, value)], [1.0], 0.5)


def test_the_table_counts_wins_and_losses_of_paired_seeds() -> None:
    runs = [run_of("default", s, 2.0) for s in range(3)]
    runs += [run_of("one draw", 0, 1.0), run_of("one draw", 1, 3.0), run_of("one draw", 2, 4.0)]
    lines = table(runs).splitlines()
    assert lines[0] == "| changed | welded4 |"
    assert lines[2:] == ["| default | 2 (n = 3) |", "| one draw | 3 (1 : 2) |"]
