"""Panels side by side in one figure of plotly, as JSON values: no plotly is needed for that.

The dashboard's own copy of plotly.js draws them. Texts are grey and nothing has a background, so
that figures suit its light and its dark mode.
https://plotly.com/javascript/reference/layout/
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

__all__ = ["Axis", "Panel", "figure"]

TEXT, LINES = "#7F7F7F", "rgba(127,127,127,0.25)"
N_COLUMNS = 3
X_GAP, Y_GAP = 0.12, 0.2
"""Between panels, as a share of the figure: room for the ticks and titles of the axes."""
RUG_HEIGHT = 0.1
"""Of the strip at a panel's foot, for trials that have no value, as a share of the panel."""


@dataclass(frozen=True)
class Axis:
    """An axis of a panel; `options` are plotly's, of `layout.xaxis`."""

    title: str
    options: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Panel:
    """One set of axes.

    traces: plotly's, without axes
    rug:    traces whose marks stand in a strip at the foot of the panel, all y alike
    """

    x: Axis
    y: Axis
    traces: Sequence[dict[str, Any]]
    rug: Sequence[dict[str, Any]] = ()


def figure(title: str, panels: Sequence[Panel], **layout: Any) -> str:
    """Return a figure with these panels, in rows of N_COLUMNS, as the JSON that plotly.js reads.

    title:  above the figure
    layout: further entries of plotly's layout

    Raises ValueError for a value that JSON does not know, such as an infinite one.
    """
    n_columns = min(N_COLUMNS, len(panels))
    n_rows = -(-len(panels) // n_columns)
    data: list[dict[str, Any]] = []
    axes: dict[str, Any] = {}
    for index, panel in enumerate(panels):
        row, column = divmod(index, n_columns)
        left, right = _span(column, n_columns, X_GAP)
        bottom, top = _span(n_rows - 1 - row, n_rows, Y_GAP)
        _place(panel, 2 * index + 1, (left, right), (bottom, top), data, axes)
    look = {
        "title": {"text": title, "font": {"size": 14}, "x": 0.01, "xanchor": "left"},
        "font": {"color": TEXT, "size": 11},
        "paper_bgcolor": "rgba(0,0,0,0)",
        "plot_bgcolor": "rgba(0,0,0,0)",
        "margin": {"l": 72, "r": 28, "t": 75, "b": 45},
        "legend": {"orientation": "h", "x": 0, "y": 1.02, "yanchor": "bottom"},
        "hovermode": "closest",
        # The dashboard draws anew every few seconds: zoom and hidden marks stay as they are.
        "uirevision": "marks",
    }
    return json.dumps({"data": data, "layout": look | axes | layout}, allow_nan=False)


def _span(index: int, n: int, gap: float) -> tuple[float, float]:
    """From where to where the panel of this index, of n, reaches along one side."""
    size = (1.0 - gap * (n - 1)) / n
    start = index * (size + gap)
    return start, start + size


def _place(
    panel: Panel,
    first: int,
    x_domain: tuple[float, float],
    y_domain: tuple[float, float],
    data: list[dict[str, Any]],
    axes: dict[str, Any],
) -> None:
    """Add the panel's traces to `data`, and its axes, the first of this number, to `axes`."""
    x, y, rug_y = _named("x", first), _named("y", first), _named("y", first + 1)
    bottom, top = y_domain
    foot = bottom + (top - bottom) * RUG_HEIGHT if panel.rug else bottom
    style = {"gridcolor": LINES, "zeroline": False, "linecolor": LINES}
    axes[_layout_name(x)] = (
        style
        | {
            "domain": list(x_domain),
            "anchor": rug_y if panel.rug else y,
            "title": {"text": panel.x.title, "standoff": 4},
        }
        | panel.x.options
    )
    axes[_layout_name(y)] = (
        style
        | {"domain": [foot, top], "anchor": x, "title": {"text": panel.y.title, "standoff": 4}}
        | panel.y.options
    )
    if panel.rug:
        axes[_layout_name(rug_y)] = style | {
            "domain": [bottom, foot],
            "anchor": x,
            "range": [-1, 1],
            "fixedrange": True,
            "showgrid": False,
            "showticklabels": False,
        }
    for traces, axis in ((panel.traces, y), (panel.rug, rug_y)):
        data.extend({**trace, "xaxis": x, "yaxis": axis} for trace in traces)


def _named(letter: str, number: int) -> str:
    """Plotly's name of an axis in traces: x, x2, x3, ..."""
    return letter if number == 1 else f"{letter}{number}"


def _layout_name(name: str) -> str:
    return f"{name[0]}axis{name[1:]}"
