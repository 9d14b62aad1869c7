"""How well, and how fast, does SLAYER learn digits on one core? Two fixed configurations.

    python -m benchmarks.slayer_digits --seeds 3

trains each network on 4000 of the 5000 digits, afresh for each seed, and reads out the other 1000
(`objectives.slayer.retrain`). The goal: 93 % within two minutes of one core for the dense network,
and at least 93 % for the convolutional one, which has its pools side by side here. Seconds are
those of the process, so that other load on the machine does not count; one thread is used. Results
are kept in `benchmarks/results/slayer_digits.json`; ``--table`` only prints what is there.
"""

from __future__ import annotations

import argparse
import json
import statistics
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

from benchmarks.runs import RESULTS

N_TRAIN, N_TEST = 4000, 1000
GOAL_ACCURACY, GOAL_SECONDS = 0.93, 120.0
CONDITIONS: Mapping[str, Mapping[str, Any]] = {
    "dense": {"setup": {}, "config": {"n_epochs": 6}},
    "convolutional": {
        "setup": {"network": "experiment_3", "overlapping_pools": False},
        "config": {"n_epochs": 3, "learning_rate": 3e-3},
    },
}
"""Network -> what differs from the defaults of `SLAYERSetup` and `SLAYERConfig`."""


@dataclass(frozen=True)
class Trained:
    """One training.

    accuracy:     of the test digits
    seconds:      of one core, training and readout
    wall_seconds: the same by the clock on the wall
    """

    network: str
    seed: int
    accuracy: float
    seconds: float
    wall_seconds: float


def train_once(network: str, seed: int, n_train: int = N_TRAIN, n_test: int = N_TEST) -> Trained:
    """Train a network of CONDITIONS and test it, in this process."""
    from optuna_snn.objectives import SLAYERConfig, SLAYERSetup, retrain_slayer, split_digits

    n_validation = n_train // 8  # joined with the rest again
    split = split_digits(
        n_train=n_train - n_validation, n_validation=n_validation, n_test=n_test, seed=seed
    )
    conditions = CONDITIONS[network]
    started = time.process_time(), time.perf_counter()
    accuracy = retrain_slayer(
        SLAYERConfig(**conditions["config"]),
        split,
        setup=SLAYERSetup(**conditions["setup"]),
        seed=seed,
    )
    return Trained(
        network=network,
        seed=seed,
        accuracy=accuracy,
        seconds=round(time.process_time() - started[0], 1),
        wall_seconds=round(time.perf_counter() - started[1], 1),
    )


def table(rows: Sequence[Trained]) -> str:
    """The rows as a table in Markdown, one line for each network."""
    lines = [
        "| network | seeds | accuracy, mean (lowest) | seconds of one core, mean (most) | goal |",
        "|---|---|---|---|---|",
    ]
    for network in CONDITIONS:
        of_network = [row for row in rows if row.network == network]
        if not of_network:
            continue
        accuracies = [row.accuracy for row in of_network]
        seconds = [row.seconds for row in of_network]
        is_kept = min(accuracies) >= GOAL_ACCURACY and (
            network != "dense" or max(seconds) <= GOAL_SECONDS
        )
        lines.append(
            f"| {network} | {len(of_network)} "
            f"| {statistics.mean(accuracies):.3f} ({min(accuracies):.3f}) "
            f"| {statistics.mean(seconds):.0f} ({max(seconds):.0f}) "
            f"| {'kept' if is_kept else 'missed'} |"
        )
    return "\n".join(lines)


def read(path: Path) -> list[Trained]:
    """The trainings of a file."""
    return [Trained(**row) for row in json.loads(path.read_text())["rows"]]


def write(path: Path, rows: Sequence[Trained]) -> None:
    """Keep the trainings, with what they depend on."""
    kept = {
        "torch": version("torch").partition("+")[0],
        "lava-dl": version("lava-dl"),
        "n_train": N_TRAIN,
        "n_test": N_TEST,
        "conditions": CONDITIONS,
        "rows": [asdict(row) for row in rows],
    }
    path.write_text(json.dumps(kept, indent=1) + "\n")


def main() -> None:
    """Train all networks with all seeds, keep the result, print the table."""
    import torch

    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--seeds", type=int, default=3, help="trainings of each network")
    parser.add_argument("--results", type=type(RESULTS), default=RESULTS / "slayer_digits.json")
    parser.add_argument("--table", action="store_true", help="only print what is there")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    if not arguments.table:
        rows: list[Trained] = []
        for network in CONDITIONS:
            for seed in range(arguments.seeds):
                rows.append(train_once(network, seed))
                print(rows[-1], flush=True)
        write(arguments.results, rows)
    print(table(read(arguments.results)))


if __name__ == "__main__":
    main()
