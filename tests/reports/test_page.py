"""The page of a report stands alone, says what the report says, and shows the same numbers."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from datetime import datetime
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import optuna
import pytest

from optuna_snn.drawing.by_plotly import draw_with_plotly
from optuna_snn.reports.figures import report_pictures
from optuna_snn.reports.page import save_page
from optuna_snn.reports.study_report import study_report
from optuna_snn.visualization.reading import read_study
from tests.visualization.studies import ODD, complete, spiking_study

NOW = datetime(2026, 1, 2, 3, 4)


class Reader(HTMLParser):
    """Collects what a page loads, its words, and its scripts."""

    def __init__(self) -> None:
        super().__init__()
        self.loads: list[str] = []
        self.ids: set[str] = set()
        self.words: list[str] = []
        self.scripts: list[str] = []
        self._open = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self._open = tag
        self.loads += [value or "" for name, value in attrs if name in ("src", "href")]
        self.ids |= {value or "" for name, value in attrs if name == "id"}

    def handle_endtag(self, tag: str) -> None:
        self._open = ""

    def handle_data(self, data: str) -> None:
        if self._open == "script":
            self.scripts.append(data)
        elif self._open != "style":
            self.words.append(data)


def page_of(study: optuna.Study, folder: Path) -> Reader:
    reading = read_study(study)
    path = save_page(
        study_report(reading, now=NOW), report_pictures(reading), folder / "report.html", NOW
    )
    reader = Reader()
    reader.feed(path.read_text(encoding="utf-8"))
    return reader


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Reader:
    return page_of(spiking_study(), tmp_path_factory.mktemp("page"))


def drawings(page: Reader) -> Any:
    (found,) = (script for script in page.scripts if script.startswith('{"overview"'))
    return json.loads(found)


def test_a_page_loads_nothing_and_holds_plotly_once(page: Reader) -> None:
    assert page.loads == []
    libraries = [script for script in page.scripts if len(script) > 1_000_000]
    assert len(libraries) == 1 and "plotly" in libraries[0][:200]


def test_every_figure_has_its_place_and_both_papers(page: Reader) -> None:
    found = drawings(page)
    assert found.keys() <= page.ids
    for picture in report_pictures(read_study(spiking_study())):
        for theme in ("light", "dark"):
            expected = json.loads(draw_with_plotly(picture, theme).to_json())
            assert found[picture.name][theme] == expected
    papers = [found["overview"][theme]["layout"]["paper_bgcolor"] for theme in ("light", "dark")]
    assert papers == ["#FFFFFF", "#16181D"]


def test_a_page_says_what_the_report_says(page: Reader) -> None:
    words = " ".join(page.words)
    report = study_report(read_study(spiking_study()), now=NOW)
    for fact in (*report.facts, *report.search):
        assert fact.name in words and fact.words in words
    for table in report.tables:
        assert table.title in words and table.note in words
        for row in table.rows:
            assert all(cell in words for cell in row)
    assert "2026-01-02 03:04" in words


@pytest.mark.parametrize("make", ODD.values(), ids=ODD)
def test_every_study_has_a_page(make: Callable[[], optuna.Study], tmp_path: Path) -> None:
    assert "Workers" in page_of(make(), tmp_path).words


def test_no_name_of_a_study_breaks_its_page(tmp_path: Path) -> None:
    evil = "</script><script>alert(1)</script> $title & <b>"
    study = optuna.create_study(study_name=evil)
    study.set_metric_names([evil])
    study.add_trial(complete(1.0))
    found = page_of(study, tmp_path)
    assert evil in " ".join(found.words)
    assert not any(re.match(r"\s*alert", script) for script in found.scripts)
    assert len(found.scripts) == 3


def test_data_hold_nothing_that_ends_a_script(page: Reader) -> None:
    """Titles hold markup of plotly's, and so `<`."""
    (stored,) = (script for script in page.scripts if script.startswith('{"overview"'))
    assert (
        "<" not in stored
        and "<b>" in drawings(page)["overview"]["light"]["layout"]["title"]["text"]
    )
