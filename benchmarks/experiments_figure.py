"""The figure of `benchmarks.experiments`: accuracy over evaluations and seconds, and silence.

A panel for the best feasible validation accuracy over evaluations, one for the same over seconds
of one core, and one for the share of silent networks among the last WINDOW evaluations. Lines are
medians over the seeds, bands the quartiles.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.ticker import PercentFormatter
from numpy.typing import NDArray

from benchmarks.experiments_kept import Search, Trials
from benchmarks.experiments_table import groups
from benchmarks.runs import quartiles

__all__ = ["draw", "save_figure"]

Array = NDArray[np.float64]

COLOURS = {"scbo": "#0072B2", "tpe": "#D55E00", "random": "#999999"}
LINES = {"sequential": "-", "paper": "--", "record": ":"}
WINDOW = 30
N_MARKS = 200


def save_figure(searches: Sequence[Search], experiment: int, folder: Path) -> Path | None:
    """Draw the searches of an experiment as `experiment_<number>.png`; None if there are none.

    Of several settings the one with most searches is drawn.
    """
    settings = groups(searches, experiment)
    if not settings:
        return None
    compared = max(settings.values(), key=lambda each: sum(map(len, each.values())))
    figure = draw(list(compared.values()))
    FigureCanvasAgg(figure)
    path = folder / f"experiment_{experiment}.png"
    figure.savefig(path, dpi=150)
    return path


def draw(compared: Sequence[Sequence[Search]]) -> Figure:
    """The figure; each of `compared` are the searches of one sampler and rule."""
    figure = Figure(figsize=(12, 3.8), layout="constrained")
    by_evaluations, by_seconds, silence = figure.subplots(1, 3)
    for own in compared:
        trials = [s.trials for s in own]
        c = own[0].combination
        style = {
            "color": COLOURS[c.sampler],
            "linestyle": LINES[c.rule],
            "label": f"{c.sampler}, {c.rule}",
        }
        n = min(t.n for t in trials)
        evaluations = np.arange(1, n + 1, dtype=float)
        _draw(by_evaluations, evaluations, [np.array(t.best_so_far[:n]) for t in trials], style)
        # A line ends where the first of its seeds ends.
        seconds = np.linspace(0.0, min(t.elapsed_seconds[-1] for t in trials), N_MARKS)
        _draw(by_seconds, seconds, [_best_at(t, seconds) for t in trials], style)
        window = min(WINDOW, n)
        recent = [np.convolve(t.is_silent[:n], np.ones(window) / window, "valid") for t in trials]
        _draw(silence, evaluations[window - 1 :], recent, style)
    by_evaluations.set_xlabel("evaluations")
    by_seconds.set_xlabel("seconds of one core")
    silence.set_xlabel("evaluations")
    by_evaluations.set_ylabel("best feasible validation accuracy")
    silence.set_ylabel(f"silent among the last {WINDOW}")
    for ax in (by_evaluations, by_seconds, silence):
        ax.yaxis.set_major_formatter(PercentFormatter(xmax=1.0, decimals=0))
        ax.grid(alpha=0.25)
    for ax in (by_evaluations, by_seconds):
        _leave_out_the_rise(ax, compared)
    silence.set_ylim(0.0, 1.02)
    by_evaluations.legend(frameon=False, fontsize=8, loc="lower right")
    return figure


def _best_at(trials: Trials, seconds: Array) -> Array:
    ended = np.searchsorted(trials.elapsed_seconds, seconds, side="right")
    return np.concatenate([[0.0], trials.best_so_far])[ended]


def _draw(ax: Axes, x: Array, curves: Sequence[Array], style: dict[str, str]) -> None:
    bands = np.array([quartiles(column.tolist()) for column in np.stack(curves, axis=1)])
    low, median, high = bands.T
    ax.plot(x, median, **style)  # type: ignore[arg-type]
    ax.fill_between(x, low, high, color=style["color"], alpha=0.12, linewidth=0)


def _leave_out_the_rise(ax: Axes, compared: Sequence[Sequence[Search]]) -> None:
    """Show the accuracies from half of the best one on: below lie the first few trials."""
    best = max(s.trials.best_so_far[-1] for own in compared for s in own)
    if best > 0:
        ax.set_ylim(best / 2, min(1.0, best + 0.05))
