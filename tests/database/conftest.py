"""Data folders for servers of a test's own, and what the tests ask of them."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from optuna_snn.database import Server, start_server, stop_server
from optuna_snn.database.postmaster import Patience

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(autouse=True)
def _children_find_the_package(monkeypatch: pytest.MonkeyPatch) -> None:
    former = os.environ.get("PYTHONPATH")
    path = str(ROOT) if former is None else os.pathsep.join([str(ROOT), former])
    monkeypatch.setenv("PYTHONPATH", path)


@pytest.fixture(scope="session")
def made_data() -> Iterator[Path]:
    """The data folder of `server`: creating one takes seconds, starting one does not."""
    with _reachable_folder() as folder:
        yield folder / "data"


@pytest.fixture
def server(made_data: Path) -> Iterator[Server]:
    """A running server that a test may stop, kill and start again; it is stopped afterwards."""
    yield start_server(made_data, is_throwaway=True)
    stop_server(made_data, patience=Patience(fast_s=5.0))


@pytest.fixture
def folder() -> Iterator[Path]:
    """An empty folder that the server's user can reach."""
    with _reachable_folder() as path:
        yield path


@pytest.fixture
def data(folder: Path) -> Iterator[Path]:
    """A data folder that does not exist yet; its server is stopped after the test."""
    yield folder / "data"
    stop_server(folder / "data", patience=Patience(fast_s=5.0))


@contextmanager
def _reachable_folder() -> Iterator[Path]:
    """Unlike `tmp_path`, which is closed to others when root runs the tests."""
    path = Path(tempfile.mkdtemp(prefix="optuna-snn-test-"))
    path.chmod(0o711)
    try:
        yield path
    finally:
        shutil.rmtree(path)
