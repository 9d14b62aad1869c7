"""The figure of a study: objective values, silence and the trust region over the trials.

Colours are Okabe and Ito's, which stay apart for colour-blind readers; every kind of trial has a
marker of its own as well, so that the figure reads in black and white.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import optuna
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator, PercentFormatter
from optuna.trial import FrozenTrial, TrialState

from optuna_snn.history import read_tag
from optuna_snn.workers.budget import COUNTED_STATES
from optuna_snn.workers.display.progress import best_trials, constraint_names, is_feasible, kind_of

__all__ = ["draw_study", "save_study_figure"]

BLUE, ORANGE, GREEN, RED, PURPLE, GREY = (
    "#0072B2",
    "#E69F00",
    "#009E73",
    "#D55E00",
    "#CC79A7",
    "#7F7F7F",
)

WINDOW = 20
"""Finished trials over which the share of silent (or saturated) ones is averaged."""

RUG_ROW = 0.045
"""Height of a row of marks for trials without a value, as a share of the axes."""


def save_study_figure(study: optuna.Study, path: Path) -> Path:
    """Draw `study` and save it as a PNG at `path`, which is returned."""
    figure = draw_study(
        study.get_trials(deepcopy=False),
        direction=study.direction.name.lower(),
        metric_name=(study.metric_names or ["value"])[0],
        title=study.study_name,
    )
    FigureCanvasAgg(figure)
    figure.savefig(path, dpi=150)
    return path


def draw_study(
    trials: Sequence[FrozenTrial], *, direction: str, metric_name: str, title: str
) -> Figure:
    """The figure of a study with these trials, which may be of any state and number.

    Args:
        trials: all trials of the study.
        direction: "minimize" or "maximize".
        metric_name: what the objective value is called.
        title: above the figure.
    """
    lengths = _trust_region_lengths(trials)
    heights = [4.0, 1.3, 1.3] if lengths else [4.0, 1.3]
    figure = Figure(figsize=(9.0, 1.4 + sum(heights) * 0.85), layout="constrained")
    axes: list[Axes] = list(
        figure.subplots(len(heights), 1, sharex=True, squeeze=False, height_ratios=heights)[:, 0]
    )
    figure.suptitle(title, x=0.01, ha="left", fontsize=12, fontweight="bold")
    _draw_values(axes[0], trials, direction, metric_name)
    _draw_silent_share(axes[1], trials)
    if lengths:
        _draw_lengths(axes[2], lengths)
    for ax in axes:
        ax.spines[["top", "right"]].set_visible(False)
        ax.grid(axis="y", color="0.92")
        ax.set_axisbelow(True)
    axes[-1].set_xlabel("trial")
    axes[-1].xaxis.set_major_locator(MaxNLocator(integer=True))
    axes[-1].set_xlim(-0.5, max((trial.number for trial in trials), default=0) + 0.5)
    return figure


def _draw_values(
    ax: Axes, trials: Sequence[FrozenTrial], direction: str, metric_name: str
) -> None:
    names = constraint_names(trials)
    complete = [t for t in trials if t.state == TrialState.COMPLETE and _is_finite(t)]
    feasible = [t for t in complete if is_feasible(t, names)]
    infeasible = [t for t in complete if not is_feasible(t, names)]
    pruned = [t for t in trials if kind_of(t) == "pruned" and _is_finite(t)]
    for group, label, marker, colour in (
        (infeasible, "infeasible", "x", ORANGE),
        (pruned, "pruned", "v", PURPLE),
        (feasible, "feasible", "o", BLUE),
    ):
        if group:
            ax.scatter(
                [t.number for t in group],
                [_value(t) for t in group],
                s=26,
                marker=marker,
                color=colour,
                linewidths=1.3,
                label=f"{label} ({len(group)})",
            )
    _draw_best_line(ax, feasible, direction, last=max((t.number for t in trials), default=0))
    for row, (kind, marker, colour) in enumerate(
        (("silent", "|", GREY), ("failed", "X", RED), ("saturated", "P", PURPLE))
    ):
        numbers = [t.number for t in trials if kind_of(t) == kind]
        if numbers:
            ax.scatter(
                numbers,
                [(row + 0.5) * RUG_ROW] * len(numbers),
                s=36,
                marker=marker,
                color=colour,
                linewidths=1.5 if marker == "|" else 0.0,
                transform=ax.get_xaxis_transform(),
                label=f"{kind} ({len(numbers)})",
            )
    ax.set_ylabel(metric_name)
    ax.margins(y=0.16)
    if ax.get_legend_handles_labels()[0]:
        ax.legend(
            loc="lower center", bbox_to_anchor=(0.5, 1.0), ncols=6, frameon=False, fontsize=9
        )
    else:
        ax.text(0.5, 0.5, "no trial has finished", transform=ax.transAxes, ha="center", color=GREY)


def _draw_best_line(
    ax: Axes, feasible: Sequence[FrozenTrial], direction: str, *, last: int
) -> None:
    if not feasible:
        return
    ordered = sorted(feasible, key=lambda t: t.number)
    best = np.maximum if direction == "maximize" else np.minimum
    values = best.accumulate([_value(t) for t in ordered])
    ax.step(
        [*(t.number for t in ordered), last],
        [*values, values[-1]],
        where="post",
        color=GREEN,
        linewidth=1.8,
        label=f"best feasible ({values[-1]:.4g})",
    )
    top = best_trials(feasible, direction, 1)[0]
    ax.scatter([top.number], [_value(top)], s=110, facecolors="none", edgecolors=GREEN, zorder=3)


def _draw_silent_share(ax: Axes, trials: Sequence[FrozenTrial]) -> None:
    counted = sorted((t for t in trials if t.state in COUNTED_STATES), key=lambda t: t.number)
    kinds = [kind_of(t) for t in counted]
    is_stopped = np.array([kind in ("silent", "saturated") for kind in kinds], dtype=float)
    if is_stopped.size:
        total = np.concatenate([[0.0], np.cumsum(is_stopped)])
        end = np.arange(1, is_stopped.size + 1)
        start = np.maximum(0, end - WINDOW)
        share = (total[end] - total[start]) / (end - start)
        numbers = [t.number for t in counted]
        ax.plot(numbers, share, color=GREY, linewidth=1.6)
        ax.fill_between(numbers, share, color=GREY, alpha=0.18, linewidth=0)
    ax.set_ylim(0.0, 1.02)
    ax.yaxis.set_major_formatter(PercentFormatter(xmax=1.0, decimals=0))
    words = "silent or\nsaturated" if "saturated" in kinds else "silent"
    ax.set_ylabel(f"{words},\nlast {WINDOW}")


def _draw_lengths(ax: Axes, lengths: Sequence[tuple[int, float]]) -> None:
    numbers, values = zip(*lengths, strict=True)
    ax.step(numbers, values, where="post", color=BLUE, linewidth=1.4)
    ax.set_yscale("log", base=2)
    ax.set_ylabel("trust-region\nlength")


def _trust_region_lengths(trials: Sequence[FrozenTrial]) -> list[tuple[int, float]]:
    """(trial number, length of its box) of the trials that the sampler placed in a box."""
    tags = ((trial.number, read_tag(trial)) for trial in trials)
    return [
        (number, tag.tag.length)
        for number, tag in tags
        if tag is not None and not tag.tag.is_initial
    ]


def _is_finite(trial: FrozenTrial) -> bool:
    return trial.value is not None and bool(np.isfinite(trial.value))


def _value(trial: FrozenTrial) -> float:
    assert trial.value is not None  # callers keep trials with a finite value only
    return trial.value
