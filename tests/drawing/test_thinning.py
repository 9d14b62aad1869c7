"""Pictures with fewer points, and lower ones, against the pictures that they were made of."""

from __future__ import annotations

import bisect
from collections.abc import Sequence
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from optuna_snn.drawing.pictures import Axis, Band, Line, Marks, Panel, Picture
from optuna_snn.drawing.plan import LEAST_HEIGHT, Plan, at_height
from optuna_snn.drawing.thinning import thinned
from optuna_snn.reports.figures import report_pictures
from optuna_snn.visualization.reading import read_study
from tests.helpers import repeatable
from tests.visualization.studies import spiking_study


def picture(*panels: Panel) -> Picture:
    return Picture("a", "title", panels, ["first note"])


def of_line(y: Sequence[float | None], *, is_step: bool) -> Picture:
    line = Line("l", list(range(len(y))), y, "blue", is_step=is_step)
    return picture(Panel(Axis("x"), Axis("y"), lines=[line]))


def height_at(line: Line, x: float) -> float | None:
    """The y of a step line at an x."""
    return line.y[bisect.bisect_right(line.x, x) - 1]


@repeatable
@given(st.integers(0, 200), st.integers(2, 60))
def test_marks_are_an_even_selection_with_their_words(n: int, most: int) -> None:
    marks = Marks("m", list(range(n)), [-i for i in range(n)], "blue",
                  hover=[f"trial {i}" for i in range(n)],
                  x_range=[(i - 1, i + 1) for i in range(n)])  # fmt: skip
    found = thinned(picture(Panel(Axis("x"), Axis("y"), [marks])), most)
    (kept,) = found.panels[0].marks
    assert len(kept.x) == min(n, most)
    assert kept.y == [-x for x in kept.x]
    assert kept.hover == [f"trial {x}" for x in kept.x]
    assert kept.x_range == [(x - 1, x + 1) for x in kept.x]
    if n > most:
        assert (kept.x[0], kept.x[-1]) == (0, n - 1)
        gaps = [b - a for a, b in pairwise(kept.x)]
        assert max(gaps) - min(gaps) <= 1 and min(gaps) >= 1
        note = f"Drawn: an even selection, {most} of {n} marks."
        assert found.notes == ["first note", note]
    else:
        assert found.notes == ["first note"]


@repeatable
@given(st.lists(st.sampled_from([0.5, 1.0, None]), max_size=60))
def test_step_lines_lose_no_step(y: list[float | None]) -> None:
    """Enough points are allowed for all the steps, and fewer than the line has."""
    n_changes = 2 * sum(a != b for a, b in pairwise(y)) + 2
    before = of_line(y, is_step=True).panels[0].lines[0]
    after = thinned(of_line(y, is_step=True), max(2, n_changes)).panels[0].lines[0]
    assert len(after.x) <= min(len(y), n_changes + 3 * y.count(None))
    assert [height_at(after, x) for x in before.x] == list(y)


@pytest.mark.parametrize("is_step", [True, False])
def test_a_gap_in_a_line_stays_one(is_step: bool) -> None:
    y: list[float | None] = [float(i) for i in range(100)]
    y[37] = None
    (line,) = thinned(of_line(y, is_step=is_step), 10).panels[0].lines
    place = line.x.index(37)
    assert line.y[place] is None
    assert (line.x[place - 1], line.x[place + 1]) == (36, 38)
    assert len(line.x) <= 13


def test_a_band_keeps_to_its_lines() -> None:
    x, low, high = list(range(100)), [i / 2 for i in range(100)], [2.0 * i for i in range(100)]
    lines = [Line("", x, low, "blue", is_step=True), Line("", x, high, "blue", is_step=True)]
    before = Panel(Axis("x"), Axis("y"), lines=lines, bands=[Band("", x, low, high, "green")])
    (panel,) = thinned(picture(before), 7).panels
    (band,) = panel.bands
    assert len(band.x) == 7 and list(band.low) == [i / 2 for i in band.x]
    assert [line.x for line in panel.lines] == [band.x, band.x]
    assert [line.y for line in panel.lines] == [band.low, band.high]


def test_short_pictures_are_left_as_they_are() -> None:
    for before in report_pictures(read_study(spiking_study())):
        after = thinned(before, 10_000)
        assert after.notes == list(before.notes)
        for one, other in zip(before.panels, after.panels, strict=True):
            assert [list(m.x) for m in one.marks] == [list(m.x) for m in other.marks]


def test_fewer_than_two_points_are_refused() -> None:
    with pytest.raises(ValueError, match="Need most >= 2 points, got 1"):
        thinned(picture(), 1)


@pytest.mark.parametrize("height", [450, 900])
def test_a_picture_has_the_height_that_is_asked_for(height: int) -> None:
    for before in report_pictures(read_study(spiking_study())):
        after = at_height(before, height)
        n_rows = len(Plan(before).row_heights)
        assert height - n_rows < Plan(after).height <= height
        factors = [a.height / b.height for a, b in zip(after.panels, before.panels, strict=True)]
        assert max(factors) - min(factors) < 0.02


def test_panels_stay_visible_where_the_height_is_too_small() -> None:
    for before in report_pictures(read_study(spiking_study())):
        assert {panel.height for panel in at_height(before, 10).panels} == {LEAST_HEIGHT}
