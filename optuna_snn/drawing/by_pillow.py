"""Pictures of rasters drawn by Pillow: many times as fast as by matplotlib, which loads it anyway.

It knows what rasters and firing rates consist of, in which all edges are vertical or horizontal:
marks that are bars, lines that are steps, linear axes with a range. Everything else is for
`by_matplotlib`, whose places, sizes and colours it keeps.
"""

from __future__ import annotations

import importlib.util
import math
from functools import cache
from itertools import pairwise
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageColor, ImageDraw, ImageFont

from optuna_snn.drawing.palette import PAPERS, Theme, checked_theme, hex_of
from optuna_snn.drawing.pictures import Axis, Line, Marks, Panel, Picture
from optuna_snn.drawing.plan import BOTTOM, LEFT, RIGHT, WIDTH, Plan

__all__ = ["draw_with_pillow"]

Font = ImageFont.FreeTypeFont | ImageFont.ImageFont
Box = tuple[int, int, int, int]
"""Left, top, right and bottom of a panel's axes, in pixels."""

TITLE, WORDS, TICKS, NOTES = 16, 13, 12, 11
"""Heights of letters, in pixels."""
TICK = 4
LINE_WIDTH = 2
TINT = 0.16
"""How much of its colour the area below a line has."""
MIN_PIXELS_X, MIN_PIXELS_Y = 80, 25
"""From tick to tick."""


def draw_with_pillow(picture: Picture, theme: str = "light") -> Image.Image:
    """Draw a picture of step lines and bars, WIDTH pixels wide; marks of a bar have no label.

    Raises ValueError for an unknown theme, and for a picture that needs `by_matplotlib`.
    """
    chosen, plan = checked_theme(theme), Plan(picture)
    for panel in picture.panels:
        _check(panel)
    paper = np.array(ImageColor.getrgb(PAPERS[chosen].background), dtype=np.uint8)
    pixels = np.tile(paper, (plan.height, WIDTH, 1))
    boxes = [_box(plan, i) for i in range(len(picture.panels))]
    for panel, box in zip(picture.panels, boxes, strict=True):
        _draw_data(pixels, panel, box, chosen)
    image = Image.fromarray(pixels)
    pen = ImageDraw.Draw(image)
    for i, (panel, box) in enumerate(zip(picture.panels, boxes, strict=True)):
        _draw_axes(image, pen, panel, box, chosen, has_x_words=plan.x_master(i) == i)
    ink, grey = hex_of("ink", chosen), hex_of("grey", chosen)
    pen.text((LEFT, 14), picture.title, fill=ink, font=_font(TITLE, is_bold=True))
    foot = plan.height - plan.bottom + BOTTOM
    pen.multiline_text(
        (LEFT, foot), "\n".join(plan.note_lines), fill=grey, font=_font(NOTES), spacing=4
    )
    return image


def _check(panel: Panel) -> None:
    is_known = (
        all(axis.scale == "linear" and axis.range is not None for axis in (panel.x, panel.y))
        and all(marks.symbol == "bar" and marks.rug_row is None for marks in panel.marks)
        and all(line.is_step and None not in line.y for line in panel.lines)
        and not (panel.bands or panel.events or panel.labels)
    )
    if panel.has_data and not is_known:
        raise ValueError(
            "Pillow draws bars and step lines without labels, on linear axes that have a range; "
            "draw other pictures by matplotlib."
        )


def _box(plan: Plan, i: int) -> Box:
    (left, right), (foot, top) = plan.x_domain(i), plan.y_domain(i)
    width = WIDTH - LEFT - RIGHT
    return (
        round(LEFT + left * width),
        round(plan.top + (1.0 - top) * plan.inner_height),
        round(LEFT + right * width),
        round(plan.top + (1.0 - foot) * plan.inner_height),
    )


def _draw_data(pixels: NDArray[np.uint8], panel: Panel, box: Box, theme: Theme) -> None:
    grid = ImageColor.getrgb(PAPERS[theme].grid)
    left, _, right, _ = box
    for y in _ticks(panel.y, box[3] - box[1], MIN_PIXELS_Y):
        pixels[_rows(panel, [y], box), left:right] = grid
    for line in panel.lines:
        _draw_line(pixels, line, panel, box, theme)
    for marks in panel.marks:
        _draw_marks(pixels, marks, panel, box, theme)


def _draw_marks(
    pixels: NDArray[np.uint8], marks: Marks, panel: Panel, box: Box, theme: Theme
) -> None:
    colour = ImageColor.getrgb(hex_of(marks.colour, theme))
    height = max(2, round(0.78 * marks.size))
    columns, rows = _columns(panel, marks.x, box), _rows(panel, marks.y, box)
    for down in range(height):
        for aside in (0, 1):
            row = np.clip(rows - height // 2 + down, box[1], box[3] - 1)
            pixels[row, np.clip(columns - aside, box[0], box[2] - 1)] = colour


def _draw_line(
    pixels: NDArray[np.uint8], line: Line, panel: Panel, box: Box, theme: Theme
) -> None:
    colour = np.array(ImageColor.getrgb(hex_of(line.colour, theme)))
    x, y = _columns(panel, line.x, box), _rows(panel, [v or 0.0 for v in line.y], box)
    ground = int(_rows(panel, [0.0], box)[0])
    if line.is_filled:
        for start, end, row in zip(x, x[1:], y, strict=False):
            area = pixels[min(row, ground) : max(row, ground), start:end]
            area[:] = (1.0 - TINT) * area + TINT * colour
    half = LINE_WIDTH // 2
    for k, (start, end) in enumerate(pairwise(x)):
        pixels[y[k] - half : y[k] + half, start - half : end + half] = colour
        low, high = sorted((int(y[k]), int(y[k + 1])))
        pixels[low - half : high + half, end - half : end + half] = colour


def _draw_axes(
    image: Image.Image, pen: ImageDraw.ImageDraw, panel: Panel, box: Box, theme: Theme,
    *, has_x_words: bool,
) -> None:  # fmt: skip
    left, top, right, bottom = box
    ink, axis = hex_of("ink", theme), PAPERS[theme].axis
    pen.line([(left, top), (left, bottom), (right, bottom)], fill=axis)
    font, words = _font(TICKS), _font(WORDS)
    xs, ys = (
        _ticks(panel.x, right - left, MIN_PIXELS_X),
        _ticks(panel.y, bottom - top, MIN_PIXELS_Y),
    )
    for x, column in zip(xs, _columns(panel, xs, box), strict=True):
        pen.line([(column, bottom), (column, bottom + TICK)], fill=axis)
        if has_x_words:
            place = (int(column), bottom + TICK + 4)
            pen.text(place, _number(x, xs), fill=ink, font=font, anchor="ma")
    for y, row in zip(ys, _rows(panel, ys, box), strict=True):
        pen.line([(left - TICK, row), (left, row)], fill=axis)
        pen.text((left - TICK - 4, int(row)), _number(y, ys), fill=ink, font=font, anchor="rm")
    if has_x_words:
        place = ((left + right) // 2, bottom + 28)
        pen.text(place, panel.x.title, fill=ink, font=words, anchor="ma")
    _write_upwards(image, panel.y.title, (left - 76, left - 44), (top + bottom) // 2, words, ink)
    title = _font(WORDS, is_bold=True)
    pen.text((left, top - 6), panel.title, fill=ink, font=title, anchor="ls")
    if panel.note:
        middle = ((left + right) // 2, (top + bottom) // 2)
        pen.text(middle, panel.note, fill=hex_of("grey", theme), font=words, anchor="mm")


def _write_upwards(
    image: Image.Image, words: str, columns: tuple[int, int], middle: int, font: Font, ink: str
) -> None:
    """Write lines of words from below upwards, with their middle at a row, between columns."""
    scratch = ImageDraw.Draw(Image.new("L", (1, 1)))
    _, _, width, height = map(math.ceil, scratch.multiline_textbbox((0, 0), words, font=font))
    text = Image.new("L", (width + 2, height + 4))
    ImageDraw.Draw(text).multiline_text((0, 0), words, fill=255, font=font, align="center")
    turned = text.transpose(Image.Transpose.ROTATE_90)
    left = (sum(columns) - turned.width) // 2
    image.paste(ink, (left, middle - turned.height // 2), turned)


def _columns(panel: Panel, x: object, box: Box) -> NDArray[np.int64]:
    low, high = panel.x.range or (0.0, 1.0)
    share = (np.asarray(x, dtype=float) - low) / (high - low)
    return (box[0] + share * (box[2] - box[0])).round().astype(np.int64)


def _rows(panel: Panel, y: object, box: Box) -> NDArray[np.int64]:
    low, high = panel.y.range or (0.0, 1.0)
    share = (np.asarray(y, dtype=float) - low) / (high - low)
    return (box[3] - share * (box[3] - box[1])).round().astype(np.int64)


def _ticks(axis: Axis, n_pixels: int, pixels: int) -> list[float]:
    """Multiples of 1, 2 or 5 times a power of 10 within the range; none on an empty axis."""
    if axis.range is None:
        return []
    low, high = axis.range
    least = (high - low) * pixels / n_pixels
    power = 10.0 ** math.floor(math.log10(least))
    step = next(m * power for m in (1.0, 2.0, 5.0, 10.0) if m * power >= least * (1.0 - 1e-9))
    if axis.is_whole:
        step = max(1.0, step)
    first, last = math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9)
    return [k * step for k in range(first, last + 1)]


def _number(value: float, ticks: list[float]) -> str:
    """A tick's number, with as many decimals as tell it from the next one."""
    step = ticks[1] - ticks[0] if len(ticks) > 1 else 1.0
    decimals = max(0, -math.floor(math.log10(step) + 1e-9))
    return f"{value:,.{decimals}f}"


@cache
def _font(size: int, *, is_bold: bool = False) -> Font:
    """The font of matplotlib, found without loading it; Pillow's own where it is elsewhere."""
    spec = importlib.util.find_spec("matplotlib")
    name = "DejaVuSans-Bold.ttf" if is_bold else "DejaVuSans.ttf"
    for folder in (spec.submodule_search_locations or []) if spec is not None else []:
        file = Path(folder, "mpl-data", "fonts", "ttf", name)
        if file.is_file():
            return ImageFont.truetype(file, size)
    return ImageFont.load_default(size)
