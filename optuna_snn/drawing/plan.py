"""Where the panels of a picture stand, in pixels and in shares of the drawing."""

from __future__ import annotations

import math
import textwrap
from dataclasses import dataclass, replace
from functools import cached_property

from optuna_snn.drawing.pictures import Panel, Picture

__all__ = ["WIDTH", "Plan", "at_height", "n_legend_lines"]

WIDTH = 900
"""Pixels of a drawing that is not told another width; heights do not depend on it."""
LEFT, RIGHT, TOP, BOTTOM = 92, 24, 54, 58
"""Margins: room for titles and ticks of the outer axes, and for the picture's title."""
LEGEND_HEIGHT, LEGEND_LINE = 28, 18
SHARED_GAP, FULL_GAP, COLUMN_GAP, SHARED_COLUMN_GAP = 18, 66, 84, 30
NOTE_LINE, NOTE_GAP = 17, 8
NOTE_CHARACTERS = 118
"""Of a line of the notes."""


LEAST_HEIGHT = 24
"""Of a panel that is made lower, in pixels."""


def at_height(picture: Picture, height: int) -> Picture:
    """Return the picture with panels as high as makes the whole drawing `height` pixels high.

    It is higher only where its panels would have less than LEAST_HEIGHT otherwise.
    """
    plan = Plan(picture)
    panels = sum(plan.row_heights)
    factor = max(0, height - (plan.height - panels)) / panels
    return replace(
        picture,
        panels=[
            replace(panel, height=max(LEAST_HEIGHT, int(panel.height * factor)))
            for panel in picture.panels
        ],
    )


@dataclass(frozen=True)
class Plan:
    """The places of a picture's panels, which fill its rows in turn."""

    picture: Picture

    @cached_property
    def note_lines(self) -> list[str]:
        """The notes, wrapped."""
        return [
            line for note in self.picture.notes for line in textwrap.wrap(note, NOTE_CHARACTERS)
        ]

    @cached_property
    def _rows(self) -> list[list[Panel]]:
        panels, n = list(self.picture.panels), self.picture.columns
        return [panels[first : first + n] for first in range(0, len(panels), n)]

    @cached_property
    def _heads(self) -> list[int]:
        return [max(_head_height(panel) for panel in row) for row in self._rows]

    @cached_property
    def row_heights(self) -> list[int]:
        """Of the axes alone, in pixels."""
        return [max(panel.height for panel in row) for row in self._rows]

    @cached_property
    def _gaps(self) -> list[int]:
        """Pixels above the axes of each row, up to the row before."""
        gap = SHARED_GAP if self.picture.shares_x else FULL_GAP
        return [0, *(gap + head for head in self._heads[1:])]

    @property
    def inner_height(self) -> int:
        """Pixels from the top of the first axes to the foot of the last."""
        return sum(self.row_heights) + sum(self._gaps)

    @property
    def top(self) -> int:
        """Pixels above the first axes."""
        return TOP + self._heads[0]

    @property
    def bottom(self) -> int:
        """Pixels below the last axes."""
        n = len(self.note_lines)
        return BOTTOM + (n * NOTE_LINE + NOTE_GAP if n else 0)

    @property
    def height(self) -> int:
        """Of the whole drawing, in pixels."""
        return self.top + self.inner_height + self.bottom

    def y_domain(self, i: int) -> tuple[float, float]:
        """Foot and top of a panel's axes, as shares of `inner_height` from below."""
        row = i // self.picture.columns
        above = sum(self.row_heights[:row]) + sum(self._gaps[: row + 1])
        top = 1.0 - above / self.inner_height
        return max(0.0, top - self.row_heights[row] / self.inner_height), top

    def x_domain(self, i: int) -> tuple[float, float]:
        """Left and right end of a panel's axes, as shares of the inner width."""
        n = self.picture.columns
        pixels = SHARED_COLUMN_GAP if self.picture.shares_y else COLUMN_GAP
        gap = pixels / (WIDTH - LEFT - RIGHT)
        width = (1.0 - gap * (n - 1)) / n
        left = (i % n) * (width + gap)
        return left, min(1.0, left + width)

    def x_master(self, i: int) -> int:
        """The panel whose x axis this one shares: itself where it has one of its own."""
        if not self.picture.shares_x:
            return i
        n, n_panels = self.picture.columns, len(self.picture.panels)
        return i + n * ((n_panels - 1 - i) // n)

    def y_master(self, i: int) -> int:
        """The panel whose y axis this one shares, likewise."""
        return i - i % self.picture.columns if self.picture.shares_y else i

    def has_x(self, i: int) -> bool:
        """Whether a panel that shares this one's x axis has anything to draw."""
        panels = enumerate(self.picture.panels)
        return any(p.has_data for k, p in panels if self.x_master(k) == self.x_master(i))

    def has_y(self, i: int) -> bool:
        """Whether a panel that shares this one's y axis has anything that stands at a y."""
        panels = enumerate(self.picture.panels)
        return any(p.has_y for k, p in panels if self.y_master(k) == self.y_master(i))

    def x_span(self, i: int) -> float:
        """From the least to the largest x of all panels that share this one's x axis."""
        x: list[float] = []
        for k, panel in enumerate(self.picture.panels):
            if self.x_master(k) == self.x_master(i):
                for places in (panel.marks, panel.lines, panel.bands):
                    x += [value for each in places for value in each.x]
        return max(x) - min(x) if x else 0.0

    def share(self, pixels: float) -> float:
        """So many pixels as a share of `inner_height`."""
        return pixels / self.inner_height


def _head_height(panel: Panel) -> int:
    """Pixels above a panel, for its title and its legend; a legend of many labels has two rows."""
    n = n_legend_lines(panel)
    legend = LEGEND_HEIGHT + (n - 1) * LEGEND_LINE if n else 0
    return legend + (LEGEND_HEIGHT if panel.title else 0)


def n_legend_lines(panel: Panel) -> int:
    """Lines that its legend takes, 0 where it has none."""
    return math.ceil(sum(len(label) + 7 for label in panel.labels) / NOTE_CHARACTERS)
