"""A study with a trial of every kind, on each database, and the dashboard over it."""

from __future__ import annotations

import io
import json
import secrets
import shutil
import warnings
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from wsgiref.util import setup_testing_defaults

import numpy as np
import optuna
import pytest
import sqlalchemy
from optuna.artifacts import FileSystemArtifactStore, upload_artifact
from optuna.distributions import CategoricalDistribution, FloatDistribution
from optuna.storages import RDBStorage
from optuna.trial import TrialState
from PIL import Image
from sqlalchemy.pool import NullPool

from optuna_snn import SpikeActivityPruner, SpikeMonitor
from optuna_snn.dashboard import dashboard_app, open_view
from optuna_snn.dashboard.study_figures import StudyFigures
from optuna_snn.database import create_database, drop_database
from optuna_snn.workers.storage import normalise_url
from tests.conftest import HiddenPassword

SPACE = {
    "threshold": FloatDistribution(0.1, 10.0, log=True),
    "tau_ms": FloatDistribution(5.0, 50.0),
    "decoder": CategoricalDistribution(["votes", "bigrams"]),
}

FEASIBLE, INFEASIBLE, BEST, LACKING, SILENT, PRUNED, FAILED, INFINITE, RUNNING = range(9)
"""Numbers of the trials; LACKING has the best value but one, INFEASIBLE the best."""

MARKS = {
    FEASIBLE: "feasible",
    INFEASIBLE: "infeasible",
    BEST: "feasible",
    LACKING: "infeasible",
    SILENT: "silent",
    PRUNED: "pruned",
    FAILED: "failed",
    INFINITE: "infeasible",
    RUNNING: "running",
}

ARTIFACT_WIDTH = 37
"""Of the picture beside trial SILENT, in pixels."""


@dataclass(frozen=True)
class Answer:
    """What a request was answered with."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        def refuse(word: str) -> None:
            raise AssertionError(f"a browser cannot read {word}")

        return json.loads(self.body, parse_constant=refuse)


class Client:
    """Asks an application without a server between."""

    def __init__(self, app: Any) -> None:
        self._app = app

    def __call__(self, path: str, method: str = "GET", sent: object = None) -> Answer:
        path, _, query = path.partition("?")
        body = b"" if sent is None else json.dumps(sent).encode()
        environ: dict[str, Any] = {
            "PATH_INFO": path,
            "QUERY_STRING": query,
            "REQUEST_METHOD": method,
            "CONTENT_TYPE": "application/json",
            "CONTENT_LENGTH": str(len(body)),
            "HTTP_ACCEPT_ENCODING": "gzip",
            "wsgi.input": io.BytesIO(body),
        }
        setup_testing_defaults(environ)
        found: list[Any] = []
        chunks = self._app(environ, lambda status, headers, *_: found.extend((status, headers)))
        body = b"".join(chunks)
        if hasattr(chunks, "close"):
            chunks.close()
        return Answer(int(found[0].split()[0]), dict(found[1]), body)


@pytest.fixture(scope="session", autouse=True)
def _loaded() -> None:
    with warnings.catch_warnings():
        # It loads BoTorch if that is there, and so torch.jit in linear_operator.
        warnings.simplefilter("ignore", DeprecationWarning)
        import optuna_dashboard  # noqa: F401


@pytest.fixture(autouse=True)
def _own_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("OPTUNA_SNN_STORAGE", raising=False)
    optuna.logging.set_verbosity(optuna.logging.ERROR)


@dataclass(frozen=True)
class Filled:
    """The study of `fill`, made once and copied by each test: a database and its artifacts."""

    url: str
    artifacts: Path


@pytest.fixture(scope="session")
def filled_file(tmp_path_factory: pytest.TempPathFactory) -> Filled:
    folder = tmp_path_factory.mktemp("sqlite")
    return _filled(f"sqlite:///{folder / 'study.db'}", folder)


@pytest.fixture(scope="session")
def filled_database(
    postgres_server_url: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Filled]:
    name = f"optuna_snn_test_{secrets.token_hex(8)}"
    url = create_database(postgres_server_url, name)
    yield _filled(HiddenPassword(url), tmp_path_factory.mktemp("postgresql"))
    drop_database(postgres_server_url, name)


@pytest.fixture(params=["sqlite", "postgresql"])
def filled(request: pytest.FixtureRequest) -> Filled:
    """The study on each kind of database; for tests that leave it as it is."""
    name = "filled_file" if request.param == "sqlite" else "filled_database"
    found: Filled = request.getfixturevalue(name)
    return found


@pytest.fixture
def sqlite_url(tmp_path: Path) -> str:
    return f"sqlite:///{tmp_path / 'study.db'}"


@pytest.fixture(params=["sqlite", "postgresql"])
def url(request: pytest.FixtureRequest, sqlite_url: str) -> str:
    """An empty database of each kind."""
    if request.param == "sqlite":
        return sqlite_url
    found: str = request.getfixturevalue("postgres_url")
    return found


@pytest.fixture
def own_url(filled_file: Filled, sqlite_url: str) -> str:
    """The study in an SQLite file of the test's own, which may write to it."""
    shutil.copy(filled_file.url.removeprefix("sqlite:///"), sqlite_url.removeprefix("sqlite:///"))
    return sqlite_url


@pytest.fixture
def patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Pages wait for their figures as long as it takes, and these are drawn at every change."""
    monkeypatch.setattr(
        "optuna_snn.dashboard.application.StudyFigures",
        lambda: StudyFigures(wait_s=60.0, rest=0.0),
    )


@pytest.fixture
def client(filled: Filled) -> Client:
    return Client(dashboard_app(open_view(filled.url), artifacts=filled.artifacts))


def _filled(url: str, folder: Path) -> Filled:
    artifacts = folder / "artifacts"
    artifacts.mkdir()
    verbosity = optuna.logging.get_verbosity()
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    fill(url, artifacts, folder)
    optuna.logging.set_verbosity(verbosity)
    return Filled(url, artifacts)


def plain_storage(url: str) -> RDBStorage:
    """Optuna's own, without heartbeats, which would warn of ask and tell; without a pool."""
    return RDBStorage(normalise_url(url), engine_kwargs={"poolclass": NullPool})


def fill(url: str, artifacts: Path, folder: Path) -> None:
    """Make the study `digits` with a trial of every kind; see MARKS."""
    study = optuna.create_study(
        storage=plain_storage(url),
        study_name="digits",
        direction="maximize",
        sampler=optuna.samplers.RandomSampler(seed=0),
        pruner=SpikeActivityPruner(),
    )
    study._storage.set_study_system_attr(study._study_id, "study:metric_names", ["accuracy"])
    tell(study, FEASIBLE, 0.5, {"energy": -0.5, "silent/output": -0.1})
    tell(study, INFEASIBLE, 0.9, {"energy": 0.4, "silent/output": -0.1})
    tell(study, BEST, 0.7, {"energy": -0.25, "silent/output": -0.05})
    tell(study, LACKING, 0.8, {"energy": -0.5})
    _stop_silent(study, artifacts, folder)
    pruned = ask(study, PRUNED)
    pruned.report(0.3, step=0)
    for name in ("energy", "silent/output"):
        pruned.set_constraint(name, -0.1)
    study.tell(pruned, state=TrialState.PRUNED)
    study.tell(ask(study, FAILED), state=TrialState.FAIL)
    tell(study, INFINITE, 0.6, {"energy": float("inf"), "silent/output": -0.1})
    ask(study, RUNNING)


def ask(study: optuna.Study, number: int) -> optuna.Trial:
    """The trial of this number, whose parameters are given: thresholds grow with the number."""
    decoder = ("votes", "bigrams")[number % 2]
    study.enqueue_trial(
        {"threshold": 0.2 * (1 + number), "tau_ms": 50.0 - 5 * number, "decoder": decoder}
    )
    trial = study.ask(SPACE)
    assert trial.number == number
    return trial


def tell(study: optuna.Study, number: int, value: float, constraints: dict[str, float]) -> None:
    trial = ask(study, number)
    for name, constraint in constraints.items():
        trial.set_constraint(name, constraint)
    study.tell(trial, value)


def _stop_silent(study: optuna.Study, artifacts: Path, folder: Path) -> None:
    trial = ask(study, SILENT)
    trial.set_constraint("energy", -0.5)
    with SpikeMonitor(trial, alpha=1, beta=0.1, planned_samples=200, warmup=50) as monitor:
        monitor.update("output", np.zeros(100))
        assert trial.should_prune()
    picture = folder / "raster.png"
    Image.new("RGB", (ARTIFACT_WIDTH, 21), "red").save(picture)
    upload_artifact(
        artifact_store=FileSystemArtifactStore(str(artifacts)),
        file_path=str(picture),
        study_or_trial=trial,
    )
    study.tell(trial, state=TrialState.PRUNED)


@pytest.fixture
def rows() -> Callable[[str], dict[str, list[Any]]]:
    """All rows of all tables of a database, sorted."""

    def read(url: str) -> dict[str, list[Any]]:
        engine = sqlalchemy.create_engine(url, poolclass=NullPool)
        tables = sqlalchemy.MetaData()
        tables.reflect(engine)
        with engine.connect() as connection:
            return {
                table.name: sorted(map(repr, connection.execute(table.select())))
                for table in tables.sorted_tables
            }

    return read
