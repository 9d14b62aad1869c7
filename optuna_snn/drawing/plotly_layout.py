"""The axes and the legend of a panel, as plotly's layout has them."""

from __future__ import annotations

import html
import math
from typing import Any

from optuna_snn.drawing.palette import PAPERS, Theme
from optuna_snn.drawing.pictures import Axis, Panel
from optuna_snn.drawing.plan import Plan

__all__ = ["RUG_AXES", "key", "panel_layout"]

RUG_AXES = 100
"""Number of the first axis of rugs, behind those of the panels."""
FEW = 10
"""Whole numbers of which each has its tick."""


def key(name: str, i: int) -> str:
    """Plotly's name of the i-th axis or legend: "xaxis", "xaxis2", ..."""
    return name if i == 0 else f"{name}{i + 1}"


def panel_layout(panel: Panel, plan: Plan, i: int, theme: Theme) -> dict[str, Any]:
    """The axes and the legend of the i-th panel, by their names in the layout."""
    paper = PAPERS[theme]
    (left, right), (foot, top) = plan.x_domain(i), plan.y_domain(i)
    look = {
        "showline": True,
        "linecolor": paper.axis,
        "ticks": "outside",
        "tickcolor": paper.axis,
        "ticklen": 4,
        "zeroline": False,
    }
    x = look | _axis(panel.x, is_empty=not plan.has_x(i))
    y = look | _axis(panel.y, is_empty=not plan.has_y(i))
    if panel.x.is_whole and plan.x_span(i) <= FEW:
        x["dtick"] = 1  # halves would be told as whole numbers
    if panel.y.is_whole and panel.y.range and panel.y.range[1] - panel.y.range[0] <= FEW:
        y["dtick"] = 1
    x |= {"domain": [left, right], "anchor": key("y", i), "showgrid": False}
    y |= {"domain": [foot, top], "anchor": key("x", i), "gridcolor": paper.grid}
    for axis, letter, master in ((x, "x", plan.x_master(i)), (y, "y", plan.y_master(i))):
        if master != i:
            axis |= {"matches": key(letter, master), "showticklabels": False, "title": None}
    layout = {key("xaxis", i): x, key("yaxis", i): y}
    if panel.labels:  # plotly.js before version 3 loses a legend where another one is empty
        layout[key("legend", i)] = {
            "orientation": "h",
            "x": left,
            "xanchor": "left",
            "y": top + plan.share(4),
            "yanchor": "bottom",
            "font": {"size": 12},
            "bgcolor": "rgba(0,0,0,0)",
            "itemsizing": "trace",
        }
    if any(marks.rug_row is not None for marks in panel.marks):
        layout[f"yaxis{RUG_AXES + i}"] = {
            "overlaying": key("y", i),
            "anchor": key("x", i),
            "range": [0, 1],
            "visible": False,
            "fixedrange": True,
        }
    return layout


def _axis(axis: Axis, *, is_empty: bool) -> dict[str, Any]:
    """What plotly shall know of an axis itself."""
    found: dict[str, Any] = {
        "title": {
            "text": html.escape(axis.title).replace("\n", "<br>"),
            "standoff": 8,
            "font": {"size": 13},
        },
        "type": "linear" if axis.scale == "linear" else "log",
        "showticklabels": not is_empty,
    }
    if is_empty:
        found |= {"ticks": "", "showgrid": False}
    elif axis.scale == "log2":
        # Powers of 2, which plotly's logarithmic axes do not know.
        powers = range(-20, 21)
        found |= {"tickvals": [2.0**p for p in powers], "ticktext": [_power(p) for p in powers]}
    if axis.is_share:
        found["tickformat"] = ".0%"
    elif axis.is_whole:
        found["tickformat"] = ",d"
    if axis.range is not None:
        # Plotly wants the exponents of a logarithmic range.
        is_linear = axis.scale == "linear"
        found["range"] = [end if is_linear else math.log10(end) for end in axis.range]
    return found


def _power(power: int) -> str:
    return f"{2**power:,}" if power >= 0 else f"1/{2**-power:,}"
