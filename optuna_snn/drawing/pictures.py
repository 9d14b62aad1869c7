"""What a figure shows, as data: panels of marks, lines and bands, drawn by plotly or matplotlib.

What a figure shows is worked out once, by whoever knows the data, and drawn by
`by_plotly` (which answers the hand that points: hover, zoom, pages) and by `by_matplotlib` (for
PNG files, which plotly cannot make without a browser). Both draw the same numbers.

Words
    picture   a whole figure: panels in rows and columns, a title, notes below
    panel     one pair of axes
    rug       marks without a value, in rows at the foot of a panel
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

from optuna_snn.drawing.palette import Colour

__all__ = [
    "RUG_ROW",
    "Axis",
    "Band",
    "Event",
    "Line",
    "Marks",
    "Panel",
    "Picture",
    "room_above_rugs",
]

Symbol = Literal["circle", "ring", "x", "triangle", "bar", "cross", "plus", "dot", "square"]

RUG_ROW = 0.05
"""Height of a row of a rug, as a share of the panel."""
ROOM = 0.05
"""Between the outermost marks and the ends of an axis, likewise."""


@dataclass(frozen=True)
class Marks:
    """Points, one for each (x, y).

    label:    in the legend; empty for marks that need none
    hover:    what is told of each point, or nothing
    x_range:  (low, high) of each point, where x is known within bounds only
    rug_row:  the row of a rug in which they stand, counted from the foot; their y is not used
    """

    label: str
    x: Sequence[float]
    y: Sequence[float]
    colour: Colour
    symbol: Symbol = "circle"
    hover: Sequence[str] = ()
    size: float = 7.0
    x_range: Sequence[tuple[float, float]] = ()
    rug_row: int | None = None


@dataclass(frozen=True)
class Line:
    """A line through points; `is_step` holds each y until the next x. None in y breaks it."""

    label: str
    x: Sequence[float]
    y: Sequence[float | None]
    colour: Colour
    is_step: bool = False
    is_filled: bool = False
    """Whether the area down to 0 is tinted."""
    is_dashed: bool = False
    width: float = 2.0


@dataclass(frozen=True)
class Band:
    """The tinted area between `low` and `high`."""

    label: str
    x: Sequence[float]
    low: Sequence[float]
    high: Sequence[float]
    colour: Colour
    is_step: bool = False


@dataclass(frozen=True)
class Event:
    """A thin line from foot to top of a panel, at an x, with its words."""

    x: float
    words: str


@dataclass(frozen=True)
class Axis:
    """Title (with its unit), scale and range of an axis."""

    title: str
    scale: Literal["linear", "log", "log2"] = "linear"
    is_share: bool = False
    """Whether ticks are per cent."""
    is_whole: bool = False
    """Whether ticks are whole numbers."""
    range: tuple[float, float] | None = None


@dataclass(frozen=True)
class Panel:
    """One pair of axes. `note` stands in the middle of one that has nothing to show."""

    x: Axis
    y: Axis
    marks: Sequence[Marks] = ()
    lines: Sequence[Line] = ()
    bands: Sequence[Band] = ()
    events: Sequence[Event] = ()
    title: str = ""
    note: str = ""
    height: int = 320
    """In pixels, axes alone."""

    @property
    def has_data(self) -> bool:
        """Whether there is anything to draw."""
        return bool(self.marks or self.lines or self.bands)

    @property
    def has_y(self) -> bool:
        """Whether anything of it stands at a y, and not in a rug alone."""
        return bool(self.lines or self.bands) or any(m.rug_row is None for m in self.marks)

    @property
    def n_rug_rows(self) -> int:
        """Rows of rugs at its foot."""
        return max((m.rug_row + 1 for m in self.marks if m.rug_row is not None), default=0)

    @property
    def labels(self) -> list[str]:
        """What its legend says, in order."""
        drawn: list[Band | Line | Marks] = [*self.bands, *self.lines, *self.marks]
        return [each.label for each in drawn if each.label]


@dataclass(frozen=True)
class Picture:
    """A figure.

    notes:     below it, in small print: what is not shown, and why
    columns:   panels beside each other; they fill the rows in turn
    shares_x:  whether panels of a column have one x axis, told below the last
    shares_y:  whether panels of a row have one y axis, told beside the first
    """

    name: str
    """Of the file it is saved in."""
    title: str
    panels: Sequence[Panel]
    notes: Sequence[str] = ()
    columns: int = 1
    shares_x: bool = False
    shares_y: bool = False


def room_above_rugs(panel: Panel) -> Panel:
    """The panel with a y range that keeps marks and lines off its rugs; linear axes only."""
    y = [v for marks in panel.marks if marks.rug_row is None for v in marks.y]
    y += [v for line in panel.lines for v in line.y if v is not None]
    if not panel.n_rug_rows or not y:
        return panel
    low, high = min(y), max(y)
    span = (high - low) or abs(high) or 1.0
    foot = panel.n_rug_rows * RUG_ROW + ROOM
    full = span / (1.0 - foot - ROOM)
    return replace(panel, y=replace(panel.y, range=(low - foot * full, high + ROOM * full)))
