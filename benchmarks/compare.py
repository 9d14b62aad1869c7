"""SCBO beside Optuna's samplers and BoTorch's SCBO on constrained problems.

    python -m benchmarks.compare --seeds 10 --jobs 2

runs what `benchmarks/results/compare.jsonl` does not hold yet (interrupt and repeat it as you
like), prints a table, and draws two figures beside it: best feasible value against evaluations and
against the seconds spent in the sampler, medians and quartiles over the seeds. All samplers have
the same budget, the same size of initial design, and one thread.
"""

from __future__ import annotations

import argparse
import math
from collections.abc import Sequence
from pathlib import Path

from benchmarks.problems import PROBLEMS
from benchmarks.runs import (
    RESULTS,
    SAMPLERS,
    Run,
    by_sampler,
    problem_named,
    quartiles,
    read_runs,
    run,
    run_missing,
    to_line,
)

FLOATS_ONLY = {"botorch-scbo", "botorch-scbo-q10"}
DEFAULT_SAMPLERS = ("scbo", "gp", "tpe", "botorch-scbo", "random")


def table(runs: Sequence[Run]) -> str:
    """Markdown: medians with quartiles of the best feasible value, and seconds per ask."""
    rows = [
        "| problem | evaluations | sampler | seeds | best feasible: median (quartiles) "
        "| runs without a feasible trial | seconds per ask |",
        "|---|---|---|---|---|---|---|",
    ]
    for problem in PROBLEMS.values():
        found = by_sampler(runs, problem.name)
        medians = {
            name: quartiles([r.best_after(r.budget) for r in own]) for name, own in found.items()
        }
        for name in sorted(found, key=lambda n: medians[n][1]):
            own = found[name]
            low, median, high = medians[name]
            n_without = sum(math.isinf(r.best_after(r.budget)) for r in own)
            _, seconds, _ = quartiles([r.ask_seconds[-1] / r.budget for r in own])
            rows.append(
                f"| {problem.name} | {own[0].budget} | {name} | {len(own)} "
                f"| {median:.5g} ({low:.5g} to {high:.5g}) | {n_without} | {seconds:.3f} |"
            )
    return "\n".join(rows)


def draw(runs: Sequence[Run], folder: Path) -> list[Path]:
    """Two figures, one panel per problem. Returns their paths."""
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    colours = dict(
        zip(
            SAMPLERS,
            ["#0072B2", "#999999", "#D55E00", "#009E73", "#CC79A7", "#E69F00"],
            strict=True,
        )
    )
    problems = [p for p in PROBLEMS.values() if by_sampler(runs, p.name)]
    paths = []
    for kind, label in [("evaluations", "evaluations"), ("seconds", "seconds in the sampler")]:
        n_columns = min(3, len(problems))
        n_rows = math.ceil(len(problems) / n_columns)
        figure, axes = plt.subplots(
            n_rows, n_columns, figsize=(4.2 * n_columns, 3.1 * n_rows), squeeze=False
        )
        for ax in axes.flat[len(problems) :]:
            ax.set_visible(False)
        for ax, problem in zip(axes.flat, problems, strict=False):
            for name, own in by_sampler(runs, problem.name).items():
                _draw_sampler(ax, own, name, colours[name], kind)
            ax.set_title(problem.name, fontsize=10)
            ax.set_xlabel(label, fontsize=9)
            if kind == "seconds":
                ax.set_xscale("log")
            ax.grid(alpha=0.25)
            ax.tick_params(labelsize=8)
        handles = {line.get_label(): line for ax in axes.flat for line in ax.get_lines()}
        figure.legend(handles.values(), handles.keys(), loc="upper center", ncols=6, frameon=False)
        figure.supylabel("best feasible value")
        figure.tight_layout(rect=(0, 0, 1, 0.95))
        path = folder / f"compare_{kind}.png"
        figure.savefig(path, dpi=110)
        plt.close(figure)
        paths.append(path)
    return paths


def _draw_sampler(ax: object, own: Sequence[Run], name: str, colour: str, kind: str) -> None:
    """Median and quartile band of one sampler; nothing where half the runs have no value yet."""
    budget = own[0].budget
    n_marks = len(own[0].ask_seconds)
    marks = [round(budget * (k + 1) / n_marks) for k in range(n_marks)]
    bands = [quartiles([r.best_after(n) for r in own]) for n in marks]
    if kind == "evaluations":
        x = [float(n) for n in marks]
    else:
        x = [quartiles([r.ask_seconds[k] for r in own])[1] for k in range(n_marks)]
    shown = [k for k in range(n_marks) if math.isfinite(bands[k][1])]
    if not shown:
        return
    top = max(b for k in shown for b in bands[k] if math.isfinite(b))
    ax.plot([x[k] for k in shown], [bands[k][1] for k in shown], color=colour, label=name)  # type: ignore[attr-defined]
    ax.fill_between(  # type: ignore[attr-defined]
        [x[k] for k in shown],
        [bands[k][0] for k in shown],
        [min(bands[k][2], top) for k in shown],
        color=colour,
        alpha=0.15,
        linewidth=0,
    )


def main() -> None:
    """Words to calls."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--seeds", type=int, default=10, help="seeds of each sampler")
    parser.add_argument("--jobs", type=int, default=1, help="runs at a time")
    parser.add_argument("--samplers", nargs="+", default=DEFAULT_SAMPLERS, choices=list(SAMPLERS))
    parser.add_argument("--problems", nargs="+", default=list(PROBLEMS), choices=list(PROBLEMS))
    parser.add_argument("--results", type=Path, default=RESULTS / "compare.jsonl")
    parser.add_argument("--table", action="store_true", help="only print what is there")
    parser.add_argument("--run", nargs=3, metavar=("SAMPLER", "PROBLEM", "SEED"))
    arguments = parser.parse_args()
    if arguments.run is not None:
        sampler, name, seed = arguments.run
        problem = problem_named(name)
        print(to_line(run(sampler, SAMPLERS[sampler], problem, int(seed), problem.budget)))
        return
    if not arguments.table:
        wanted = [
            (sampler, name, seed)
            for seed in range(arguments.seeds)
            for name in arguments.problems
            for sampler in arguments.samplers
            if not (sampler in FLOATS_ONLY and name == "mixed12")
        ]
        run_missing(arguments.results, wanted, arguments.jobs, "benchmarks.compare")
    runs = read_runs(arguments.results)
    print(table(runs))
    for path in draw(runs, arguments.results.parent):
        print(f"figure: {path}")


if __name__ == "__main__":
    main()
