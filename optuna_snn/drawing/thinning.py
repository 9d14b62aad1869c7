"""Pictures of long studies with fewer points, for pages that are sent them again and again."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TypeVar

import numpy as np

from optuna_snn.drawing.pictures import Band, Line, Marks, Panel, Picture

__all__ = ["thinned"]

T = TypeVar("T")


def thinned(picture: Picture, most: int) -> Picture:
    """Return the picture with some `most` points, at most, of each of its marks, lines and bands.

    The first and the last point stay, and an even selection of those between. Lines lose no step,
    and no gap, where what remains of them is short enough without the points that change nothing.
    A note says whether points are missing. Raises ValueError for fewer than 2 points.
    """
    if most < 2:
        raise ValueError(f"Need most >= 2 points, got {most}.")
    panels = [_thinned_panel(panel, most) for panel in picture.panels]
    n_before, n_after = (sum(map(_n_marks, each)) for each in (picture.panels, panels))
    notes = [*picture.notes]
    if n_after < n_before:
        notes.append(f"Drawn: an even selection, {n_after:,} of {n_before:,} marks.")
    return replace(picture, panels=panels, notes=notes)


def _n_marks(panel: Panel) -> int:
    return sum(len(marks.x) for marks in panel.marks)


def _thinned_panel(panel: Panel, most: int) -> Panel:
    return replace(
        panel,
        marks=[_thinned_marks(marks, most) for marks in panel.marks],
        lines=[_thinned_line(line, most) for line in panel.lines],
        bands=[_thinned_band(band, most) for band in panel.bands],
    )


def _thinned_marks(marks: Marks, most: int) -> Marks:
    chosen = _even(len(marks.x), most)
    return replace(
        marks,
        x=_at(marks.x, chosen),
        y=_at(marks.y, chosen),
        hover=_at(marks.hover, chosen),
        x_range=_at(marks.x_range, chosen),
    )


def _thinned_line(line: Line, most: int) -> Line:
    if len(line.x) <= most:
        return line
    kept = _without_repetitions(line) if line.is_step else list(range(len(line.x)))
    gaps = {i for i in kept if line.y[i] is None}
    chosen = {kept[k] for k in _even(len(kept), most)}
    # A gap stays one, between the points that it keeps apart.
    chosen |= {j for i in gaps for j in (i - 1, i, i + 1) if 0 <= j < len(line.x)}
    order = sorted(chosen)
    return replace(line, x=_at(line.x, order), y=_at(line.y, order))


def _thinned_band(band: Band, most: int) -> Band:
    chosen = _even(len(band.x), most)
    return replace(
        band, x=_at(band.x, chosen), low=_at(band.low, chosen), high=_at(band.high, chosen)
    )


def _without_repetitions(line: Line) -> list[int]:
    """The points of a step line at which it changes, and the last one before each change."""
    y = line.y
    last = len(y) - 1
    return [i for i in range(len(y)) if i in (0, last) or y[i] != y[i - 1] or y[i + 1] != y[i]]


def _even(n: int, most: int) -> list[int]:
    """At most `most` of the indices below n, as far apart as can be, the first and last among."""
    if n <= most:
        return list(range(n))
    return [int(i) for i in np.linspace(0, n - 1, most).round()]


def _at(values: Sequence[T], chosen: Sequence[int]) -> Sequence[T]:
    """The values at these places; none where there were none, as of marks without words."""
    return [values[i] for i in chosen] if len(values) else values
