"""Does it help that the sampler knows how uncertain a silent share is? SCBO with and without.

    python -m benchmarks.weighing --seeds 10

A network of two layers is stood in for by a model of its silence: the probabilities that a sample
is silent follow smoothly from ten parameters, and the samples are drawn. They go to a
`SpikeMonitor` in batches of BATCH until the sequential rule stops the network, which then has no
value, or N_SAMPLES are seen. So a constraint rests on 16 samples where the network is dead, on a
few dozen to hundreds where it is silent, and on 2,000 where it is finished; the monitor tells the
sampler the standard deviation of each. One network of twenty that are drawn at random is feasible.

    edge     the best networks lie where both layers are as silent as is tolerated
    inside   they lie where hardly any sample is silent

    weighed      `SCBOSampler` as it is
    unweighed    the same with ``Options(is_error_known=False)``: each share counts as exact
    tpe, random  Optuna's, for context

A network counts as feasible here if its silence probabilities keep to beta, whatever its samples
were. Values are squared distances from the best point without constraints, lower is better; the
runs of one seed begin alike.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from benchmarks.command import command
from benchmarks.runs import SAMPLERS, Run, at_checkpoints, quartiles

Array = npt.NDArray[np.float64]

D = 10
LAYERS = ("hidden", "output")
BETA = 0.1
BATCH, N_SAMPLES = 16, 2000
BUDGET, N_STARTUP = 120, 20
CHECKED = (BUDGET // 2, BUDGET)
"""Trials after which the searches are compared."""
COMPARED = ("weighed", "unweighed", "tpe", "random")
TARGETS: Mapping[str, Array] = {
    "edge": np.array([0.3, 0.4, 0.6, 0.6, 0.5, 0.3, 0.4, 0.6, 0.5, 0.7]),
    "inside": np.array([0.8, 0.7, 0.25, 0.4, 0.5, 0.8, 0.7, 0.2, 0.4, 0.7]),
}
"""Problem -> its best point, were there no constraints."""
OPTIMA: Mapping[str, float] = {"edge": 0.422964, "inside": 0.0}


@dataclass(frozen=True)
class WeighingRun(Run):
    """What one search found; `best` and `feasible` go by the true probabilities.

    first_feasible: trials until the first feasible network; None if there was none
    stopped:        share of the networks that the rule stopped
    misjudged:      finished networks whose silent shares say otherwise than the probabilities
    samples:        of all networks together
    """

    first_feasible: int | None
    stopped: float
    misjudged: int
    samples: int


def silence(x: Array) -> Array:
    """Probabilities that a sample is silent in each layer, (2,), of a network x, (D,).

    A layer's drive is a sum of what excites and what inhibits it; what falls silent in the first
    layer drives the second less.
    """
    first = 5 * x[0] + 3 * x[1] - 5 * x[2] - 3 * x[3] ** 2 + 3 * (x[0] - 0.5) * (x[4] - 0.5) - 2
    hidden = 1 / (1 + math.exp(2 * first))
    second = 4 * x[5] + 3 * x[6] - 4 * x[7] - 2 * x[8] ** 2 - 3 * hidden - 0.5
    return np.array([hidden, 1 / (1 + math.exp(2 * second))])


def value(problem: str, x: Array) -> float:
    """What a finished network x, (D,), is worth; lower is better."""
    return float(((x - TARGETS[problem]) ** 2).sum())


def make_sampler(what: str, seed: int) -> Any:
    """What is compared."""
    from optuna_snn import SCBOSampler
    from optuna_snn.scbo.options import Options

    if what in ("weighed", "unweighed"):
        options = Options(is_error_known=what == "weighed")
        return SCBOSampler(seed=seed, n_startup_trials=N_STARTUP, options=options)
    from benchmarks.problems import Problem

    return SAMPLERS[what](Problem(what, {}, lambda _: (0.0, ()), BUDGET, N_STARTUP), seed)


def observed(trial: Any, probabilities: Array, rng: np.random.Generator) -> tuple[bool, int]:
    """Present samples to the trial's monitor; whether it stopped, and after how many samples."""
    from optuna_snn import SpikeMonitor

    with SpikeMonitor(trial, beta=BETA, warmup=0, layers=LAYERS) as monitor:
        while monitor.n_samples < N_SAMPLES and not monitor.is_stopped:
            is_active = rng.random((len(LAYERS), BATCH)) >= probabilities[:, None]
            monitor.update(dict(zip(LAYERS, is_active, strict=True)))
    return monitor.is_stopped, monitor.n_samples


def run_once(what: str, problem: str, seed: int, budget: int = BUDGET) -> WeighingRun:
    """One study in this process, with one thread."""
    import time

    import optuna
    import torch

    torch.set_num_threads(1)
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    study = optuna.create_study(sampler=make_sampler(what, seed))
    space: dict[str, Any] = {
        f"x{i:02d}": optuna.distributions.FloatDistribution(0, 1) for i in range(D)
    }
    best: list[tuple[int, float]] = []
    feasible: list[int] = []
    n_stopped = n_misjudged = samples = 0
    elapsed = np.zeros(budget)
    for i in range(budget):
        started = time.perf_counter()
        trial = study.ask(space)
        elapsed[i] = time.perf_counter() - started
        x = np.array([trial.params[name] for name in space])
        probabilities = silence(x)
        is_stopped, n = observed(trial, probabilities, np.random.default_rng([seed, i]))
        n_stopped, samples = n_stopped + is_stopped, samples + n
        if is_stopped:
            study.tell(trial, state=optuna.trial.TrialState.PRUNED)
            continue
        found = value(problem, x)
        is_feasible = bool(probabilities.max() <= BETA)
        n_misjudged += is_feasible != (max(trial.constraints.values()) <= 0)
        study.tell(trial, found)
        if is_feasible:
            feasible.append(i + 1)
            if not best or found < best[-1][1]:
                best.append((i + 1, found))
    return WeighingRun(
        sampler=what,
        problem=problem,
        seed=seed,
        budget=budget,
        best=best,
        ask_seconds=at_checkpoints(elapsed),
        feasible=len(feasible) / budget,
        first_feasible=feasible[0] if feasible else None,
        stopped=n_stopped / budget,
        misjudged=n_misjudged,
        samples=samples,
    )


def read(path: Path) -> list[WeighingRun]:
    """The finished runs of a file; none while it does not exist."""
    lines = path.read_text().splitlines() if path.exists() else []
    return [WeighingRun(**json.loads(line)) for line in lines]


def table(runs: Sequence[WeighingRun]) -> str:
    """Medians over the seeds with quartiles, in Markdown; a row for each problem and sampler.

    How much a value lies above the optimum; infinitely much without a feasible network.
    """
    rows = [
        "| problem | sampler | seeds | above the optimum after 60 trials | after 120 "
        "| weighed better : worse, after 60 and 120 | trials to the first feasible | feasible, % "
        "| stopped, % | misjudged | samples, thousands |",
        "|---|---|---|---|---|---|---|---|---|---|---|",
    ]
    for problem in TARGETS:
        own = {what: _own(runs, what, problem) for what in COMPARED}
        base = {run.seed: run for run in own["weighed"]}
        for what in COMPARED:
            if own[what]:
                cells = [problem, what, str(len(own[what])), *_cells(own[what], base, problem)]
                rows.append("| " + " | ".join(cells) + " |")
    return "\n".join(rows)


def _own(runs: Sequence[WeighingRun], what: str, problem: str) -> list[WeighingRun]:
    return [run for run in runs if (run.sampler, run.problem) == (what, problem)]


def _cells(own: Sequence[WeighingRun], base: Mapping[int, Run], problem: str) -> list[str]:
    pairs = [(base[r.seed], r) for r in own if r.seed in base]
    first = [math.inf if r.first_feasible is None else r.first_feasible for r in own]
    return [
        *(_spread([r.best_after(n) - OPTIMA[problem] for r in own]) for n in CHECKED),
        "" if own[0].sampler == "weighed" else ", ".join(_scores(pairs, n) for n in CHECKED),
        _spread(first),
        _spread([100 * r.feasible for r in own]),
        _spread([100 * r.stopped for r in own]),
        _spread([r.misjudged for r in own]),
        _spread([r.samples / 1000 for r in own]),
    ]


def _scores(pairs: Sequence[tuple[Run, Run]], n: int) -> str:
    """How often the first of a pair is better after n trials, and how often worse."""
    values = [(a.best_after(n), b.best_after(n)) for a, b in pairs]
    return f"{sum(a < b for a, b in values)} : {sum(a > b for a, b in values)}"


def _spread(values: Sequence[float]) -> str:
    """Median, and the quartiles; what was never reached is infinite."""
    low, middle, high = quartiles(values)
    return f"{middle:.3g} ({low:.3g} to {high:.3g})"


def main() -> None:
    """Words to calls."""
    words = command("weighing", __doc__)
    arguments = words.arguments(run_once)
    if arguments is not None:
        words.run_missing(arguments, COMPARED, [*TARGETS])
        print(table(read(arguments.results)))


if __name__ == "__main__":
    main()
