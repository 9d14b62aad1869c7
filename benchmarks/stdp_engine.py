"""How fast are networks trained by STDP? Samples per second of BindsNET and the compiled engine.

    python -m benchmarks.stdp_engine [--json]

Diehl & Cook networks with the default parameters learn digits, sample by sample and in batches of
32, encoding into spikes included: in BindsNET as `SimulatedNetwork` runs it, and in the compiled
engine. Both take turns in one process and one thread, so that both meet the same load of the
machine; the time of each is the median of its rounds, in CPU seconds.

The engine reads its compiled code from the disk; what it takes to compile that once, in an empty
folder, is measured as well, and what a worker needs to load it.

The result is kept in `results/stdp_engine.json`. With ``--json`` the last line is one JSON object:
`speedup_batch_1` is the engine at batch 1 by BindsNET at batch 1, `speedup_batch_32` the engine at
batch 1 by BindsNET at batch 32, both for 100 neurons and 250 steps.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import torch

from benchmarks.runs import RESULTS, ROOT
from optuna_snn.objectives import DiehlCookConfig, load_digits
from optuna_snn.objectives.stdp.engines import EngineName, build_network

GOALS = {"speedup_batch_1": 150.0, "speedup_batch_32": 20.0}
INTENSITY_HZ = 128.0
NEURONS, STEPS = (100, 400, 1600), (100, 250)
MAIN_CASE = (100, 250)
LARGE_BATCH = 32
N_COMPILED = 64
"""Samples that the engine learns in a turn: it is too quick for few of them."""

LOAD = """
import time
started, cpu = time.perf_counter(), time.process_time()
from optuna_snn.stdp_engine import compiler
compiler.load()
print(time.perf_counter() - started, time.process_time() - cpu)
"""


@dataclass(frozen=True)
class Measured:
    """Samples per CPU second, at one size.

    compiled_batch_32: for comparison; the engine gains little from batches
    spikes:            excitatory ones of a sample in the compiled network
    """

    n_neurons: int
    n_steps: int
    bindsnet_batch_1: float
    bindsnet_batch_32: float
    compiled_batch_1: float
    compiled_batch_32: float
    spikes: float

    @property
    def speedup_batch_1(self) -> float:
        """Of the engine, sample by sample, over BindsNET sample by sample."""
        return self.compiled_batch_1 / self.bindsnet_batch_1

    @property
    def speedup_batch_32(self) -> float:
        """Of the engine, sample by sample, over BindsNET in batches."""
        return self.compiled_batch_1 / self.bindsnet_batch_32


class Learner:
    """A network that learns digits in turns; it goes on where it was."""

    def __init__(self, engine: EngineName, n_neurons: int, n_steps: int, batch_size: int) -> None:
        self._rng = np.random.default_rng(0)
        self._options: dict[str, Any] = {"n_steps": n_steps, "batch_size": batch_size}
        config = DiehlCookConfig(map_size=n_neurons)
        self._network = build_network(engine, config, n_inputs=784, rng=self._rng)
        self._digits = self._rng.permutation(load_digits().images)
        self.n_samples = 0
        self.n_spikes = 0

    def learn(self, n_samples: int) -> float:
        """Learn the next samples; CPU seconds for each."""
        begin = self.n_samples % (len(self._digits) - n_samples)
        rates_hz = self._digits[begin : begin + n_samples] * np.float32(INTENSITY_HZ)
        started = time.process_time()
        fired = self._network.learn(rates_hz, **self._options, rng=self._rng)
        seconds = time.process_time() - started
        self.n_samples += n_samples
        self.n_spikes += int(fired.counts["excitatory"].sum())
        return seconds / n_samples


def measure(n_neurons: int, n_steps: int, n_rounds: int) -> Measured:
    """All four learners at one size, in turns; each has one turn before those that count."""
    turns: dict[tuple[EngineName, int], int] = {
        ("bindsnet", 1): 2,
        ("bindsnet", LARGE_BATCH): LARGE_BATCH,
        ("compiled", 1): N_COMPILED,
        ("compiled", LARGE_BATCH): N_COMPILED,
    }
    learners = {key: Learner(key[0], n_neurons, n_steps, key[1]) for key in turns}
    seconds: dict[tuple[EngineName, int], list[float]] = {key: [] for key in turns}
    for number in range(n_rounds + 1):
        for key, n_samples in turns.items():
            taken = learners[key].learn(n_samples)
            if number > 0:
                seconds[key].append(taken)
    rates = {key: 1 / statistics.median(taken) for key, taken in seconds.items()}
    ours = learners["compiled", 1]
    return Measured(
        n_neurons,
        n_steps,
        rates["bindsnet", 1],
        rates["bindsnet", LARGE_BATCH],
        rates["compiled", 1],
        rates["compiled", LARGE_BATCH],
        ours.n_spikes / ours.n_samples,
    )


def loading_seconds() -> dict[str, float]:
    """Seconds until the engine is ready, import of Numba included: first and second process."""
    with tempfile.TemporaryDirectory() as folder:
        environment = {**os.environ, "NUMBA_CACHE_DIR": folder}
        found = {}
        for name in ("compile", "load"):
            ended = subprocess.run(
                [sys.executable, "-c", LOAD],
                env=environment,
                cwd=ROOT,
                capture_output=True,
                text=True,
                check=True,
            )
            wall, cpu = (float(word) for word in ended.stdout.split())
            found |= {f"{name}_seconds": round(wall, 2), f"{name}_cpu_seconds": round(cpu, 2)}
    return found


def table(rows: Sequence[Measured]) -> str:
    """The rows as a table in Markdown."""
    lines = [
        "| neurons | steps | BindsNET, 1 | BindsNET, 32 | compiled, 1 | compiled, 32 "
        "| by BindsNET, 1 | by BindsNET, 32 |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for row in rows:
        lines.append(
            f"| {row.n_neurons} | {row.n_steps} | {row.bindsnet_batch_1:,.1f} "
            f"| {row.bindsnet_batch_32:,.1f} | {row.compiled_batch_1:,.0f} "
            f"| {row.compiled_batch_32:,.0f} | {row.speedup_batch_1:,.0f} "
            f"| {row.speedup_batch_32:,.0f} |"
        )
    lines += ["", "Samples per CPU second by batch size, one thread; then the engine at batch 1."]
    return "\n".join(lines)


def speedups(rows: Sequence[Measured]) -> dict[str, float]:
    """The figures of the main case that the goals are set for."""
    (row,) = (row for row in rows if (row.n_neurons, row.n_steps) == MAIN_CASE)
    return {name: round(getattr(row, name), 1) for name in GOALS}


def judged(found: dict[str, float]) -> str:
    """Whether the goals are kept, in a sentence."""
    missed = [
        f"{name} {found[name]} < {goal:g}" for name, goal in GOALS.items() if found[name] < goal
    ]
    neurons, steps = MAIN_CASE
    verdict = f"missed: {', '.join(missed)}" if missed else "kept"
    return f"Goals for {neurons} neurons and {steps} steps, {GOALS}: {verdict}."


def main(show: Callable[[str], object] = print) -> None:
    """Measure all sizes, keep the result, print the table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rounds", type=int, default=7, help="turns of each network")
    parser.add_argument("--json", action="store_true", help="end with one line of JSON")
    parser.add_argument("--quick", action="store_true", help="only 100 neurons and 250 steps")
    parser.add_argument("--results", type=Path, help="by default results/stdp_engine.json")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    sizes = [MAIN_CASE] if arguments.quick else [(n, t) for n in NEURONS for t in STEPS]
    rows = []
    for n_neurons, n_steps in sizes:
        n_rounds = arguments.rounds if n_neurons <= 400 else max(2, arguments.rounds // 2)
        rows.append(measure(n_neurons, n_steps, n_rounds))
        show(table(rows[-1:]).splitlines()[2])
    found = speedups(rows)
    kept = {
        "versions": {
            name: version(name).partition("+")[0] for name in ("bindsnet", "torch", "numba")
        },
        **found,
        **loading_seconds(),
        "rows": [asdict(row) for row in rows],
    }
    if arguments.results or not arguments.quick:
        path: Path = arguments.results or RESULTS / "stdp_engine.json"
        path.write_text(json.dumps(kept, indent=1) + "\n")
    show(table(rows))
    show(judged(found))
    if arguments.json:
        show(json.dumps(kept))


if __name__ == "__main__":
    main()
