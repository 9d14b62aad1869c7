"""Rasters that a trial keeps are on its page, with no folder named anywhere, or with one."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import optuna
import pytest

from optuna_snn import SpikeMonitor
from optuna_snn.dashboard import dashboard_app, open_view
from optuna_snn.rasters import RasterArtifacts
from tests.dashboard.conftest import Client, plain_storage
from tests.probes.models import TwoLayers, inputs, present

FILES = {"spikes-hidden.png", "spikes-output.png", "spikes.npz"}


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The current folder, which is empty and not that of the database."""
    folder = tmp_path / "here"
    folder.mkdir()
    monkeypatch.chdir(folder)
    monkeypatch.delenv("OPTUNA_SNN_ARTIFACTS", raising=False)
    return folder


def run_trial(url: str, folder: Path | None = None) -> None:
    """A trial of a small network, which keeps its rasters."""

    def objective(trial: optuna.Trial) -> float:
        model = TwoLayers()
        with SpikeMonitor(trial, warmup=0) as monitor:
            rasters = RasterArtifacts.in_folder(folder)
            monitor.watch(model, ["hidden", "output"], axes="batch ...", rasters=rasters)
            present(model, inputs())
            monitor.update()
        return 1.0

    study = optuna.create_study(
        storage=plain_storage(url), study_name="toy", load_if_exists=True,
        sampler=optuna.samplers.RandomSampler(seed=0),
    )  # fmt: skip
    study.optimize(objective, n_trials=1)


def shown(client: Client) -> dict[str, tuple[int, str]]:
    """File name -> status and type of each artifact of the first trial, as its page asks."""
    (trial, *_) = client("/api/studies/1").json["trials"]
    found: dict[str, tuple[int, str]] = {}
    for artifact in trial["artifacts"]:
        answer = client(f"/artifacts/1/{trial['trial_id']}/{artifact['artifact_id']}")
        found[artifact["filename"]] = (answer.status, answer.headers["Content-Type"])
    return found


def has_place(client: Client) -> Any:
    """Whether pages have a place for artifacts."""
    return client("/api/meta").json["artifact_is_available"]


def test_without_any_option_rasters_are_shown(url: str, here: Path) -> None:
    run_trial(url)
    assert [path.name for path in here.iterdir()] == ["artifacts"]
    client = Client(dashboard_app(open_view(url)))
    assert has_place(client)
    found = shown(client)
    assert found.keys() == FILES
    assert {status for status, _ in found.values()} == {200}
    assert found["spikes-hidden.png"] == (200, "image/png")


def test_the_environment_names_the_folder_of_both(
    url: str, here: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPTUNA_SNN_ARTIFACTS", str(tmp_path / "kept"))
    run_trial(url)
    assert list(here.iterdir()) == [] and len(list((tmp_path / "kept").iterdir())) == len(FILES)
    assert shown(Client(dashboard_app(open_view(url)))).keys() == FILES


def test_a_folder_that_is_named_comes_first(sqlite_url: str, tmp_path: Path) -> None:
    run_trial(sqlite_url, tmp_path / "kept")
    client = Client(dashboard_app(open_view(sqlite_url), artifacts=tmp_path / "kept"))
    assert {status for status, _ in shown(client).values()} == {200}
    elsewhere = Client(dashboard_app(open_view(sqlite_url)))
    assert not has_place(elsewhere)
    assert 200 not in {status for status, _ in shown(elsewhere).values()}


def test_a_folder_that_is_made_later_is_found(sqlite_url: str, here: Path) -> None:
    optuna.create_study(storage=plain_storage(sqlite_url), study_name="toy")
    view = open_view(sqlite_url)
    view._fresh_s = 0.0
    client = Client(dashboard_app(view))
    assert not has_place(client)
    assert list(here.iterdir()) == []
    run_trial(sqlite_url)
    assert has_place(client)
    assert shown(client).keys() == FILES


def test_folders_are_those_of_when_the_dashboard_began(
    sqlite_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run_trial(sqlite_url)
    client = Client(dashboard_app(open_view(sqlite_url)))
    monkeypatch.chdir(tmp_path)
    assert {status for status, _ in shown(client).values()} == {200}
