"""Pictures drawn by plotly."""

from __future__ import annotations

import html
from typing import TYPE_CHECKING, Any

from optuna_snn.drawing.palette import PAPERS, Colour, Theme, checked_theme, hex_of
from optuna_snn.drawing.pictures import (
    RUG_ROW,
    Band,
    Line,
    Marks,
    Panel,
    Picture,
    Symbol,
)
from optuna_snn.drawing.plan import BOTTOM, LEFT, RIGHT, WIDTH, Plan
from optuna_snn.drawing.plotly_layout import RUG_AXES, key, panel_layout

if TYPE_CHECKING:
    from plotly.graph_objects import Figure

__all__ = ["draw_with_plotly"]

SYMBOLS: dict[Symbol, str] = {
    "circle": "circle",
    "ring": "circle-open",
    "x": "x-thin-open",
    "triangle": "triangle-down",
    "bar": "line-ns-open",
    "cross": "x",
    "plus": "cross",
    "dot": "circle",
    "square": "square",
}
FONT = "Helvetica Neue, Helvetica, Arial, sans-serif"
MOST_SVG_POINTS = 5_000
"""Points of a picture beyond which its marks are drawn by WebGL."""


def draw_with_plotly(picture: Picture, theme: str = "light") -> Figure:
    """Draw a picture; ValueError for an unknown theme, ImportError without plotly."""
    try:
        import plotly.graph_objects as go
    except ModuleNotFoundError as error:
        if error.name is None or not error.name.startswith("plotly"):
            raise
        raise ImportError(
            "Figures of optuna_snn.visualization are drawn by plotly, which is not installed: "
            "pip install 'optuna-snn[figures]'."
        ) from error

    chosen, plan, figure = checked_theme(theme), Plan(picture), go.Figure()
    paper = PAPERS[chosen]
    n_points = sum(len(marks.x) for panel in picture.panels for marks in panel.marks)
    scatter = go.Scattergl if n_points > MOST_SVG_POINTS else go.Scatter
    for i, panel in enumerate(picture.panels):
        pen = _Pen(go, scatter, figure, i, chosen, has_legend=bool(panel.labels))
        pen.draw(panel, plan)
    figure.update_layout(
        title={
            "text": f"<b>{html.escape(picture.title)}</b>",
            "x": LEFT / WIDTH,
            "xanchor": "left",
            "y": 1.0 - 14 / plan.height,
            "yanchor": "top",
            "font": {"size": 16},
        },
        width=None,
        height=plan.height,
        margin={"l": LEFT, "r": RIGHT, "t": plan.top, "b": plan.bottom, "autoexpand": False},
        paper_bgcolor=paper.background,
        plot_bgcolor=paper.background,
        font={"family": FONT, "size": 13, "color": hex_of("ink", chosen)},
        hovermode="closest",
        template="none",
    )
    if plan.note_lines:
        figure.add_annotation(
            text="<br>".join(html.escape(line) for line in plan.note_lines),
            x=0,
            y=0,
            xref="paper",
            yref="paper",
            yshift=-(BOTTOM - 4),
            xanchor="left",
            yanchor="top",
            align="left",
            showarrow=False,
            font={"size": 12, "color": hex_of("grey", chosen)},
        )
    return figure


class _Pen:
    """Draws the i-th panel of a figure."""

    def __init__(
        self, go: Any, scatter: Any, figure: Figure, i: int, theme: Theme, *, has_legend: bool
    ) -> None:
        self._go, self._scatter, self._figure = go, scatter, figure
        self._i, self._theme = i, theme
        self._place = {"xaxis": key("x", i), "yaxis": key("y", i)}
        if has_legend:
            self._place["legend"] = key("legend", i)

    def draw(self, panel: Panel, plan: Plan) -> None:
        for band in panel.bands:
            self._draw_band(band)
        for line in panel.lines:
            self._draw_line(line)
        for marks in panel.marks:
            self._draw_marks(marks)
        self._figure.update_layout(panel_layout(panel, plan, self._i, self._theme))
        self._write_words(panel, plan)
        if not panel.has_y:
            # Plotly leaves out axes that no trace has, and with them what lies over them.
            self._figure.add_trace(
                self._go.Scatter(
                    x=[None],
                    y=[None],
                    mode="lines",
                    line={"width": 0},
                    showlegend=False,
                    **self._place,
                )
            )

    def _draw_marks(self, marks: Marks) -> None:
        is_rug = marks.rug_row is not None
        y = [((marks.rug_row or 0) + 0.5) * RUG_ROW] * len(marks.x) if is_rug else [*marks.y]
        colour = self._hex(marks.colour)
        is_thin = marks.symbol in ("x", "bar", "ring")
        place = self._place | ({"yaxis": f"y{RUG_AXES + self._i}"} if is_rug else {})
        error = None
        if marks.x_range:
            error = {
                "type": "data",
                "symmetric": False,
                "array": [high - x for x, (_, high) in zip(marks.x, marks.x_range, strict=True)],
                "arrayminus": [
                    x - low for x, (low, _) in zip(marks.x, marks.x_range, strict=True)
                ],
                "thickness": 1,
                "width": 0,
            }
        self._figure.add_trace(
            self._scatter(
                x=[*marks.x],
                y=y,
                mode="markers",
                name=html.escape(marks.label),
                showlegend=bool(marks.label),
                text=[html.escape(words).replace("\n", "<br>") for words in marks.hover] or None,
                hoverinfo="text" if marks.hover else "x+y" if not is_rug else "x",
                error_x=error,
                marker={
                    "symbol": SYMBOLS[marks.symbol],
                    "size": marks.size,
                    "color": colour,
                    "opacity": 1.0 if is_thin else 0.85,
                    "line": {"width": 1.6 if is_thin else 0.0, "color": colour},
                },
                **place,
            )
        )

    def _draw_line(self, line: Line) -> None:
        colour = self._hex(line.colour)
        self._figure.add_trace(
            self._go.Scatter(
                x=[*line.x],
                y=[*line.y],
                mode="lines",
                name=html.escape(line.label),
                showlegend=bool(line.label),
                connectgaps=False,
                line={
                    "color": colour,
                    "width": line.width,
                    "shape": "hv" if line.is_step else "linear",
                    "dash": "dash" if line.is_dashed else "solid",
                },
                fill="tozeroy" if line.is_filled else None,
                fillcolor=_tinted(colour),
                hoverinfo="x+y+name" if line.label else "x+y",
                **self._place,
            )
        )

    def _draw_band(self, band: Band) -> None:
        colour = self._hex(band.colour)
        for y, is_upper in ((band.low, False), (band.high, True)):
            self._figure.add_trace(
                self._go.Scatter(
                    x=[*band.x],
                    y=[*y],
                    mode="lines",
                    name=html.escape(band.label),
                    showlegend=is_upper and bool(band.label),
                    line={
                        "width": 0,
                        "color": colour,
                        "shape": "hv" if band.is_step else "linear",
                    },
                    fill="tonexty" if is_upper else None,
                    fillcolor=_tinted(colour),
                    hoverinfo="skip",
                    **self._place,
                )
            )

    def _write_words(self, panel: Panel, plan: Plan) -> None:
        (left, right), (foot, top) = plan.x_domain(self._i), plan.y_domain(self._i)
        paper_place = {"xref": "paper", "yref": "paper", "showarrow": False}
        if panel.note:
            self._figure.add_annotation(
                text=html.escape(panel.note),
                x=(left + right) / 2,
                y=(foot + top) / 2,
                font={"color": self._hex("grey"), "size": 14},
                **paper_place,
            )
        if panel.title:
            self._figure.add_annotation(
                text=f"<b>{html.escape(panel.title)}</b>",
                x=left,
                xanchor="left",
                y=top + plan.share(6 + (26 if panel.labels else 0)),
                yanchor="bottom",
                font={"size": 13},
                **paper_place,
            )
        x, y = key("x", self._i), key("y", self._i)
        for event in panel.events:
            self._figure.add_shape(
                type="line",
                line={"color": self._hex("grey"), "width": 1, "dash": "dot"},
                x0=event.x,
                x1=event.x,
                xref=x,
                y0=0,
                y1=1,
                yref=f"{y} domain",
            )
            self._figure.add_annotation(
                text=html.escape(event.words),
                x=event.x,
                xref=x,
                xanchor="left",
                y=0,
                yref=f"{y} domain",
                yanchor="bottom",
                showarrow=False,
                font={"size": 11, "color": self._hex("grey")},
            )

    def _hex(self, colour: Colour) -> str:
        return hex_of(colour, self._theme)


def _tinted(code: str) -> str:
    """The colour, mostly transparent: what lies below stays visible."""
    red, green, blue = (int(code[k : k + 2], 16) for k in (1, 3, 5))
    return f"rgba({red},{green},{blue},0.16)"
