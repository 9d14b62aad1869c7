"""The dashboard as a user sees it: its pages in headless Chromium, on SQLite and on PostgreSQL.

Chromium is that of the system: `apt-get install chromium` on Debian; or the file that
OPTUNA_SNN_TEST_CHROMIUM names. Where there is none the tests are skipped, and say so, but fail
where OPTUNA_SNN_TEST_BROWSER=1 demands them.
"""

from __future__ import annotations

import os
import shutil
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import optuna
import pytest

from optuna_snn.dashboard import LOOPBACK, dashboard_app, open_view
from optuna_snn.dashboard.application import REFUSAL, WSGIApplication
from optuna_snn.dashboard.serving import bound_server
from tests.dashboard.conftest import (
    ARTIFACT_WIDTH,
    BEST,
    FAILED,
    FEASIBLE,
    INFEASIBLE,
    INFINITE,
    LACKING,
    MARKS,
    PRUNED,
    SILENT,
    Filled,
    plain_storage,
)
from tests.visualization.studies import spiking, spiking_study

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

pytestmark = pytest.mark.slow

PROGRAMS = ("chromium", "chromium-browser", "google-chrome")

NO_BROWSER = (
    "these tests need Chromium and Playwright: `apt-get install chromium` (or name its program by "
    "OPTUNA_SNN_TEST_CHROMIUM) and `pip install 'optuna-snn[dev]'`"
)

GREY = "#cccccc"
"""Of infeasible trials in the dashboard's own figures."""

FIGURES = """
() => Object.fromEntries([...document.querySelectorAll(".js-plotly-plot")].map((plot) => [
    plot.id,
    plot.data.map((trace) => ({
        name: trace.name ?? null,
        color: trace.marker?.color ?? null,
        x: [...(trace.x ?? [])],
        y: [...(trace.y ?? [])],
        points: plot.querySelectorAll(".point").length,
    })),
]))
"""
"""What plotly has drawn on the page: id of the figure -> its traces."""


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    program = os.environ.get("OPTUNA_SNN_TEST_CHROMIUM") or next(
        filter(None, map(shutil.which, PROGRAMS)), None
    )
    try:
        from playwright.sync_api import sync_playwright
    except ImportError:
        program = None
    if program is None:
        if os.environ.get("OPTUNA_SNN_TEST_BROWSER", "0") not in ("", "0"):
            pytest.fail(NO_BROWSER)
        pytest.skip(NO_BROWSER)
    # Chromium's own sandbox does not run as root, which containers are.
    arguments = ["--no-sandbox"] if os.geteuid() == 0 else []
    with sync_playwright() as playwright:
        found = playwright.chromium.launch(executable_path=program, args=arguments)
        yield found
        found.close()


@contextmanager
def served(app: WSGIApplication) -> Iterator[str]:
    """Serve the application; where its first study is."""
    with bound_server(app, LOOPBACK, 0) as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        yield f"http://{LOOPBACK}:{server.server_port}/dashboard/studies/1"
        server.shutdown()
        thread.join()


@pytest.fixture
def address(filled: Filled) -> Iterator[str]:
    """Where the study is served."""
    with served(dashboard_app(open_view(filled.url), artifacts=filled.artifacts)) as found:
        yield found


@pytest.fixture
def page(browser: Browser) -> Iterator[Page]:
    """An empty page; errors of its scripts fail the test, but for a refusal."""
    found = browser.new_page(viewport={"width": 1600, "height": 2400})
    found.set_default_timeout(60_000)
    errors: list[str] = []
    found.on("pageerror", lambda error: errors.append(str(error)))
    yield found
    found.close()
    assert [error for error in errors if error != REFUSAL] == []


def drawn(page: Page, *ids: str) -> dict[str, Any]:
    """The figures on the page, once those of these ids are drawn."""
    for each in ids:
        # The ids of stored figures have a colon.
        page.wait_for_selector(f'[id="{each}"] svg.main-svg')
    found: dict[str, Any] = page.evaluate(FIGURES)
    return found


def trace(figure: list[Any], test: Callable[[Any], bool]) -> Any:
    (found,) = [each for each in figure if test(each)]
    return found


def named(figure: list[Any], name: str) -> Any:
    return trace(figure, lambda each: each["name"] == name)


def test_the_card_of_the_best_trial_has_the_best_feasible_one(page: Page, address: str) -> None:
    page.goto(address)
    card = page.locator(".MuiCard-root", has_text="Best Trial (number=")
    assert card.locator("h6").inner_text() == f"Best Trial (number={BEST})"
    assert card.locator("h3").inner_text() == "0.7"


def test_history_and_timeline_mark_infeasible_and_silent_trials(page: Page, address: str) -> None:
    page.goto(address)
    own = [f"user-defined-plot:marked-{name}" for name in ("history", "timeline")]
    found = drawn(page, "plot-history", "graph-timeline", *own)

    grey = named(found["plot-history"], "Infeasible Trial of digits")
    assert grey["color"] == GREY
    assert grey["x"] == [INFEASIBLE, LACKING, INFINITE]
    best = named(found["plot-history"], "Best Value of digits")
    assert max(best["y"]) == 0.7
    assert named(found["graph-timeline"], "Infeasible")["y"] == [INFEASIBLE, LACKING, INFINITE]

    history, timeline = (found[each] for each in own)
    for figure, axis in ((history, "x"), (timeline, "y")):
        assert {each["name"]: sorted(each[axis]) for each in figure} == {
            mark: [number for number, found in MARKS.items() if found == mark]
            for mark in MARKS.values()
        }
    assert history[0]["points"] == len(MARKS)
    assert timeline[0]["points"] == len(MARKS)


def test_slice_and_contour_mark_infeasible_and_silent_trials(page: Page, address: str) -> None:
    page.goto(address)
    own = [f"user-defined-plot:marked-{name}" for name in ("slice-1", "contour")]
    figures = drawn(page, *own)
    n_of_silent = [sum(each["name"] == "silent" for each in figures[name]) for name in own]
    assert n_of_silent == [3, 3]  # three parameters, three pairs of them
    for name in own:
        assert figures[name][0]["points"] == 3 * len(MARKS)

    page.goto(f"{address}/analytics")
    figures = drawn(page, "plot-slice", "graph-contour")
    grey = named(figures["plot-slice"], "Infeasible Trial")
    assert (grey["color"], sorted(grey["y"])) == (GREY, [0.6, 0.8, 0.9])
    blue = named(figures["plot-slice"], "Feasible Trial")
    assert sorted(blue["y"]) == [0.3, 0.5, 0.7]
    contour = figures["graph-contour"]
    assert len(trace(contour, lambda each: each["color"] == GREY)["x"]) == 3
    assert len(trace(contour, lambda each: each["color"] == "black")["x"]) == 2


def test_the_figures_of_the_study_are_on_its_page(page: Page, address: str) -> None:
    page.goto(address)
    names = ("feasible-history", "silent-share", "activity", "samples-saved")
    ids = [f"user-defined-plot:study-{name}" for name in names]
    history, silent, activity, saved = (drawn(page, *ids)[each] for each in ids)
    assert [each["y"] for each in history if each["name"] == "best so far"] == [
        [0.5, 0.7, 0.7],  # over evaluations
        [0.5, 0.7, 0.7],  # over time
    ]
    assert (named(silent, "output")["x"], named(silent, "output")["y"]) == ([SILENT], [1.0])
    assert [each["name"] for each in activity if each["name"]] == ["output, stopped (1)"]
    assert (named(saved, "planned")["y"], named(saved, "with early stopping")["y"]) == (
        [200],
        [100],
    )
    for each in ids:
        card = page.locator(f'[id="{each}"]').bounding_box()
        (figure, *_) = page.locator(f'[id="{each}"] svg.main-svg').all()
        assert card is not None and card["height"] == 450
        assert (figure.bounding_box() or {})["height"] <= card["height"]
        assert page.locator(f'[id="{each}"] .legendtext').count() > 0


def test_the_figures_of_the_study_change_when_trials_are_added(
    page: Page, url: str, rows: Callable[[str], dict[str, list[Any]]]
) -> None:
    study = optuna.create_study(
        storage=plain_storage(url), study_name="toy", direction="maximize",
        sampler=optuna.samplers.RandomSampler(seed=0),
    )  # fmt: skip
    study.add_trials(spiking_study().trials)
    before = rows(url)
    with served(dashboard_app(open_view(url))) as address:
        page.goto(address)
        names = ("feasible-history", "silent-share", "activity", "trust-region", "samples-saved")
        ids = [f"user-defined-plot:study-{name}" for name in names]
        figures = drawn(page, *ids)
        number = study.trials[-1].number
        assert max(named(figures[ids[4]], "planned")["x"]) == number
        assert rows(url) == before
        study.optimize(spiking, n_trials=1)
        page.wait_for_function(
            """([id, number]) => document.getElementById(id).data
                .some((trace) => Math.max(...trace.x) === number)""",
            arg=[ids[4], number + 1],
        )
        after = drawn(page, *ids)
        assert max(named(after[ids[4]], "planned")["x"]) == number + 1
        assert after[ids[1]] != figures[ids[1]]


def test_the_page_of_a_silent_trial_says_why_and_shows_its_raster(
    page: Page, address: str
) -> None:
    page.goto(f"{address}/trials?numbers={SILENT}")
    page.get_by_text("mark silent", exact=True).wait_for()
    text = page.inner_text("body")
    assert "constraint/silent/output 0.9" in text
    assert "constraint/energy -0.5" in text
    assert "layer 'output' is silent: 50 of 50 samples had no spike" in text
    picture = page.locator("img[src*='/artifacts/']")
    picture.wait_for()
    page.wait_for_function("document.querySelector(\"img[src*='/artifacts/']\").complete")
    assert picture.evaluate("image => image.naturalWidth") == ARTIFACT_WIDTH


def test_the_best_feasible_trial_has_the_badge(page: Page, address: str) -> None:
    for number, is_best in ((BEST, True), (INFEASIBLE, False)):
        page.goto(f"{address}/trials?numbers={number}")
        page.get_by_role("heading", name=f"Trial {number} (trial_id={number + 1})").wait_for()
        badges = page.locator("h4 + div .MuiChip-label").all_inner_texts()
        assert ("Best Trial" in badges) == is_best


def test_constraints_and_spikes_are_columns_of_the_table(page: Page, address: str) -> None:
    page.goto(f"{address}/smartSelection")
    for column in ("mark", "violation", "constraint/energy", "spikes/output/silent share"):
        page.get_by_text(f"UserAttribute {column}").first.wait_for()


def test_editing_is_answered_with_the_reason(page: Page, address: str) -> None:
    page.goto(f"{address}/note")
    page.get_by_role("heading", name="Note").wait_for()
    page.get_by_role("button").last.click()  # the pen
    page.locator("textarea").first.fill("words")
    with page.expect_response(lambda answer: answer.request.method == "PUT") as caught:
        page.get_by_role("button", name="Save").click()
    assert caught.value.status == 403
    page.get_by_text(REFUSAL).first.wait_for()


def test_the_numbers_of_the_trials_are_those_of_their_marks() -> None:
    """The expectations above are written out for these numbers."""
    assert [FEASIBLE, INFEASIBLE, BEST, LACKING, SILENT, PRUNED, FAILED, INFINITE] == list(
        range(8)
    )
