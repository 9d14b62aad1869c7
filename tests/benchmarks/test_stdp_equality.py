"""The comparison with BindsNET keeps its results; what it compares: tests/stdp_engine."""

from pathlib import Path

import numpy as np
import pytest

from benchmarks import stdp_equality
from benchmarks.stdp_equality import Equality, random_config, table


@pytest.mark.slow
def test_configurations_are_compared_once_and_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "equality.jsonl"
    words = ["--configurations", "1", "--digits", "1", "--steps", "5", "--results", str(path)]
    monkeypatch.setattr("sys.argv", ["stdp_equality", *words])
    for _ in range(2):
        stdp_equality.main()
    printed = capsys.readouterr().out
    assert printed.count("seed 0:") == 1 and printed.count("| configurations | 1 |") == 2
    assert printed.count("| other differences | 0 |") == 2
    assert len(path.read_text().splitlines()) == 1


def test_a_table_adds_up_counts_and_takes_the_largest_differences() -> None:
    results = [
        Equality(
            seed, {}, 10, 100, True, n_excitatory=5, n_flips=seed, weight_difference=1e-6 * seed
        )
        for seed in (1, 2)
    ]
    lines = table(results).splitlines()
    assert "| steps | 2,000 |" in lines and "| flips by rounding | 3 |" in lines
    assert "| largest difference of a weight | 2e-06 |" in lines


def test_random_configurations_differ_and_repeat_with_their_seed() -> None:
    params, config = random_config(3)
    assert random_config(3) == (params, config)
    assert random_config(4)[1] != config
    sizes = [random_config(seed)[1].map_size for seed in range(20)]
    assert 20 <= min(sizes) < 60 and 400 < max(sizes) <= 2000
    assert np.std(np.log(sizes)) > 0.8
