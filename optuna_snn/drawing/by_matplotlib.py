"""Pictures drawn by matplotlib, for PNG files."""

from __future__ import annotations

import math
from pathlib import Path

from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, LogLocator, MaxNLocator, NullLocator, PercentFormatter

from optuna_snn.drawing.palette import PAPERS, Theme, checked_theme, hex_of
from optuna_snn.drawing.pictures import RUG_ROW, Axis, Line, Marks, Panel, Picture, Symbol
from optuna_snn.drawing.plan import BOTTOM, LEFT, RIGHT, WIDTH, Plan, n_legend_lines

__all__ = ["draw_with_matplotlib", "save_png"]

PIXELS_PER_INCH = 100
"""Of the plan; a figure of WIDTH pixels is 9 inches wide."""
DOTS_PER_INCH = 200
MARKERS: dict[Symbol, str] = {
    "circle": "o",
    "ring": "o",
    "x": "x",
    "triangle": "v",
    "bar": "|",
    "cross": "X",
    "plus": "P",
    "dot": ".",
    "square": "s",
}


def save_png(picture: Picture, path: Path, theme: str = "light") -> Path:
    """Draw a picture and save it as a PNG at `path`, which is returned. It is 9 inches wide."""
    figure = draw_with_matplotlib(picture, theme)
    figure.savefig(path, dpi=DOTS_PER_INCH)
    return path


def draw_with_matplotlib(picture: Picture, theme: str = "light") -> Figure:
    """Draw a picture; ValueError for an unknown theme. Its axes are labelled "panel 0", ..."""
    chosen, plan = checked_theme(theme), Plan(picture)
    paper, ink = PAPERS[chosen], hex_of("ink", chosen)
    figure = Figure(
        figsize=(WIDTH / PIXELS_PER_INCH, plan.height / PIXELS_PER_INCH),
        facecolor=paper.background,
    )
    FigureCanvasAgg(figure)
    inner_width = WIDTH - LEFT - RIGHT
    axes: dict[int, Axes] = {}
    # Those that share an axis of another one come after it: it does not take over their limits.
    for i in sorted(
        range(len(picture.panels)), key=lambda i: (plan.x_master(i) != i) + (plan.y_master(i) != i)
    ):
        (left, right), (foot, top) = plan.x_domain(i), plan.y_domain(i)
        place = (
            (LEFT + left * inner_width) / WIDTH,
            (plan.bottom + foot * plan.inner_height) / plan.height,
            (right - left) * inner_width / WIDTH,
            (top - foot) * plan.inner_height / plan.height,
        )
        axes[i] = figure.add_axes(
            place,
            label=f"panel {i}",
            sharex=None if plan.x_master(i) == i else axes[plan.x_master(i)],
            sharey=None if plan.y_master(i) == i else axes[plan.y_master(i)],
        )
    for i, panel in enumerate(picture.panels):
        ax = axes[i]
        _draw_panel(ax, panel, chosen, has_x=plan.has_x(i), has_y=plan.has_y(i))
        if plan.x_master(i) != i:
            ax.tick_params(labelbottom=False)
            ax.set_xlabel("")
        if plan.y_master(i) != i:
            ax.tick_params(labelleft=False)
            ax.set_ylabel("")
    figure.text(
        LEFT / WIDTH,
        1 - 14 / plan.height,
        _plain(picture.title),
        va="top",
        fontsize=11.5,
        fontweight="bold",
        color=ink,
    )
    if plan.note_lines:
        figure.text(
            LEFT / WIDTH,
            (plan.bottom - BOTTOM) / plan.height,
            _plain("\n".join(plan.note_lines)),
            va="top",
            fontsize=8.0,
            linespacing=1.35,
            color=hex_of("grey", chosen),
        )
    return figure


def _draw_panel(ax: Axes, panel: Panel, theme: Theme, *, has_x: bool, has_y: bool) -> None:
    paper, ink, grey = PAPERS[theme], hex_of("ink", theme), hex_of("grey", theme)
    ax.set_facecolor(paper.background)
    ax.spines[["top", "right"]].set_visible(False)
    ax.spines[["left", "bottom"]].set_color(paper.axis)
    ax.tick_params(colors=paper.axis, labelcolor=ink, labelsize=9, which="both")
    ax.grid(axis="y", color=paper.grid)
    ax.set_axisbelow(True)
    for band in panel.bands:
        ax.fill_between(
            band.x,
            band.low,
            band.high,
            color=hex_of(band.colour, theme),
            alpha=0.16,
            linewidth=0,
            step="post" if band.is_step else None,
            label=_plain(band.label),
        )
    for line in panel.lines:
        _draw_line(ax, line, theme)
    for marks in panel.marks:
        _draw_marks(ax, marks, theme)
    _set_axis(ax, "x", panel.x, is_empty=not has_x)
    _set_axis(ax, "y", panel.y, is_empty=not has_y)
    ax.set_xlabel(_plain(panel.x.title), color=ink, fontsize=9.5)
    ax.set_ylabel(_plain(panel.y.title), color=ink, fontsize=9.5)
    for event in panel.events:
        ax.axvline(event.x, color=grey, linewidth=0.8, linestyle=":")
        words = f" {_plain(event.words)}"
        place = ax.get_xaxis_transform()
        ax.text(event.x, 0.02, words, va="bottom", transform=place, color=grey, fontsize=8.0)
    if panel.note:
        ax.text(0.5, 0.5, _plain(panel.note), transform=ax.transAxes, ha="center", color=grey)
    if panel.labels:
        ax.legend(
            loc="lower left",
            bbox_to_anchor=(-0.01, 1.0),
            ncols=math.ceil(len(panel.labels) / n_legend_lines(panel)),
            frameon=False,
            fontsize=8.5,
            labelcolor=ink,
            columnspacing=1.4,
            handletextpad=0.5,
            borderaxespad=0.2,
        )
    if panel.title:
        pad = 22.0 if panel.labels else 5.0
        ax.set_title(_plain(panel.title), loc="left", fontsize=9.5, fontweight="bold", color=ink,
                     pad=pad)  # fmt: skip


def _draw_line(ax: Axes, line: Line, theme: Theme) -> None:
    colour = hex_of(line.colour, theme)
    y = [float("nan") if value is None else value for value in line.y]
    ax.plot(
        line.x,
        y,
        color=colour,
        linewidth=line.width * 0.8,
        linestyle="--" if line.is_dashed else "-",
        drawstyle="steps-post" if line.is_step else "default",
        label=_plain(line.label),
    )
    if line.is_filled:
        ax.fill_between(
            line.x,
            y,
            color=colour,
            alpha=0.16,
            linewidth=0,
            step="post" if line.is_step else None,
        )


def _draw_marks(ax: Axes, marks: Marks, theme: Theme) -> None:
    colour = hex_of(marks.colour, theme)
    is_rug = marks.rug_row is not None
    y = [((marks.rug_row or 0) + 0.5) * RUG_ROW] * len(marks.x) if is_rug else [*marks.y]
    is_thin = marks.symbol in ("x", "bar")
    if marks.x_range:
        lows, highs = zip(*marks.x_range, strict=True)
        ax.hlines(y, lows, highs, color=colour, linewidth=0.8)
    ax.scatter(
        marks.x,
        y,
        s=(marks.size * 0.78) ** 2,
        marker=MARKERS[marks.symbol],
        facecolors="none" if marks.symbol == "ring" else colour,
        edgecolors=None if is_thin else colour if marks.symbol == "ring" else "none",
        linewidths=1.3 if is_thin or marks.symbol == "ring" else 0.0,
        alpha=1.0 if is_thin else 0.85,
        label=_plain(marks.label),
        zorder=3,
        transform=ax.get_xaxis_transform() if is_rug else ax.transData,
    )
    if is_rug:  # whose transform keeps it from widening the x axis
        ax.update_datalim([(x, 0.0) for x in marks.x], updatey=False)
        ax.autoscale_view(scaley=False)


def _set_axis(ax: Axes, letter: str, axis: Axis, *, is_empty: bool) -> None:
    if axis.scale != "linear":
        ax.set(**{f"{letter}scale": "log"})
        ticks = ax.xaxis if letter == "x" else ax.yaxis
        is_binary = axis.scale == "log2"
        ticks.set_major_locator(LogLocator(base=2 if is_binary else 10))
        words = _fraction if is_binary else lambda value, _: f"{value:g}"
        ticks.set_major_formatter(FuncFormatter(words))
        ticks.set_minor_locator(NullLocator() if is_binary else LogLocator(subs=(2.0, 5.0)))
        ticks.set_minor_formatter(FuncFormatter(words))
    ticks = ax.xaxis if letter == "x" else ax.yaxis
    if axis.is_share:
        ticks.set_major_formatter(PercentFormatter(xmax=1.0, decimals=0))
    elif axis.is_whole:
        ticks.set_major_locator(MaxNLocator(integer=True, steps=[1, 2, 5, 10]))
        ticks.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.0f}"))
    if axis.range is not None:
        ax.set(**{f"{letter}lim": axis.range})
    if is_empty:
        ticks.set_ticks([])


def _fraction(value: float, _: object) -> str:
    return f"1/{1 / value:,.0f}" if value < 1 else f"{value:,.0f}"


def _plain(words: str) -> str:
    """Words in which matplotlib finds no mathematics."""
    return words.replace("$", r"\$")
