"""Experiments 1 and 3 of the paper at the scale of a laptop: samplers, and rules of stopping.

    python -m benchmarks.experiments --experiment 1 --n-trials 200
    python -m benchmarks.experiments --experiment 3 --n-trials 100

run what `benchmarks/results/experiments.jsonl` does not hold yet, one search after another with
one thread, print a table and draw `docs/experiment_<number>.png`. Start the same command once for
each core: the processes share out the searches. A search that is interrupted begins anew.

Unless --samplers or --rules say otherwise, SCBO, TPE and random search stop silent networks by the
sequential rule, and SCBO does it by the authors' rule and not at all ("record") besides. A network
that is silent for more samples than tolerated is infeasible under every rule. The best feasible
trial is trained again on training and validation digits with fresh seeds, and tested.

Experiment 1 is the study file's at scale laptop. Experiment 3 at scale reduced has 1000 training
and 500 validation digits, at most 2 epochs, 4 and 8 filters, and tolerates a fifth of silent
samples: its scale laptop takes a minute for a trial.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence

from benchmarks.experiments_figure import save_figure
from benchmarks.experiments_kept import KEPT, Combination, append, claimed, read
from benchmarks.experiments_search import STUDIES, search
from benchmarks.experiments_table import table
from benchmarks.runs import RESULTS, ROOT
from benchmarks.stdp_digits import SAMPLERS

RULES = ("sequential", "paper", "record")
COMPARED = (
    *((sampler, "sequential") for sampler in SAMPLERS),
    ("scbo", "paper"),
    ("scbo", "record"),
)
"""What is run unless the command says otherwise."""
SCALES = {1: "laptop", 3: "reduced"}
"""Of each experiment, unless the command says otherwise."""


def combinations(arguments: argparse.Namespace) -> list[Combination]:
    """What the command asks for, seed by seed."""
    pairs: Sequence[tuple[str, str]] = COMPARED
    if arguments.samplers or arguments.rules:
        samplers, rules = arguments.samplers or ["scbo"], arguments.rules or ["sequential"]
        pairs = [(sampler, rule) for rule in rules for sampler in samplers]
    return [
        Combination(
            experiment=arguments.experiment,
            scale=arguments.scale or SCALES[arguments.experiment],
            space=arguments.space,
            sampler=sampler,
            rule=rule,
            seed=seed,
            n_trials=arguments.n_trials,
        )
        for seed in arguments.seeds
        for sampler, rule in pairs
    ]


def run_missing(arguments: argparse.Namespace) -> None:
    """Run what the results lack and no other process is at, in this process."""
    for combination in combinations(arguments):
        with claimed(arguments.results, combination) as is_ours:
            # Read within the claim: another process may have finished it a moment ago.
            done = {each.combination for each in read(arguments.results)}
            if combination in done:
                continue
            words = f"{combination.sampler} {combination.rule} seed {combination.seed}"
            if not is_ours:
                print(f"{words}: another process is at it", flush=True)
                continue
            found = search(
                combination,
                time_limit_s=arguments.time_limit,
                top=arguments.top,
                repeats=arguments.repeats,
            )
            append(arguments.results, found)
            print(
                f"{words}: {found.trials.n} trials, {found.trials.elapsed_seconds[-1]:.0f} s, "
                f"validation {found.trials.best_so_far[-1]:.4f}, test {found.test_accuracy:.4f}",
                flush=True,
            )


def parser() -> argparse.ArgumentParser:
    """The command's words."""
    made = argparse.ArgumentParser(
        prog="python -m benchmarks.experiments",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    made.add_argument("--experiment", type=int, choices=list(STUDIES), required=True)
    made.add_argument("--samplers", nargs="+", choices=SAMPLERS)
    made.add_argument("--rules", nargs="+", choices=RULES)
    made.add_argument("--seeds", nargs="+", type=int, default=[0, 1, 2])
    made.add_argument("--n-trials", type=int, default=200, help="of each search")
    made.add_argument("--scale", choices=("smoke", "laptop", "reduced"))
    made.add_argument("--space", choices=("released", "as_run"), default="released")
    made.add_argument("--time-limit", type=float, help="seconds of one core for a search")
    made.add_argument("--top", type=int, default=1, help="trials that are trained again")
    made.add_argument("--repeats", type=int, default=5, help="new trainings of each")
    made.add_argument("--results", type=type(RESULTS), default=KEPT, help="lines of JSON, kept")
    made.add_argument("--figures", type=type(RESULTS), default=ROOT / "docs", help="a folder")
    made.add_argument("--table", action="store_true", help="run nothing, only show")
    return made


def main(words: Sequence[str] | None = None) -> None:
    """Words to calls."""
    arguments = parser().parse_args(words)
    if not arguments.table:
        run_missing(arguments)
    found = read(arguments.results)
    print(table(found, arguments.experiment))
    if path := save_figure(found, arguments.experiment, arguments.figures):
        print(f"figure: {path}")


if __name__ == "__main__":
    main()
