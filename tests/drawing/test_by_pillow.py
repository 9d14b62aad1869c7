"""Rasters as Pillow draws them: their pixels against the spikes, and against matplotlib."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from PIL import ImageColor

from optuna_snn.drawing.by_matplotlib import draw_with_matplotlib
from optuna_snn.drawing.by_pillow import _number, _ticks, draw_with_pillow
from optuna_snn.drawing.palette import PAPERS, Theme, hex_of
from optuna_snn.drawing.pictures import Axis, Line, Marks, Panel, Picture
from optuna_snn.rasters.pictures import layer_picture
from optuna_snn.rasters.record import raster_of
from tests.helpers import repeatable

N_STEPS, N_NEURONS = 100, 30


def picture_of(table: NDArray[Any], dt_ms: float | None = 1.0) -> Picture:
    return layer_picture(raster_of("out", table, dt_ms), "Trial 3: spikes of one sample, out")


def pixels_of(picture: Picture, theme: Theme = "light") -> NDArray[np.uint8]:
    return np.asarray(draw_with_pillow(picture, theme).convert("RGB"))


def is_of(pixels: NDArray[np.uint8], code: str) -> NDArray[np.bool_]:
    """(height, width) where a picture has exactly this colour."""
    found: NDArray[np.bool_] = (pixels == np.array(ImageColor.getrgb(code))).all(axis=-1)
    return found


def boxes(picture: Picture, shape: tuple[int, ...]) -> list[tuple[float, float, float, float]]:
    """Left, top, right, bottom of the axes that matplotlib draws, in pixels."""
    found = []
    for ax in sorted(draw_with_matplotlib(picture).axes, key=lambda ax: str(ax.get_label())):
        place = ax.get_position()
        height, width = shape[:2]
        found.append(
            (
                place.x0 * width,
                (1 - place.y1) * height,
                place.x1 * width,
                (1 - place.y0) * height,
            )
        )
    return found


@repeatable
@given(st.sets(st.tuples(st.integers(0, N_STEPS - 1), st.integers(0, N_NEURONS - 1)), min_size=1))
def test_every_spike_has_its_bar_and_there_is_no_other(spikes: set[tuple[int, int]]) -> None:
    table = np.zeros((N_STEPS, N_NEURONS))
    for spike in spikes:
        table[spike] = 1
    picture = picture_of(table)
    pixels = pixels_of(picture)
    left, top, right, bottom = boxes(picture, pixels.shape)[0]
    (x_low, x_high), (y_low, y_high) = (
        axis.range or (0.0, 0.0) for axis in (picture.panels[0].x, picture.panels[0].y)
    )
    steps, neurons = (np.array(each) for each in zip(*sorted(spikes), strict=True))
    columns = left + (steps - x_low) / (x_high - x_low) * (right - left)
    rows = bottom - (neurons - y_low) / (y_high - y_low) * (bottom - top)
    is_blue = is_of(pixels, hex_of("blue", "light"))
    assert is_blue[rows.round().astype(int), columns.round().astype(int)].all()
    found_rows, found_columns = np.nonzero(is_blue[: int(bottom)])
    for row, column in zip(found_rows, found_columns, strict=True):
        near = (abs(rows - row) <= 6) & (abs(columns - column) <= 2)
        assert near.any()


def test_the_step_line_stands_at_the_rate_of_each_bin() -> None:
    table = np.zeros((40, 1))
    table[[5, 6, 30]] = 1
    picture = picture_of(table)
    line, panel = picture.panels[1].lines[0], picture.panels[1]
    pixels = pixels_of(picture)
    left, top, right, bottom = boxes(picture, pixels.shape)[1]
    (x_low, x_high), (y_low, y_high) = (axis.range or (0.0, 0.0) for axis in (panel.x, panel.y))
    is_blue = is_of(pixels, hex_of("blue", "light"))
    assert max(y or 0.0 for y in line.y) == 1000.0  # a spike in 1 ms
    for start, end, y in zip(line.x, line.x[1:], line.y, strict=False):
        column = round(left + ((start + end) / 2 - x_low) / (x_high - x_low) * (right - left))
        row = bottom - ((y or 0.0) - y_low) / (y_high - y_low) * (bottom - top)
        found = np.nonzero(is_blue[int(top) :, column])[0] + int(top)
        assert abs(found.mean() - row) <= 1.5


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_axes_stand_where_matplotlib_has_them(theme: Theme) -> None:
    picture = picture_of(np.eye(50, 20))
    pixels = pixels_of(picture, theme)
    is_axis = is_of(pixels, PAPERS[theme].axis)
    for left, top, right, bottom in boxes(picture, pixels.shape):
        assert is_axis[round(top) + 1 : round(bottom), round(left)].all()
        assert is_axis[round(bottom), round(left) : round(right)].all()
    corners = pixels[[0, 0, -1, -1], [0, -1, 0, -1]]
    assert (corners == np.array(ImageColor.getrgb(PAPERS[theme].background))).all()


def test_words_are_written_in_ink_and_notes_in_grey() -> None:
    plain = picture_of(np.eye(50, 20))
    noted = replace(plain, notes=["a note"])
    for picture, has_note in ((plain, False), (noted, True)):
        pixels = pixels_of(picture)
        is_ink, is_grey = (is_of(pixels, hex_of(c, "light")) for c in ("ink", "grey"))
        assert is_ink[:40].any() and is_ink[:, :80].any()  # title, and what stands beside axes
        assert is_grey[-30:, 92:150].any() == has_note


def test_a_layer_without_a_spike_says_so() -> None:
    pixels = pixels_of(picture_of(np.zeros((10, 4))))
    left, top, right, bottom = map(round, boxes(picture_of(np.zeros((10, 4))), pixels.shape)[0])
    assert is_of(pixels, hex_of("grey", "light"))[top:bottom, left:right].any()
    assert not is_of(pixels, hex_of("blue", "light"))[top:bottom].any()


@pytest.mark.parametrize("shape", [(0, 5), (5, 0), (1, 1), (3000, 600)])
def test_tables_of_any_size_are_drawn(shape: tuple[int, int]) -> None:
    pixels = pixels_of(picture_of(np.ones(shape), dt_ms=None))
    assert pixels.shape[1] == 900


@repeatable
@given(
    st.floats(-1e4, 1e4),
    st.floats(1e-3, 1e5),
    st.integers(100, 900),
    st.integers(20, 90),
    st.booleans(),
)
def test_ticks_lie_within_the_axis_and_can_be_told_apart(
    low: float, span: float, n_pixels: int, pixels: int, is_whole: bool
) -> None:
    ticks = _ticks(Axis("x", range=(low, low + span), is_whole=is_whole), n_pixels, pixels)
    margin = 1e-6 * span
    assert all(low - margin <= tick <= low + span + margin for tick in ticks)
    assert all(b - a >= 0.999 * span * pixels / n_pixels for a, b in pairwise(ticks))
    assert len({_number(tick, ticks) for tick in ticks}) == len(ticks)
    if is_whole:
        assert all(tick == round(tick) for tick in ticks)
    else:
        assert len(ticks) >= n_pixels // (pixels * 2.6) - 1  # 2 to 5 is the widest step


@pytest.mark.parametrize(
    "panel",
    [
        Panel(Axis("x", range=(0, 1)), Axis("y", range=(0, 1)), [Marks("", [0], [0], "blue")]),
        Panel(Axis("x"), Axis("y"), [Marks("", [0], [0], "blue", "bar")]),
        Panel(Axis("x", "log", range=(1, 2)), Axis("y", range=(0, 1)),
              [Marks("", [1], [0], "blue", "bar")]),
        Panel(Axis("x", range=(0, 1)), Axis("y", range=(0, 1)),
              lines=[Line("", [0, 1], [0, 1], "blue")]),
        Panel(Axis("x", range=(0, 1)), Axis("y", range=(0, 1)),
              [Marks("label", [0], [0], "blue", "bar")]),
    ],
    ids=["circles", "no range", "logarithmic", "slopes", "a legend"],
)  # fmt: skip
def test_other_pictures_are_refused(panel: Panel) -> None:
    with pytest.raises(ValueError, match="draw other pictures by matplotlib"):
        draw_with_pillow(Picture("a", "title", [panel]))


def test_an_unknown_theme_is_refused() -> None:
    with pytest.raises(ValueError, match='theme must be "light" or "dark"'):
        draw_with_pillow(picture_of(np.ones((2, 2))), "blue")
