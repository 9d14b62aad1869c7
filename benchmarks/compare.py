"""SCBO beside Optuna's samplers and BoTorch's SCBO on constrained problems.

    python -m benchmarks.compare --seeds 10 --jobs 2

runs what `benchmarks/results/compare.jsonl` does not hold yet (interrupt and repeat it as you
like), prints a table, and draws two figures beside it: best feasible value against evaluations and
against the seconds spent in the sampler, medians and quartiles over the seeds. All samplers have
the same budget, the same size of initial design, and one thread.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from optuna.distributions import FloatDistribution
from scipy.stats import wilcoxon

from benchmarks.command import command
from benchmarks.problems import PROBLEMS
from benchmarks.runs import (
    SAMPLERS,
    Run,
    by_sampler,
    problem_named,
    quartiles,
    read_runs,
    run,
)

FLOATS_ONLY = {"botorch-scbo", "botorch-scbo-q10"}
DEFAULT_SAMPLERS = ("scbo", "gp", "tpe", "botorch-scbo", "random")


def table(runs: Sequence[Run]) -> str:
    """Markdown: medians with quartiles of the best feasible value, and seconds per ask."""
    rows = [
        "| problem | evaluations | sampler | seeds | best feasible: median (quartiles) "
        "| scbo better : worse (p that it is behind) | runs without a feasible trial "
        "| seconds per ask |",
        "|---|---|---|---|---|---|---|---|",
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
                f"| {median:.5g} ({low:.5g} to {high:.5g}) | {_paired(found.get('scbo'), own)} "
                f"| {n_without} | {seconds:.3f} |"
            )
    return "\n".join(rows)


def _paired(ours: Sequence[Run] | None, theirs: Sequence[Run]) -> str:
    """Seeds in which ours was better and worse, and `p_behind`; empty for ours itself."""
    if ours is None or theirs is ours:
        return ""
    by_seed = {r.seed: r.best_after(r.budget) for r in ours}
    pairs = [(by_seed[r.seed], r.best_after(r.budget)) for r in theirs if r.seed in by_seed]
    wins, losses = sum(a < b for a, b in pairs), sum(a > b for a, b in pairs)
    return f"{wins} : {losses} ({p_behind(pairs):.2g})"


def p_behind(pairs: Sequence[tuple[float, float]]) -> float:
    """One-sided Wilcoxon signed-rank test that the first of the pairs are larger (worse).

    Infinite values (nothing feasible) lie beyond all finite ones by more than these differ; 1
    where no pair differs.
    """
    values = np.array(pairs, dtype=float).reshape(-1, 2)
    finite = values[np.isfinite(values)]
    if len(finite) == 0:
        return 1.0
    beyond = 2.0 * finite.max() - finite.min() + 1.0
    values = np.where(np.isinf(values), beyond, values)
    differences = values[:, 0] - values[:, 1]
    if not differences.any():
        return 1.0
    return float(wilcoxon(differences, alternative="greater").pvalue)


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


def run_one(sampler: str, problem: str, seed: int) -> Run:
    """One run in this process."""
    found = problem_named(problem)
    return run(sampler, SAMPLERS[sampler], found, seed, found.budget)


def main() -> None:
    """Words to calls."""
    own = command("compare", __doc__)
    own.parser.add_argument(
        "--samplers", nargs="+", default=DEFAULT_SAMPLERS, choices=list(SAMPLERS)
    )
    own.parser.add_argument(
        "--problems", nargs="+", default=list(PROBLEMS), choices=list(PROBLEMS)
    )
    arguments = own.arguments(run_one)
    if arguments is None:
        return
    for problem in arguments.problems:
        is_mixed = not all(
            isinstance(d, FloatDistribution) for d in PROBLEMS[problem].space.values()
        )
        left_out = FLOATS_ONLY if is_mixed else set()
        samplers = [s for s in arguments.samplers if s not in left_out]
        own.run_missing(arguments, samplers, [problem])
    runs = read_runs(arguments.results)
    print(table(runs))
    for path in draw(runs, arguments.results.parent):
        print(f"figure: {path}")


if __name__ == "__main__":
    main()
