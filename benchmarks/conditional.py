"""Samplers on a define-by-run space: three branches, each with its own parameters and optimum.

    python -m benchmarks.conditional --seeds 10 --jobs 1

runs what `benchmarks/results/conditional.jsonl` does not hold yet (interrupt and repeat it as you
like) and prints a table. The problem, `branches`, was made for this benchmark. A trial chooses
`optimizer`, then the shared `rate` and `dropout`, then 2 to 4 parameters of its branch. With u the
position of each numeric parameter between its bounds (of logarithms where it is logarithmic), t
the target of the branch and w the weights 1, 1.5, 2, 1, 1.5, 2 in turn,

    value = offset + sum w (u - t)^2 + 0.1 mean(1 - cos(6 pi (u - t)))
    "speed"   c = sum w (u - t) + 0.15           the target is infeasible by a little
    "memory"  c = mean |u - t| - 0.21            a part of each branch around its target

are minimised with c <= 0. About a tenth of each branch is feasible.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

import numpy as np
import optuna
from optuna.distributions import FloatDistribution, IntDistribution

from benchmarks.command import command
from benchmarks.problems import Array, Result
from benchmarks.runs import (
    Run,
    at_checkpoints,
    by_sampler,
    quartiles,
    read_runs,
)

NAME, BUDGET, N_STARTUP_TRIALS = "branches", 120, 10

Numeric = FloatDistribution | IntDistribution


class Branch(NamedTuple):
    """Own parameters, and the target, of which the first two entries are of the shared ones."""

    own: Mapping[str, Numeric]
    target: tuple[float, ...]
    offset: float


SHARED: Mapping[str, Numeric] = {
    "rate": FloatDistribution(1e-5, 1.0, log=True),
    "dropout": FloatDistribution(0.0, 0.8),
}
BRANCHES = {
    "sgd": Branch(
        {"momentum": FloatDistribution(0.0, 0.99), "warmup": IntDistribution(0, 20)},
        (0.75, 0.3, 0.8, 0.4),
        0.1,
    ),
    "adam": Branch(
        {
            "beta1": FloatDistribution(0.5, 0.99),
            "beta2": FloatDistribution(0.9, 0.9999),
            "eps": FloatDistribution(1e-9, 1e-3, log=True),
        },
        (0.45, 0.55, 0.7, 0.8, 0.35),
        0.0,
    ),
    "rmsprop": Branch(
        {
            "rho": FloatDistribution(0.5, 0.99),
            "floor": FloatDistribution(1e-9, 1e-3, log=True),
            "steps": IntDistribution(1, 256, log=True),
            "decay": FloatDistribution(1e-6, 1e-2, log=True),
        },
        (0.3, 0.4, 0.65, 0.7, 0.3, 0.6),
        0.05,
    ),
}
RADIUS = 0.21
WEIGHTS = (1.0, 1.5, 2.0, 1.0, 1.5, 2.0)


def position(value: float, distribution: Numeric) -> float:
    """Where the value lies between the bounds: 0 to 1."""
    low, high = float(distribution.low), float(distribution.high)
    if distribution.log:
        return math.log(value / low) / math.log(high / low)
    return (value - low) / (high - low)


def result(branch: Branch, u: Array) -> Result:
    """Value and constraints at the positions u of the shared and the own parameters."""
    w, off = np.array(WEIGHTS[: len(u)]), u - np.array(branch.target)
    ripple = float(np.mean(1.0 - np.cos(6.0 * math.pi * off)))
    value = branch.offset + float(w @ off**2) + 0.1 * ripple
    return value, (float(w @ off) + 0.15, float(np.abs(off).mean()) - RADIUS)


def ask(trial: optuna.Trial, name: str, distribution: Numeric) -> float:
    """One parameter, as an objective asks for it."""
    low, high, is_log = distribution.low, distribution.high, distribution.log
    if isinstance(distribution, IntDistribution):
        return trial.suggest_int(name, int(low), int(high), log=is_log)
    return trial.suggest_float(name, low, high, log=is_log)


def evaluate(trial: optuna.Trial) -> Result:
    """Ask for the trial's parameters, one after the other, and measure."""
    branch = BRANCHES[trial.suggest_categorical("optimizer", list(BRANCHES))]
    distributions = {**SHARED, **branch.own}
    u = [position(ask(trial, name, d), d) for name, d in distributions.items()]
    return result(branch, np.array(u))


MakeSampler = Callable[[int], optuna.samplers.BaseSampler]


def _scbo(group: bool) -> MakeSampler:
    def make(seed: int) -> optuna.samplers.BaseSampler:
        from optuna_snn import SCBOSampler

        return SCBOSampler(seed=seed, group=group, warn_independent_sampling=False)

    return make


def _tpe(**options: bool) -> MakeSampler:
    return lambda seed: optuna.samplers.TPESampler(
        seed=seed, n_startup_trials=N_STARTUP_TRIALS, **options
    )


SAMPLERS: Mapping[str, MakeSampler] = {
    "scbo": _scbo(group=False),
    "scbo-group": _scbo(group=True),
    "tpe": _tpe(),
    "tpe-group": _tpe(multivariate=True, group=True),
    "random": lambda seed: optuna.samplers.RandomSampler(seed=seed),
}


def run(name: str, seed: int, budget: int = BUDGET) -> Run:
    """One study in this process, with one thread. Seconds are those of asking and telling."""
    import torch

    torch.set_num_threads(1)
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    study = optuna.create_study(sampler=SAMPLERS[name](seed))
    best: list[tuple[int, float]] = []
    elapsed = np.zeros(budget)
    n_feasible = 0
    for i in range(budget):
        started = time.perf_counter()
        trial = study.ask()
        value, constraints = evaluate(trial)
        for j, c in enumerate(constraints):
            trial.set_constraint(f"c{j}", c)
        study.tell(trial, value)
        elapsed[i] = time.perf_counter() - started
        is_feasible = all(c <= 0 for c in constraints)
        n_feasible += is_feasible
        if is_feasible and (not best or value < best[-1][1]):
            best.append((i + 1, value))
    return Run(name, NAME, seed, budget, best, at_checkpoints(elapsed), n_feasible / budget)


def table(runs: Sequence[Run]) -> str:
    """Markdown: medians with quartiles, and paired comparisons with SCBO without grouping."""
    rows = [
        "| sampler | seeds | best feasible: median (quartiles) | after half the budget "
        "| better : worse than scbo | feasible trials | seconds per trial |",
        "|---|---|---|---|---|---|---|",
    ]
    found = by_sampler(runs, NAME)
    base = {r.seed: r.best_after(r.budget) for r in found.get("scbo", [])}
    for name in sorted(found, key=lambda n: quartiles(_ends(found[n]))[1]):
        own = found[name]
        low, median, high = quartiles(_ends(own))
        half = quartiles([r.best_after(r.budget // 2) for r in own])[1]
        pairs = [(r.best_after(r.budget), base[r.seed]) for r in own if r.seed in base]
        wins = f"{sum(a < b for a, b in pairs)} : {sum(a > b for a, b in pairs)}"
        feasible = quartiles([r.feasible for r in own])[1]
        seconds = quartiles([r.ask_seconds[-1] / r.budget for r in own])[1]
        rows.append(
            f"| {name} | {len(own)} | {median:.4f} ({low:.4f} to {high:.4f}) | {half:.4f} "
            f"| {wins} | {feasible:.0%} | {seconds:.3f} |"
        )
    return "\n".join(rows)


def _ends(runs: Sequence[Run]) -> list[float]:
    return [r.best_after(r.budget) for r in runs]


def main() -> None:
    """Words to calls."""
    own = command("conditional", __doc__)
    own.parser.add_argument(
        "--samplers", nargs="+", default=list(SAMPLERS), choices=list(SAMPLERS)
    )
    arguments = own.arguments(lambda sampler, _, seed: run(sampler, seed))
    if arguments is not None:
        own.run_missing(arguments, arguments.samplers, [NAME])
        print(table(read_runs(arguments.results)))


if __name__ == "__main__":
    main()
