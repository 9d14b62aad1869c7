"""What plotly draws, matplotlib draws: the same numbers at the same places."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from matplotlib.axes import Axes
from matplotlib.collections import PathCollection

from optuna_snn.drawing.by_matplotlib import draw_with_matplotlib
from optuna_snn.drawing.by_plotly import draw_with_plotly
from optuna_snn.drawing.pictures import (
    Axis,
    Band,
    Event,
    Line,
    Marks,
    Panel,
    Picture,
    room_above_rugs,
)
from optuna_snn.drawing.plan import Plan
from optuna_snn.reports.figures import report_pictures
from optuna_snn.visualization.reading import read_study
from tests.visualization.studies import spiking_study

PICTURES = {
    "three rows": Picture(
        "a",
        "title",
        [
            Panel(Axis("x"), Axis("y"), [Marks("m", [1, 2], [3, 4], "blue")], height=100),
            Panel(
                Axis("x"),
                Axis("y", "log2"),
                lines=[Line("l", [1, 2, 3], [1.0, None, 0.5], "red", is_step=True)],
                events=[Event(2.0, "now")],
                height=200,
            ),
            Panel(Axis("x"), Axis("y"), note="nothing"),
        ],
        ["a note"],
        shares_x=True,
    ),
    "two columns": Picture(
        "b",
        "title",
        [
            Panel(Axis("x", "log"), Axis("y"), bands=[Band("b", [1, 9], [0, 1], [2, 2], "sky")]),
            Panel(Axis("x"), Axis("y"), [Marks("m", [1], [3], "blue", x_range=[(0, 5)])]),
            Panel(Axis("x"), Axis("y"), [Marks("r", [1, 5], (), "grey", "bar", rug_row=1)]),
        ],
        columns=2,
        shares_y=True,
    ),
}


def panels_of(picture: Picture) -> list[Axes]:
    """The panels that matplotlib draws, in their order."""
    axes = draw_with_matplotlib(picture).axes
    return sorted(axes, key=lambda ax: int(str(ax.get_label()).removeprefix("panel ")))


def places(figure: Any, n_panels: int) -> list[tuple[float, ...]]:
    """x0, x1, y0, y1 of each panel of a plotly figure, as shares of the drawing."""
    layout = figure.layout
    inner_width = 900 - layout.margin.l - layout.margin.r
    inner_height = layout.height - layout.margin.t - layout.margin.b
    found = []
    for i in range(1, n_panels + 1):
        name = "axis" if i == 1 else f"axis{i}"
        x, y = layout[f"x{name}"], layout[f"y{name}"]
        found.append(
            (
                *((layout.margin.l + share * inner_width) / 900 for share in x.domain),
                *((layout.margin.b + share * inner_height) / layout.height for share in y.domain),
            )
        )
    return found


@pytest.mark.parametrize("picture", PICTURES.values(), ids=PICTURES)
def test_panels_stand_at_the_same_places(picture: Picture) -> None:
    expected = [
        (ax.get_position().x0, ax.get_position().x1, ax.get_position().y0, ax.get_position().y1)
        for ax in panels_of(picture)
    ]
    np.testing.assert_allclose(
        places(draw_with_plotly(picture), len(picture.panels)), expected, atol=1e-9
    )


@pytest.mark.parametrize("picture", PICTURES.values(), ids=PICTURES)
def test_panels_do_not_overlap_and_have_their_heights(picture: Picture) -> None:
    plan = Plan(picture)
    for i, panel in enumerate(picture.panels):
        foot, top = plan.y_domain(i)
        row = [p for k, p in enumerate(picture.panels) if k // picture.columns ==
               i // picture.columns]  # fmt: skip
        assert (top - foot) * plan.inner_height == pytest.approx(max(p.height for p in row))
        assert 0.0 <= foot < top <= 1.0 and panel.height > 0
        for k in range(i + 1, len(picture.panels)):
            (left, right), (next_left, _) = plan.x_domain(i), plan.x_domain(k)
            assert plan.y_domain(k)[1] < foot or right < next_left or next_left < left


def test_every_figure_of_a_study_has_the_same_marks_and_lines_in_both() -> None:
    for picture in report_pictures(read_study(spiking_study())):
        by_plotly = draw_with_plotly(picture).data
        marks = sorted(
            tuple(zip(each.x, each.y, strict=True)) for each in by_plotly if each.mode == "markers"
        )
        axes = panels_of(picture)
        drawn = [c for ax in axes for c in ax.collections if isinstance(c, PathCollection)]
        points = sorted(
            tuple((float(x), float(y)) for x, y in np.asarray(each.get_offsets()))
            for each in drawn
        )
        assert len(marks) == len(points)
        for one, other in zip(marks, points, strict=True):
            np.testing.assert_allclose(one, other)
        # Lines of bands have no width; matplotlib makes them areas.
        lines = [each for each in by_plotly if each.mode == "lines" and each.line.width]
        curves = [
            line for ax in axes for line in ax.lines if len(np.asarray(line.get_xdata())) > 0
        ]
        n_events = sum(len(panel.events) for panel in picture.panels)
        assert len(curves) == len(lines) + n_events
        for line, curve in zip(lines, curves, strict=False):
            np.testing.assert_allclose(np.asarray(curve.get_xdata(), dtype=float), line.x)
            expected = [np.nan if y is None else y for y in line.y]
            np.testing.assert_allclose(np.asarray(curve.get_ydata(), dtype=float), expected)


def test_every_label_stands_in_both_legends() -> None:
    for picture in report_pictures(read_study(spiking_study())):
        by_plotly = {each.name for each in draw_with_plotly(picture).data if each.showlegend}
        by_matplotlib = {
            text.get_text()
            for ax in panels_of(picture)
            if (legend := ax.get_legend()) is not None
            for text in legend.get_texts()
        }
        wanted = {label for panel in picture.panels for label in panel.labels}
        assert by_plotly == by_matplotlib == wanted


def test_axes_that_are_shared_show_all_that_shares_them() -> None:
    """The last of the three rows is empty, and has the ticks of them all."""
    picture = PICTURES["three rows"]
    for ax in panels_of(picture):
        low, high = ax.get_xlim()
        assert low <= 1 and 3 <= high < 4
    last = panels_of(picture)[-1]
    assert len(last.get_xticks()) > 1 and len(last.get_yticks()) == 0
    layout = draw_with_plotly(picture).layout
    assert layout.xaxis.matches == layout.xaxis2.matches == "x3"
    assert layout.xaxis3.showticklabels and not layout.yaxis3.showticklabels


@pytest.mark.parametrize(("last", "dtick"), [(2, 1), (10, 1), (11, None), (5000, None)])
def test_whole_numbers_have_no_ticks_between_them(last: int, dtick: int | None) -> None:
    marks = [Marks("m", [0, last], [0.0, 1.0], "blue")]
    picture = Picture("a", "title", [Panel(Axis("x", is_whole=True), Axis("y"), marks)])
    assert draw_with_plotly(picture).layout.xaxis.dtick == dtick
    ticks = panels_of(picture)[0].get_xticks()
    assert np.array_equal(ticks, np.round(ticks))


def test_plotly_has_a_trace_on_the_axes_of_every_panel() -> None:
    """It does not draw axes without one, nor a rug that lies over them."""
    rug = Panel(Axis("x"), Axis("y"), [Marks("r", [1, 5], (), "grey", "bar", rug_row=0)])
    line = Panel(Axis("x"), Axis("y"), lines=[Line("l", [1, 2], [1, 2], "red")])
    empty = Panel(Axis("x"), Axis("y", "log2"), note="nothing")
    figure = draw_with_plotly(Picture("a", "title", [rug, line, empty]))
    assert {(each.xaxis, each.yaxis) for each in figure.data} == {
        ("x", "y"), ("x", "y100"), ("x2", "y2"), ("x3", "y3")
    }  # fmt: skip
    assert figure.layout.yaxis3.showgrid is False and figure.layout.yaxis3.tickvals is None


def test_lines_with_a_gap_are_broken() -> None:
    figure = draw_with_plotly(PICTURES["three rows"])
    assert list(figure.data[1].y) == [1.0, None, 0.5] and figure.data[1].connectgaps is False


def test_a_logarithmic_range_is_given_in_exponents_to_plotly_alone() -> None:
    panel = Panel(
        Axis("x", "log", range=(0.1, 100.0)), Axis("y"), [Marks("", [1.0], [1.0], "blue")]
    )
    picture = Picture("a", "title", [panel])
    assert draw_with_plotly(picture).layout.xaxis.range == (-1.0, 2.0)
    assert panels_of(picture)[0].get_xlim() == (0.1, 100.0)


@pytest.mark.parametrize("values", [[1.0, 2.0], [-3.0, 5.0], [7.0, 7.0], [0.0]])
def test_a_rug_has_room_below_all_values(values: list[float]) -> None:
    marks = [
        Marks("v", list(range(len(values))), values, "blue"),
        Marks("r", [0.0], (), "grey", rug_row=2),
    ]
    panel = room_above_rugs(Panel(Axis("x"), Axis("y"), marks))
    assert panel.y.range is not None
    low, high = panel.y.range
    assert low + 3 * 0.05 * (high - low) < min(values) and max(values) < high
