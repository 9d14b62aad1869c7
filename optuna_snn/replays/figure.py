"""The figure of a study's replays: what a rule saves, and what it costs, over beta.

Three panels share the silent share beta that is tolerated: samples saved, networks stopped, and
good networks lost; those of which the study does not know are a band. One line per alpha.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator, PercentFormatter

from optuna_snn.drawing.palette import hex_of
from optuna_snn.replays.study import Replay

__all__ = ["draw_replays", "save_replay_figure"]

COLOURS = tuple(
    hex_of(colour, "light")
    for colour in ("blue", "orange", "green", "red", "purple", "sky", "ink")
)
MARKERS = ("o", "s", "^", "D", "v", "P", "X")


def save_replay_figure(replays: Sequence[Replay], path: Path) -> Path:
    """Draw replays of one study and save them as a PNG at `path`, which is returned."""
    figure = draw_replays(replays)
    FigureCanvasAgg(figure)
    figure.savefig(path, dpi=150)
    return path


def draw_replays(replays: Sequence[Replay]) -> Figure:
    """The figure of replays of one study; one whose beta is as run stands at the left, at 0."""
    figure = Figure(figsize=(10.5, 3.4), layout="constrained")
    saved, stopped, lost = figure.subplots(1, 3)
    alphas = sorted({r.settings.alpha for r in replays}, key=lambda a: a or 0)
    for i, alpha in enumerate(alphas):
        own = sorted(
            (r for r in replays if r.settings.alpha == alpha), key=lambda r: r.settings.beta or 0.0
        )
        style = {
            "color": COLOURS[i % len(COLOURS)],
            "marker": MARKERS[i % len(MARKERS)],
            "label": "alpha as run" if alpha is None else f"alpha {alpha}",
        }
        _draw_alpha(saved, stopped, lost, own, style)
    saved.set_ylabel("samples saved")
    saved.yaxis.set_major_formatter(PercentFormatter(xmax=1.0, decimals=0))
    stopped.set_ylabel("networks stopped (band: unknown)")
    lost.set_ylabel(f"good networks lost (of {replays[0].n_good}; band: unknown)")
    lost.yaxis.set_major_locator(MaxNLocator(integer=True))
    stopped.yaxis.set_major_locator(MaxNLocator(integer=True))
    for ax in (saved, stopped, lost):
        ax.set_xlabel("tolerated silent share beta")
        ax.grid(alpha=0.25)
    saved.legend(frameon=False, fontsize=9)
    return figure


def _draw_alpha(
    saved: Axes, stopped: Axes, lost: Axes, own: Sequence[Replay], style: dict[str, str]
) -> None:
    betas = [r.settings.beta or 0.0 for r in own]
    known = [(b, r.samples_saved / r.samples_planned) for b, r in zip(betas, own, strict=True)
             if r.samples_planned]  # fmt: skip
    saved.plot([b for b, _ in known], [share for _, share in known], **style)  # type: ignore[arg-type]
    for ax, least, n_unknown in (
        (stopped, [r.n_stopped for r in own], [r.n_unknown for r in own]),
        (lost, [r.n_good_lost for r in own], [r.n_good_unknown for r in own]),
    ):
        ax.plot(betas, least, **style)  # type: ignore[arg-type]
        most = [n + more for n, more in zip(least, n_unknown, strict=True)]
        ax.fill_between(betas, least, most, color=style["color"], alpha=0.15, linewidth=0)
