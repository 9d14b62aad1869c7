"""Runs of samplers on problems: one process each, one line of JSON each, none twice."""

from __future__ import annotations

import json
import math
import os
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, fields
from pathlib import Path

import numpy as np
import optuna

from benchmarks.problems import PROBLEMS, Array, Problem

ROOT = Path(__file__).resolve().parents[1]
RESULTS = ROOT / "benchmarks" / "results"
ASK_CHECKPOINTS = 20


@dataclass(frozen=True)
class Run:
    """What one run found, and when."""

    sampler: str
    problem: str
    seed: int
    budget: int
    best: list[tuple[int, float]]
    """(evaluations, best feasible value), at each improvement."""
    ask_seconds: list[float]
    """Seconds spent in ask and tell until each of ASK_CHECKPOINTS equal parts of the budget."""
    feasible: float
    """Share of the trials that were feasible."""

    def best_after(self, n: int) -> float:
        """Best feasible value after n evaluations; infinite while there is none."""
        return min((value for k, value in self.best if k <= n), default=math.inf)


MakeSampler = Callable[[Problem, int], optuna.samplers.BaseSampler]


def _scbo(problem: Problem, seed: int) -> optuna.samplers.BaseSampler:
    from optuna_snn import SCBOSampler

    return SCBOSampler(seed=seed, n_startup_trials=problem.n_startup_trials)


def _tutorial(batch_size: int) -> MakeSampler:
    def make(problem: Problem, seed: int) -> optuna.samplers.BaseSampler:
        from benchmarks.tutorial_scbo import TutorialSCBO

        return TutorialSCBO(problem.space, problem.n_startup_trials, seed, batch_size)

    return make


SAMPLERS: dict[str, MakeSampler] = {
    "scbo": _scbo,
    "random": lambda p, s: optuna.samplers.RandomSampler(seed=s),
    "tpe": lambda p, s: optuna.samplers.TPESampler(seed=s, n_startup_trials=p.n_startup_trials),
    "gp": lambda p, s: optuna.samplers.GPSampler(seed=s, n_startup_trials=p.n_startup_trials),
    "botorch-scbo": _tutorial(1),
    "botorch-scbo-q10": _tutorial(10),
}


def run(name: str, make: MakeSampler, problem: Problem, seed: int, budget: int) -> Run:
    """One study in this process, with one thread. Scores leave the noise out."""
    import torch

    torch.set_num_threads(1)
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    study = optuna.create_study(sampler=make(problem, seed))
    noise = np.random.default_rng(1000 + seed)
    best: list[tuple[int, float]] = []
    elapsed = np.zeros(budget)
    n_feasible = 0
    for i in range(budget):
        started = time.perf_counter()
        trial = study.ask(dict(problem.space))
        elapsed[i] += time.perf_counter() - started
        value, constraints = problem.evaluate(trial.params)
        for j, c in enumerate(constraints):
            trial.set_constraint(f"c{j:02d}", float(c))
        noisy = value + problem.noise_sd * noise.normal()
        started = time.perf_counter()
        study.tell(trial, noisy)
        elapsed[i] += time.perf_counter() - started
        is_feasible = all(c <= 0 for c in constraints)
        n_feasible += is_feasible
        if is_feasible and (not best or value < best[-1][1]):
            best.append((i + 1, float(value)))
    seconds = at_checkpoints(elapsed)
    return Run(name, problem.name, seed, budget, best, seconds, n_feasible / budget)


def at_checkpoints(elapsed: Array) -> list[float]:
    """Seconds until each of ASK_CHECKPOINTS equal parts of the budget; elapsed: of each trial."""
    at = (np.linspace(0, len(elapsed), ASK_CHECKPOINTS + 1)[1:] - 1).round().astype(int)
    return [round(float(s), 3) for s in np.cumsum(elapsed)[at]]


def read_runs(path: Path) -> list[Run]:
    """The finished runs of a file; none while it does not exist."""
    lines = path.read_text().splitlines() if path.exists() else []
    return [_to_run(line) for line in lines]


def _to_run(line: str) -> Run:
    """A run from a line of JSON; what a benchmark adds to `Run` is left out."""
    stored = json.loads(line)
    return Run(**{field.name: stored[field.name] for field in fields(Run)})


def run_missing(
    path: Path, wanted: Sequence[tuple[str, str, int]], n_jobs: int, module: str
) -> None:
    """Run, each in its own process, the (sampler, problem, seed) that the results lack.

    module: what is started with ``--run SAMPLER PROBLEM SEED`` and prints one line.
    """
    done = {(r.sampler, r.problem, r.seed) for r in read_runs(path)}
    todo = [w for w in wanted if w not in done]
    path.parent.mkdir(parents=True, exist_ok=True)
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}

    def start(task: tuple[str, str, int]) -> None:
        words = ["--run", *map(str, task)]
        ended = subprocess.run(
            [sys.executable, "-W", "ignore", "-m", module, *words],
            env=environment,
            cwd=ROOT,
            stdout=subprocess.PIPE,
            text=True,
            check=True,
        )
        line = ended.stdout.strip().splitlines()[-1]
        with path.open("a") as results:
            results.write(line + "\n")
        found = _to_run(line)
        print(
            f"{found.sampler:>18} {found.problem:<14} seed {found.seed}: "
            f"{found.best_after(found.budget):.5g}, {found.ask_seconds[-1]:.0f} s of sampling",
            flush=True,
        )

    with ThreadPoolExecutor(n_jobs) as pool:
        list(pool.map(start, todo))


def to_line(result: Run) -> str:
    """One line of JSON."""
    return json.dumps(asdict(result))


def quartiles(values: Sequence[float]) -> tuple[float, float, float]:
    """Lower quartile, median and upper quartile; infinities count as the largest values."""
    ordered = sorted(values)
    picked = [ordered[round(q * (len(ordered) - 1))] for q in (0.25, 0.75)]
    middle = len(ordered) // 2
    median = ordered[middle] if len(ordered) % 2 else (ordered[middle - 1] + ordered[middle]) / 2
    return picked[0], median, picked[1]


def by_sampler(runs: Sequence[Run], problem: str) -> Mapping[str, list[Run]]:
    """The runs of one problem, by sampler, in the order of their seeds."""
    found: dict[str, list[Run]] = {}
    for r in sorted(runs, key=lambda r: r.seed):
        if r.problem == problem:
            found.setdefault(r.sampler, []).append(r)
    return found


def problem_named(name: str) -> Problem:
    """The problem of that name. Raises ValueError for another."""
    if name not in PROBLEMS:
        raise ValueError(f"There is no problem {name!r}; there are {sorted(PROBLEMS)}.")
    return PROBLEMS[name]
