"""Does it help to grade dead layers by their membrane potentials? SCBO with and without.

    python -m benchmarks.membrane_gap --seeds 8 --jobs 2

Two searches, both for networks of `studies/stdp_digits.py` at a reduced size (100 neurons at most,
96 digits of 50 ms):

    demo    the search space of the study
    wide    the same with strengths down to a thousandth (`norm` and `strength_exc`) and thresholds
            that reach 100 mV higher: hardly one random network in a hundred is feasible

by what multiplies the excess, silent share - beta, of a silent layer (d is how far its membrane
potentials rose from rest towards the threshold, gap = 1 - d; see `optuna_snn.spikes.gaps`):

    share     1: every dead layer violates its constraint equally
    1 + gap   1 + gap
    gap       0.1 + gap, which is small where the layer almost fired
    log       0.1 - ln d, d at least 1/1000

A search of one seed begins with the same random networks in all of them. Finished runs are kept as
lines of JSON and not repeated; the table is printed from them.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from unittest import mock

from benchmarks.command import command
from benchmarks.runs import Run, quartiles
from optuna_snn.spikes import gaps

BUDGET = 50
SEARCHES = ("demo", "wide")
N_TRAIN, N_VALIDATION = 96, 200
SMALLEST_DEPOLARISATION, LEAST_FACTOR = 1e-3, 0.1


@dataclass(frozen=True)
class GapRun(Run):
    """What one search found. Its values are errors, 1 - accuracy.

    first_feasible: trials until the first feasible network; None if there was none
    silent:         share of networks that were stopped as silent
    samples:        digits that networks processed in training, all trials together
    """

    first_feasible: int | None
    silent: float
    samples: int


def log_distance(mean_gap: float) -> float:
    """-ln d of the mean depolarisation: an input twice as strong is worth the same anywhere."""
    return -math.log(max(1.0 - mean_gap, SMALLEST_DEPOLARISATION))


GRADES: Mapping[str, Callable[[float], float] | None] = {
    "share": None,
    "1 + gap": lambda mean_gap: 1.0 + mean_gap,
    "gap": lambda mean_gap: LEAST_FACTOR + mean_gap,
    "log": lambda mean_gap: LEAST_FACTOR + log_distance(mean_gap),
}
"""What is compared -> by what the excess is multiplied; None: potentials are not read."""


def space_of(search: str) -> Mapping[str, Any]:
    """The search space, with fewer neurons than the study's."""
    from optuna.distributions import FloatDistribution, IntDistribution

    from optuna_snn.objectives.stdp.spaces import STDP_DIGITS

    wider = {
        "strength_exc": FloatDistribution(1e-3, 500, log=True),
        "norm": FloatDistribution(4e-3, 200, log=True),
        "e_thresh": FloatDistribution(-59, 100),
        "i_thresh": FloatDistribution(-40, 100),
    }
    small = {**STDP_DIGITS, "map_size": IntDistribution(20, 100, log=True)}
    return {"demo": small, "wide": {**small, **wider}}[search]


def run_once(grade: str, search: str, seed: int) -> GapRun:
    """One study in this process, with one thread."""
    import optuna
    import torch

    from optuna_snn import SCBOSampler, SpikeActivityPruner
    from optuna_snn.objectives import STDPObjective, STDPSetup, split_digits

    torch.set_num_threads(1)
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    factor = GRADES[grade]
    objective = STDPObjective(
        split_digits(n_train=N_TRAIN, n_validation=N_VALIDATION, n_test=1),
        space=space_of(search),
        setup=STDPSetup(n_steps=50, n_assign=None),
        seed=seed,
        warmup=32,
        membranes=factor is not None,
    )
    study = optuna.create_study(
        direction="maximize", sampler=SCBOSampler(seed=seed), pruner=SpikeActivityPruner()
    )
    with mock.patch.object(gaps, "factor", factor):
        study.optimize(objective, n_trials=BUDGET)
    return summary(grade, search, seed, study.get_trials(deepcopy=False))


def summary(grade: str, search: str, seed: int, trials: Sequence[Any]) -> GapRun:
    """What there is to say of the trials of one study."""
    from optuna_snn.stored_spikes import spike_report

    reports = [report for trial in trials if (report := spike_report(trial)) is not None]
    feasible = [
        (trial.number + 1, 1.0 - trial.value)
        for trial in trials
        if trial.value is not None and all(c <= 0 for c in trial.constraints.values())
    ]
    best: list[tuple[int, float]] = []
    for n, error in feasible:
        if not best or error < best[-1][1]:
            best.append((n, error))
    return GapRun(
        sampler=grade,
        problem=search,
        seed=seed,
        budget=len(trials),
        best=best,
        ask_seconds=[0.0],
        feasible=len(feasible) / len(trials),
        first_feasible=feasible[0][0] if feasible else None,
        silent=sum(report.is_silent for report in reports) / len(trials),
        samples=sum(report.samples_seen for report in reports),
    )


def read(path: Path) -> list[GapRun]:
    """The finished runs of a file; none while it does not exist."""
    lines = path.read_text().splitlines() if path.exists() else []
    return [GapRun(**json.loads(line)) for line in lines]


def table(runs: Sequence[GapRun]) -> str:
    """Medians over the seeds with quartiles, in Markdown; a row for each search and grade.

    A search without a feasible network has accuracy 0, and is infinitely many trials from one.
    """
    rows = [
        "| search | constraint | seeds | silent networks, % | trials to the first feasible "
        "| feasible, % | best accuracy, % | digits, thousands |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for search in SEARCHES:
        for grade in GRADES:
            own = [run for run in runs if (run.sampler, run.problem) == (grade, search)]
            if not own:
                continue
            cells = [
                spread(100 * run.silent for run in own),
                spread(
                    math.inf if run.first_feasible is None else run.first_feasible for run in own
                ),
                spread(100 * run.feasible for run in own),
                spread(100 * (1 - min(1.0, run.best_after(run.budget))) for run in own),
                spread(run.samples / 1000 for run in own),
            ]
            rows.append(" | ".join([f"| {search} | {grade}", str(len(own)), *cells]) + " |")
    return "\n".join(rows)


def spread(values: Iterable[float]) -> str:
    """Median, and the quartiles; what was never reached is infinite."""
    low, middle, high = quartiles(list(values))
    return f"{middle:.3g} ({low:.3g} to {high:.3g})"


def main() -> None:
    """Words to calls."""
    words = command("membrane_gap", __doc__, n_seeds=8)
    arguments = words.arguments(run_once)
    if arguments is not None:
        words.run_missing(arguments, [*GRADES], SEARCHES)
        print(table(read(arguments.results)))


if __name__ == "__main__":
    main()
