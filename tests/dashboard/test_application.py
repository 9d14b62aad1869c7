"""What the dashboard answers by its JSON API, on SQLite and on PostgreSQL."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import optuna
import pytest
from sqlalchemy.exc import OperationalError

from optuna_snn.dashboard import dashboard_app, open_view
from optuna_snn.workers.errors import RunError
from tests.dashboard.conftest import (
    ARTIFACT_WIDTH,
    BEST,
    FEASIBLE,
    INFEASIBLE,
    INFINITE,
    LACKING,
    MARKS,
    SILENT,
    Answer,
    Client,
    Filled,
    plain_storage,
)

pytestmark = pytest.mark.usefixtures("patient")

STUDY = "/api/studies/1"


def attributes(trial: dict[str, Any]) -> dict[str, str]:
    return {each["key"]: each["value"] for each in trial["user_attrs"]}


def is_drawn_grey(trial: dict[str, Any]) -> bool:
    """As the dashboard's figures decide it: `!trial.constraints.every(c => c <= 0)`."""
    return not all(value <= 0 for value in trial["constraints"])


def test_the_best_trial_is_the_best_feasible_one(client: Client) -> None:
    best = client(STUDY).json["best_trials"]
    assert [(trial["number"], trial["values"]) for trial in best] == [(BEST, [0.7])]
    assert attributes(best[0])["mark"] == "feasible"


def test_trials_that_violate_or_lack_a_constraint_are_drawn_grey(client: Client) -> None:
    grey = [trial["number"] for trial in client(STUDY).json["trials"] if is_drawn_grey(trial)]
    assert grey == [INFEASIBLE, LACKING, SILENT, INFINITE]


def test_every_trial_tells_its_mark_its_constraints_and_its_spikes(client: Client) -> None:
    trials = client(STUDY).json["trials"]
    assert {trial["number"]: attributes(trial)["mark"] for trial in trials} == MARKS
    found = attributes(trials[SILENT])
    assert float(found["constraint/energy"]) == -0.5
    assert float(found["constraint/silent/output"]) == pytest.approx(1.0 - 0.1)
    assert float(found["violation"]) == pytest.approx(0.9)
    assert float(found["spikes/output/silent share"]) == 1.0
    assert found["spikes/samples"] == "100"
    assert found["spikes/stopped because"].startswith("layer 'output' is silent: 50 of 50")
    assert attributes(trials[INFINITE])["constraint/energy"] == "inf"


def test_constraints_and_spikes_are_columns_that_can_be_sorted(client: Client) -> None:
    columns = {each["key"]: each["sortable"] for each in client(STUDY).json["union_user_attrs"]}
    for name in ("constraint/energy", "constraint/silent/output", "violation"):
        assert columns[name]
    assert columns["spikes/output/silent share"]
    assert not columns["mark"]
    assert "optuna_snn:spikes" not in columns


def test_the_download_has_these_columns_as_well(client: Client) -> None:
    answer = client("/csv/1")
    table = list(csv.DictReader(io.StringIO(answer.body.decode())))
    assert [row["UserAttribute mark"] for row in table] == list(MARKS.values())
    assert table[FEASIBLE]["UserAttribute constraint/energy"] == "-0.5"


def test_the_figures_are_sent_with_the_study(client: Client) -> None:
    found = {
        each["id"]: each["graph_object"] for each in client(STUDY).json["plotly_graph_objects"]
    }
    assert list(found) == [
        "marked-history",
        "study-feasible-history",
        "study-silent-share",
        "study-activity",
        "study-samples-saved",
        "marked-slice-1",
        "marked-contour",
        "marked-timeline",
    ]
    history = json.loads(found["marked-history"])
    silent = next(trace for trace in history["data"] if trace["name"] == "silent")
    assert silent["x"] == [SILENT]
    assert history["layout"]["yaxis"]["title"]["text"] == "accuracy"


def test_figures_that_are_stored_in_a_study_stay(own_url: str) -> None:
    storage = plain_storage(own_url)
    text = '{"data": [], "layout": {}}'
    key = "dashboard:plot_data:own:0"
    storage.set_study_system_attr(1, key, text)
    found = ask_anew(own_url)["plotly_graph_objects"]
    assert found[-1] == {"id": "own", "graph_object": text}
    assert len(found) == 9


def test_a_later_look_gets_what_is_new(client: Client) -> None:
    answer = client(f"{STUDY}?after={INFINITE}").json
    assert [trial["number"] for trial in answer["trials"]] == [INFINITE, INFINITE + 1]
    assert [trial["number"] for trial in answer["best_trials"]] == [BEST]


def test_an_artifact_is_served(client: Client) -> None:
    (artifact,) = client(STUDY).json["trials"][SILENT]["artifacts"]
    assert artifact["filename"] == "raster.png"
    answer = client(f"/artifacts/1/{SILENT + 1}/{artifact['artifact_id']}")
    assert (answer.status, answer.headers["Content-Type"]) == (200, "image/png")
    assert int.from_bytes(answer.body[16:20], "big") == ARTIFACT_WIDTH


def test_importances_and_figures_of_the_server_are_answered(client: Client) -> None:
    pytest.importorskip("plotly")  # of the extra `figures`; without it the page has no such switch
    assert client(f"{STUDY}/param_importances").status == 200
    for name in ("contour", "slice", "rank", "edf", "timeline"):
        assert client(f"{STUDY}/plot/{name}").status == 200


def browse(client: Client) -> list[Answer]:
    """Look at all that a page asks for."""
    study = client(STUDY).json
    paths = ["/", "/dashboard", "/api/meta", "/api/studies", STUDY, f"{STUDY}?after=3", "/csv/1"]
    paths += [f"{STUDY}/param_importances"]
    paths += [
        f"/artifacts/1/{trial['trial_id']}/{artifact['artifact_id']}"
        for trial in study["trials"]
        for artifact in trial["artifacts"]
    ]
    return [client(path) for path in paths]


def test_looking_leaves_every_row_of_the_database_as_it_was(
    client: Client, filled: Filled, rows: Callable[[str], dict[str, list[Any]]]
) -> None:
    before = rows(filled.url)
    assert sum(map(len, before.values())) > 50
    assert {answer.status for answer in browse(client)} == {200, 302}
    assert rows(filled.url) == before


def test_every_request_that_would_change_something_is_refused(
    client: Client, filled: Filled, rows: Callable[[str], dict[str, list[Any]]]
) -> None:
    (artifact,) = client(STUDY).json["trials"][SILENT]["artifacts"]
    before, files = rows(filled.url), sorted(filled.artifacts.iterdir())
    for method, path, sent in (
        ("POST", "/api/studies", {"study_name": "new", "directions": ["minimize"]}),
        ("POST", f"{STUDY}/rename", {"study_name": "new"}),
        ("DELETE", STUDY, None),
        ("PUT", f"{STUDY}/note", {"version": 1, "body": "words"}),
        ("PUT", f"{STUDY}/1/note", {"version": 1, "body": "words"}),
        ("POST", "/api/trials/9/tell", {"state": "Complete", "values": [1.0]}),
        ("POST", "/api/trials/9/user-attrs", {"user_attrs": {"a": 1}}),
        ("DELETE", f"/api/artifacts/1/{SILENT + 1}/{artifact['artifact_id']}", None),
        ("POST", "/api/artifacts/1", {"file": "data:text/plain;base64,QQ==", "filename": "a"}),
        ("POST", "/incompatible-rdb-schema", None),
    ):
        answer = client(path, method, sent)
        assert (answer.status, answer.json["reason"]) == (
            403,
            "this dashboard only reads: nothing was changed",
        )
    assert (rows(filled.url), sorted(filled.artifacts.iterdir())) == (before, files)


def test_new_results_are_seen(own_url: str) -> None:
    view = open_view(own_url)
    view._fresh_s = 0.0
    client = Client(dashboard_app(view))
    assert client(STUDY).json["best_trials"][0]["number"] == BEST
    study = optuna.load_study(storage=plain_storage(own_url), study_name="digits")
    trial = study.ask()
    for name in ("energy", "silent/output"):
        trial.set_constraint(name, -0.1)
    study.tell(trial, 0.75)
    found = client(STUDY).json
    assert found["best_trials"][0]["number"] == trial.number
    history = found["plotly_graph_objects"][0]
    assert history["id"] == "marked-history"
    assert trial.number in json.loads(history["graph_object"])["data"][0]["x"]


def new_study(url: str, directions: list[str]) -> optuna.Study:
    return optuna.create_study(storage=plain_storage(url), directions=directions)


def add(study: optuna.Study, values: list[float], constraint: float | None) -> None:
    trial = study.ask()
    trial.suggest_float("x", 0.0, 1.0)
    if constraint is not None:
        trial.set_constraint("c", constraint)
    study.tell(trial, values)


def ask_anew(url: str) -> dict[str, Any]:
    found: dict[str, Any] = Client(dashboard_app(open_view(url)))(STUDY).json
    return found


def test_no_trial_is_called_the_best_while_none_is_feasible(sqlite_url: str) -> None:
    study = new_study(sqlite_url, ["minimize"])
    add(study, [1.0], 0.5)
    add(study, [2.0], 0.1)
    assert ask_anew(sqlite_url)["best_trials"] == []
    add(study, [3.0], 0.0)
    assert [trial["number"] for trial in ask_anew(sqlite_url)["best_trials"]] == [2]


def test_a_study_without_constraints_looks_as_ever(sqlite_url: str) -> None:
    study = new_study(sqlite_url, ["minimize"])
    add(study, [1.0], None)
    add(study, [2.0], None)
    found = ask_anew(sqlite_url)
    assert [trial["number"] for trial in found["best_trials"]] == [0]
    assert found["plotly_graph_objects"] == []
    assert [trial["constraints"] for trial in found["trials"]] == [[], []]
    assert found["union_user_attrs"] == []


def test_a_study_without_trials_is_shown(sqlite_url: str) -> None:
    new_study(sqlite_url, ["minimize"])
    found = ask_anew(sqlite_url)
    assert (found["trials"], found["best_trials"]) == ([], [])


@pytest.mark.parametrize("n_objectives", [2, 3])
def test_the_pareto_front_is_of_feasible_trials(sqlite_url: str, n_objectives: int) -> None:
    """Trial 0 dominates all and is infeasible; 1 and 2 are the front; 3 is dominated by 1."""
    study = new_study(sqlite_url, ["minimize"] * n_objectives)
    rest = [0.0] * (n_objectives - 2)
    add(study, [0.0, 0.0, *rest], 1.0)
    add(study, [1.0, 2.0, *rest], -1.0)
    add(study, [2.0, 1.0, *rest], -1.0)
    add(study, [2.0, 3.0, *rest], -1.0)
    found = ask_anew(sqlite_url)
    assert [trial["number"] for trial in found["best_trials"]] == [1, 2]
    assert [each["id"] for each in found["plotly_graph_objects"]] == ["marked-timeline"]


def test_a_storage_that_cannot_be_read_is_said_in_the_answer(
    own_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    view = open_view(own_url)
    client = Client(dashboard_app(view))

    def fail(*args: Any, **kwargs: Any) -> Any:
        raise OperationalError("SELECT 1", {}, Exception("server closed the connection"))

    monkeypatch.setattr(view._backend, "get_all_studies", fail)
    answer = client(STUDY)
    assert answer.status == 503
    assert answer.json["reason"].startswith("the storage ")
    assert answer.json["reason"].endswith(": server closed the connection")


def test_a_folder_of_artifacts_that_does_not_exist_is_told(
    sqlite_url: str, tmp_path: Path
) -> None:
    new_study(sqlite_url, ["minimize"])
    with pytest.raises(RunError, match=r"there is no folder .*nowhere.*--artifacts"):
        dashboard_app(open_view(sqlite_url), artifacts=tmp_path / "nowhere")


def test_a_missing_optuna_dashboard_is_told_with_the_way_to_install_it(
    sqlite_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    new_study(sqlite_url, ["minimize"])
    view = open_view(sqlite_url)
    monkeypatch.setitem(__import__("sys").modules, "optuna_dashboard", None)
    with pytest.raises(RunError, match=r"pip install 'optuna-snn\[dashboard\]'"):
        dashboard_app(view)
