"""The figures of a study on its page: what they show, and that nothing is stored for them."""

from __future__ import annotations

import json
from collections.abc import Callable
from copy import copy
from dataclasses import replace
from pathlib import Path
from typing import Any

import optuna
import pytest

from optuna_snn.dashboard import dashboard_app, open_view
from optuna_snn.dashboard.looks import Look
from optuna_snn.dashboard.study_figures import N_POINTS, figures_of, reading_of
from optuna_snn.visualization import (
    plot_activity,
    plot_feasible_history,
    plot_samples_saved,
    plot_silent_share,
    plot_trust_region,
)
from optuna_snn.visualization.reading import Reading, read_study
from tests.dashboard.conftest import Client, plain_storage
from tests.visualization.studies import (
    ODD,
    spiking,
    spiking_study,
    study_of_two_objectives,
)

PLOTS: dict[str, Callable[[optuna.Study], Any]] = {
    "study-feasible-history": plot_feasible_history,
    "study-silent-share": plot_silent_share,
    "study-activity": plot_activity,
    "study-trust-region": plot_trust_region,
    "study-samples-saved": plot_samples_saved,
}


@pytest.fixture
def stored(url: str) -> optuna.Study:
    """The trials of the spiking study, in the database."""
    study = optuna.create_study(
        storage=plain_storage(url), study_name="toy", direction="maximize",
        sampler=optuna.samplers.RandomSampler(seed=0),
    )  # fmt: skip
    study._storage.set_study_system_attr(study._study_id, "study:metric_names", ["accuracy"])
    study.add_trials(spiking_study().trials)
    return study


def client_of(url: str) -> Client:
    """The dashboard, which looks anew at each request."""
    view = open_view(url)
    view._fresh_s = 0.0
    return Client(dashboard_app(view))


def fetched(client: Client) -> dict[str, Any]:
    """The figures of a study that a page is sent."""
    found = client("/api/studies/1").json["plotly_graph_objects"]
    return {
        each["id"]: json.loads(each["graph_object"])
        for each in found
        if each["id"].startswith("study-")
    }


def points(figure: Any) -> list[tuple[Any, ...]]:
    return [(trace.get("name"), trace.get("x"), trace.get("y")) for trace in figure["data"]]


@pytest.mark.usefixtures("patient")
def test_a_page_has_the_figures_that_the_functions_draw(stored: optuna.Study, url: str) -> None:
    found = fetched(client_of(url))
    assert list(found) == list(PLOTS)
    for name, plot in PLOTS.items():
        assert points(found[name]) == points(json.loads(plot(spiking_study()).to_json()))


@pytest.mark.usefixtures("patient")
def test_drawing_leaves_every_row_of_the_database_as_it_was(
    stored: optuna.Study, url: str, rows: Callable[[str], dict[str, list[Any]]]
) -> None:
    before = rows(url)
    assert sum(map(len, before.values())) > 100
    assert fetched(client_of(url)).keys() == PLOTS.keys()
    assert rows(url) == before


@pytest.mark.usefixtures("patient")
def test_figures_change_when_trials_are_added(stored: optuna.Study, url: str) -> None:
    client = client_of(url)
    before = fetched(client)
    assert fetched(client) == before
    stored.optimize(spiking, n_trials=1)
    after = fetched(client)
    number = stored.trials[-1].number
    for name in ("study-silent-share", "study-samples-saved"):
        (old, new) = (max(max(trace["x"]) for trace in f[name]["data"]) for f in (before, after))
        assert old < number <= new


@pytest.mark.usefixtures("patient")
def test_figures_suit_light_and_dark_pages(stored: optuna.Study, url: str) -> None:
    for figure in fetched(client_of(url)).values():
        layout = figure["layout"]
        assert layout["paper_bgcolor"] == layout["plot_bgcolor"] == "rgba(0,0,0,0)"
        assert layout["height"] <= 450  # of the dashboard's cards
        assert "#1A1A1A" not in json.dumps(figure)  # ink on a dark page


def reading(study: optuna.Study) -> Reading:
    return read_study(study)


@pytest.mark.parametrize("make", ODD.values(), ids=ODD)
def test_every_study_is_drawn(make: Callable[[], optuna.Study]) -> None:
    for text in figures_of(reading(make())).values():
        assert json.loads(text)["data"]


def test_what_a_study_has_nothing_of_is_not_shown() -> None:
    assert figures_of(reading(ODD["empty"]())) == {}
    assert figures_of(reading(study_of_two_objectives())) == {}
    assert list(figures_of(reading(ODD["infeasible"]()))) == []


def test_a_look_is_read_as_its_study() -> None:
    for make in (spiking_study, ODD["damaged report"]):
        study = make()
        expected = reading(study)
        reports = [expected.reports.get(trial.number) for trial in study.trials]
        look = Look(study.trials, (), (), reports, (), expected.constraint_names)
        found = reading_of(look, expected.study_name, expected.directions, expected.metric_name)
        assert found == expected


def test_the_size_of_a_figure_does_not_grow_with_the_study() -> None:
    study = reading(spiking_study())
    trials = []
    for number in range(2000):
        trial = copy(study.trials[number % len(study.trials)])
        trial.number = number
        trials.append(trial)
    reports = {
        trial.number: study.reports[trial.number % len(study.trials)]
        for trial in trials
        if trial.number % len(study.trials) in study.reports
    }
    long = replace(study, trials=trials, reports=reports)
    for name, text in figures_of(long).items():
        figure = json.loads(text)
        # Of the trust region, each of the many restarts is a gap.
        most = N_POINTS if name != "study-trust-region" else 4 * 2000
        assert max(len(trace["x"]) for trace in figure["data"]) <= most


def test_without_plotly_there_are_none_and_the_page_stays(
    stored_file: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(__import__("sys").modules, "plotly", None)
    found = client_of(stored_file)("/api/studies/1").json["plotly_graph_objects"]
    names = [each["id"] for each in found]
    assert names[0] == "marked-history"
    assert not [name for name in names if name.startswith("study-")]


@pytest.fixture
def stored_file(tmp_path: Path) -> str:
    url = f"sqlite:///{tmp_path / 'one.db'}"
    study = optuna.create_study(storage=plain_storage(url), direction="maximize")
    study.add_trials(spiking_study().trials)
    return url
