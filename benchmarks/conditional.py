"""Samplers on define-by-run spaces: branches with their own parameters and optimum, and a tree.

    python -m benchmarks.conditional --seeds 10 --jobs 1

runs what `benchmarks/results/conditional.jsonl` does not hold yet (interrupt and repeat it as you
like) and prints a table. The problems were made for this benchmark. u is the position of a numeric
parameter between its bounds (of logarithms where it is logarithmic), and values are minimised.

In `branches` a trial chooses `optimizer`, then the shared `rate` and `dropout`, then 2 to 4
parameters of its branch. With t the target of the branch and w the weights 1, 1.5, 2, 1, 1.5, 2 in
turn,

    value = offset + sum w (u - t)^2 + 0.1 mean(1 - cos(6 pi (u - t)))
    "speed"   c = sum w (u - t) + 0.15           the target is infeasible by a little
    "memory"  c = mean |u - t| - 0.21            a part of each branch around its target

with c <= 0. About a tenth of each branch is feasible.

In `tree` it chooses one of three encoders, which has two parameters, and one of three decoders:
the first has none, the second one, the third a choice of two learners with two parameters each.
Three parameters are shared. The choices make twelve combinations, whose values add up:

    value = e + d + l + sum (u - t)^2           e, d, l of the encoder, decoder and learner
    c = u_threshold + u_leak - 0.3 u_encoder - 0.9      u_encoder is its first parameter

The best combination has e = d = l = 0, and its target is feasible: the least value is 0.
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

BUDGET, N_STARTUP_TRIALS = 120, 10

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


UNIT = FloatDistribution(0.0, 1.0)
THRESHOLD = FloatDistribution(1e-3, 1.0, log=True)
TREE_TARGET = {"threshold": 0.62, "leak": 0.35, "weight": 0.71, "tau": 0.3}
ENCODERS = {"rate": (0.12, 0.35, 0.71), "latency": (0.0, 0.71, 0.28), "delta": (0.05, 0.28, 0.5)}
"""Name -> e, and the targets of its parameters."""
DECODERS = {"count": 0.1, "first": 0.05, "learned": 0.0}
LEARNERS = {"sgd": (0.08, 0.28, 0.5), "adam": (0.0, 0.28, 0.5)}


def evaluate_tree(trial: optuna.Trial) -> Result:
    """The tree: ask for the trial's parameters, one after the other, and measure."""
    encoder = trial.suggest_categorical("encoder", list(ENCODERS))
    decoder = trial.suggest_categorical("decoder", list(DECODERS))
    target = dict(TREE_TARGET)
    offset, *own = ENCODERS[encoder]
    target |= {f"{encoder}{k}": t for k, t in enumerate(own)}
    if decoder == "learned":
        learner = trial.suggest_categorical("learner", list(LEARNERS))
        more, *own = LEARNERS[learner]
        target |= {f"{learner}{k}": t for k, t in enumerate(own)}
        offset += more
    if decoder != "first":
        del target["tau"]
    distributions = {name: THRESHOLD if name == "threshold" else UNIT for name in target}
    u = {name: position(ask(trial, name, d), d) for name, d in distributions.items()}
    value = offset + DECODERS[decoder] + sum((u[name] - t) ** 2 for name, t in target.items())
    return value, (u["threshold"] + u["leak"] - 0.3 * u[f"{encoder}0"] - 0.9,)


def evaluate(trial: optuna.Trial) -> Result:
    """The branches: ask for the trial's parameters, one after the other, and measure."""
    branch = BRANCHES[trial.suggest_categorical("optimizer", list(BRANCHES))]
    distributions = {**SHARED, **branch.own}
    u = [position(ask(trial, name, d), d) for name, d in distributions.items()]
    return result(branch, np.array(u))


OBJECTIVES: Mapping[str, Callable[[optuna.Trial], Result]] = {
    "branches": evaluate,
    "tree": evaluate_tree,
}

MakeSampler = Callable[[int], optuna.samplers.BaseSampler]


def _scbo(group: bool) -> MakeSampler:
    def make(seed: int) -> optuna.samplers.BaseSampler:
        from optuna_snn import SCBOSampler

        return SCBOSampler(seed=seed, group=group, warn_independent_sampling=False)

    return make


def _gp(seed: int) -> optuna.samplers.BaseSampler:
    return optuna.samplers.GPSampler(seed=seed, n_startup_trials=N_STARTUP_TRIALS)


def _tpe(**options: bool) -> MakeSampler:
    return lambda seed: optuna.samplers.TPESampler(
        seed=seed, n_startup_trials=N_STARTUP_TRIALS, **options
    )


SAMPLERS: Mapping[str, MakeSampler] = {
    "scbo": _scbo(group=False),
    "scbo-group": _scbo(group=True),
    "gp": _gp,
    "tpe": _tpe(),
    "tpe-group": _tpe(multivariate=True, group=True),
    "random": lambda seed: optuna.samplers.RandomSampler(seed=seed),
}


def run(name: str, problem: str, seed: int, budget: int = BUDGET) -> Run:
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
        value, constraints = OBJECTIVES[problem](trial)
        for j, c in enumerate(constraints):
            trial.set_constraint(f"c{j}", c)
        study.tell(trial, value)
        elapsed[i] = time.perf_counter() - started
        is_feasible = all(c <= 0 for c in constraints)
        n_feasible += is_feasible
        if is_feasible and (not best or value < best[-1][1]):
            best.append((i + 1, value))
    return Run(name, problem, seed, budget, best, at_checkpoints(elapsed), n_feasible / budget)


def table(runs: Sequence[Run]) -> str:
    """Markdown: medians with quartiles, and paired comparisons with `scbo-group`."""
    rows = [
        "| problem | sampler | seeds | best feasible: median (quartiles) | after half the budget "
        "| scbo-group better : worse | feasible trials | seconds per trial |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for problem in OBJECTIVES:
        rows += _rows(problem, by_sampler(runs, problem))
    return "\n".join(rows)


def _rows(problem: str, found: Mapping[str, Sequence[Run]]) -> list[str]:
    """The lines of one problem, whose runs are given by sampler."""
    rows = []
    base = {r.seed: r.best_after(r.budget) for r in found.get("scbo-group", [])}
    for name in sorted(found, key=lambda n: quartiles(_ends(found[n]))[1]):
        own = found[name]
        low, median, high = quartiles(_ends(own))
        half = quartiles([r.best_after(r.budget // 2) for r in own])[1]
        pairs = [(r.best_after(r.budget), base[r.seed]) for r in own if r.seed in base]
        wins = f"{sum(b < a for a, b in pairs)} : {sum(b > a for a, b in pairs)}"
        wins = "" if name == "scbo-group" else wins
        feasible = quartiles([r.feasible for r in own])[1]
        seconds = quartiles([r.ask_seconds[-1] / r.budget for r in own])[1]
        rows.append(
            f"| {problem} | {name} | {len(own)} | {median:.3g} ({low:.3g} to {high:.3g}) "
            f"| {half:.3g} | {wins} | {feasible:.0%} | {seconds:.3f} |"
        )
    return rows


def _ends(runs: Sequence[Run]) -> list[float]:
    return [r.best_after(r.budget) for r in runs]


def main() -> None:
    """Words to calls."""
    own = command("conditional", __doc__)
    own.parser.add_argument(
        "--samplers", nargs="+", default=list(SAMPLERS), choices=list(SAMPLERS)
    )
    arguments = own.arguments(run)
    if arguments is not None:
        own.run_missing(arguments, arguments.samplers, list(OBJECTIVES))
        print(table(read_runs(arguments.results)))


if __name__ == "__main__":
    main()
