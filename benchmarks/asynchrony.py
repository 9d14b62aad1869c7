"""Many workers at once, in virtual time: what does choosing points without all results cost?

    python -m benchmarks.asynchrony --seeds 10 --jobs 1

W workers, whose evaluations take random times, share one study (`benchmarks.virtual_time`). All
searches have the same budget of evaluations. The measure is the loss: how much worse W workers end
than one, as a share of what one gained after its initial design, or after its first feasible trial
where the design has none.

Two rules for the trust region are compared: "ours" is `SCBOSampler` as it is; "authors" is that of
the SNN paper's authors (`benchmarks.authors_rule`), searched with by patching our fold, and also
replayed on the results of every search. "alone", with 15 workers only, is ours but that each
worker chooses as it would if it were the only one.

What `benchmarks/results/asynchrony.jsonl` does not hold yet is run; then a table is printed and
two figures are drawn beside it.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.authors_rule import moves
from benchmarks.command import command
from benchmarks.problems import PROBLEMS
from benchmarks.runs import problem_named, quartiles
from benchmarks.virtual_time import RULES, AsyncRun, read_async_runs, run
from optuna_snn.scbo.trust_region import LENGTH_MIN

PROBLEM = "ackley10"
DRAWN = {"ours": "our rule", "authors": "the authors' rule"}
N_WORKERS = (1, 4, 15, 64)
SHOWN_WORKERS = 15
"""Workers of the searches whose box is drawn."""


def by_search(runs: Sequence[AsyncRun]) -> Mapping[tuple[str, int], list[AsyncRun]]:
    """The runs by rule and number of workers, in this order."""
    found: dict[tuple[str, int], list[AsyncRun]] = {}
    for r in sorted(runs, key=lambda r: (RULES.index(r.rule), r.n_workers, r.seed)):
        found.setdefault((r.rule, r.n_workers), []).append(r)
    return found


def loss(own: Sequence[AsyncRun], alone: Sequence[AsyncRun]) -> float:
    """How much worse the median ends than that of one worker, as a share of the latter's gain.

    The gain is counted from `best_after_design`. NaN where half the runs of one worker found
    nothing feasible, or none was made.
    """
    if not alone:
        return math.nan
    final = quartiles([r.best_after(r.budget) for r in own])[1]
    final_alone = quartiles([r.best_after(r.budget) for r in alone])[1]
    gain = quartiles([r.best_after_design for r in alone])[1] - final_alone
    return (final - final_alone) / gain if 0.0 < gain < math.inf else math.nan


def table(runs: Sequence[AsyncRun]) -> str:
    """Markdown: a row for each rule and number of workers; medians over the seeds."""
    found = by_search(runs)
    rows = [
        "| rule | workers | seeds | best: median (quartiles) | best after the design, or first "
        "| loss against 1 worker with this rule, with ours | first feasible | trials of designs "
        "| halvings, restarts | the same, authors' rule replayed | virtual time "
        "| duplicates, disagreements | seconds per ask |",
        "|" + "---|" * 13,
    ]
    for (rule, n_workers), own in found.items():
        own_base = "authors" if rule == "authors" else "ours"
        losses = [loss(own, found.get((base, 1), [])) for base in (own_base, "ours")]
        first = quartiles([r.best[0][0] if r.best else math.inf for r in own])[1]
        rows.append(
            f"| {rule} | {n_workers} | {len(own)} "
            f"| {_spread(own, lambda r: r.best_after(r.budget))} "
            f"| {_spread(own, lambda r: r.best_after_design)} | {_percents(losses)} | {first:g} "
            f"| {quartiles([r.n_initial for r in own])[1]:g} "
            f"| {_moved([r.lengths for r in own])} | {_moved([r.replayed for r in own])} "
            f"| {quartiles([r.makespan for r in own])[1]:.0f} "
            f"| {sum(r.n_duplicates for r in own)}, {sum(r.n_disagreements for r in own)} "
            f"| {quartiles([r.ask_seconds[-1] / r.budget for r in own])[1]:.3f} |"
        )
    return "\n".join(rows)


def _moved(lengths: Sequence[Sequence[float]]) -> str:
    """Medians of the halvings and of the restarts."""
    return ", ".join(f"{quartiles(n)[1]:g}" for n in zip(*map(moves, lengths), strict=True))


def _spread(own: Sequence[AsyncRun], measure: Callable[[AsyncRun], float]) -> str:
    low, median, high = quartiles([measure(r) for r in own])
    return f"{median:.4g} ({low:.4g} to {high:.4g})"


def _percents(shares: Sequence[float]) -> str:
    return ", ".join("unknown" if math.isnan(s) else f"{100.0 * s:.1f} %" for s in shares)


def draw(runs: Sequence[AsyncRun], folder: Path) -> list[Path]:
    """Best value by number of workers, and the box of SHOWN_WORKERS workers. Their paths."""
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    paths = []
    for kind, draw_one in [("best", _draw_best), ("length", _draw_length)]:
        figure = draw_one(plt, by_search(runs))
        figure.tight_layout()
        paths.append(folder / f"asynchrony_{kind}.png")
        figure.savefig(paths[-1], dpi=110)
        plt.close(figure)
    return paths


def _draw_best(plt: Any, found: Mapping[tuple[str, int], list[AsyncRun]]) -> Any:
    rules = [rule for rule in DRAWN if any(key[0] == rule for key in found)]
    figure, axes = plt.subplots(
        1, len(rules), figsize=(4.8 * len(rules), 3.6), sharey=True, squeeze=False
    )
    colours = dict(zip(N_WORKERS, ["#000000", "#0072B2", "#D55E00", "#009E73"], strict=True))
    for ax, rule in zip(axes[0], rules, strict=True):
        for (_, n_workers), own in ((k, v) for k, v in found.items() if k[0] == rule):
            values = [[r.best_after(n + 1) for n in range(r.budget)] for r in own]
            label = f"{n_workers} worker{'s' if n_workers > 1 else ''}"
            _draw_band(ax, values, label, colours.get(n_workers))
        ax.set_title(DRAWN[rule], fontsize=10)
        ax.set_xlabel("evaluations")
        ax.grid(alpha=0.25)
        ax.legend(frameon=False, fontsize=8)
    axes[0, 0].set_ylabel("best feasible value")
    return figure


def _draw_length(plt: Any, found: Mapping[tuple[str, int], list[AsyncRun]]) -> Any:
    """Every run a line: a median of boxes that restart at different times shows none of them."""
    figure, axes = plt.subplots(1, 3, figsize=(10.5, 3.4), sharex=True, sharey=True)
    ours = found.get(("ours", SHOWN_WORKERS), [])
    authors = found.get(("authors", SHOWN_WORKERS), [])
    for ax, (label, colour, lengths) in zip(
        axes,
        [
            ("our rule", "#0072B2", [r.lengths for r in ours]),
            ("the authors' rule on the same results", "#E69F00", [r.replayed for r in ours]),
            ("the authors' rule, searched with", "#D55E00", [r.lengths for r in authors]),
        ],
        strict=True,
    ):
        for own in lengths:
            n = range(1, len(own) + 1)
            ax.step(n, own, where="post", color=colour, linewidth=1, alpha=0.5)
        ax.axhline(LENGTH_MIN, color="#999999", linestyle=":", linewidth=1)
        ax.set_title(label, fontsize=10)
        ax.set_xlabel("evaluations")
        ax.grid(alpha=0.25)
    axes[0].set_yscale("log", base=2)
    axes[0].set_ylabel(f"side of the box, {SHOWN_WORKERS} workers")
    return figure


def _draw_band(ax: Any, values: Sequence[Sequence[float]], label: str, colour: str | None) -> None:
    """Median and quartiles of (n_seeds, n_evaluations), from where the median is finite."""
    bands = np.array([quartiles(column) for column in zip(*values, strict=True)])
    n = np.arange(1, len(bands) + 1)
    is_shown = np.isfinite(bands[:, 1])
    if not is_shown.any():
        return
    top = bands[is_shown][np.isfinite(bands[is_shown])].max()
    (line,) = ax.plot(n[is_shown], bands[is_shown, 1], color=colour, label=label, linewidth=1.4)
    low, high = bands[is_shown, 0], np.minimum(bands[is_shown, 2], top)
    ax.fill_between(n[is_shown], low, high, color=line.get_color(), alpha=0.15, linewidth=0)


def main() -> None:
    """Words to calls."""
    own = command("asynchrony", __doc__)
    own.parser.add_argument("--workers", type=int, nargs="+", default=N_WORKERS)
    own.parser.add_argument("--rule", nargs="+", default=RULES, choices=RULES)
    arguments = own.arguments(lambda search, name, seed: run(search, problem_named(name), seed))
    if arguments is None:
        return
    searches = [
        f"{rule}-w{n}"
        for rule in arguments.rule
        for n in arguments.workers
        if rule != "alone" or n == SHOWN_WORKERS
    ]
    own.run_missing(arguments, searches, [PROBLEM])
    runs = read_async_runs(arguments.results)
    problem = PROBLEMS[PROBLEM]
    print(f"{PROBLEM}, {problem.budget} evaluations, a design of {problem.n_startup_trials}\n")
    print(table(runs))
    for path in draw(runs, arguments.results.parent):
        print(f"figure: {path}")


if __name__ == "__main__":
    main()
