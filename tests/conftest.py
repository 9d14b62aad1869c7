"""What all tests share: which are slow, and a PostgreSQL server, started at its first use.

The environment variable OPTUNA_SNN_TEST_POSTGRES points the tests to another server: the URL of a
role that may create databases.
"""

from __future__ import annotations

import os
import secrets
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

import optuna
import pytest
from sqlalchemy.engine import make_url

# optuna_snn.database is imported inside the fixtures: most tests need no server.


SLOW_PLACES = [
    "backends",
    "benchmarks",
    "dashboard",
    "database",
    "docs/test_code_blocks.py",
    "drawing",
    "launchers",
    "objectives/datasets/test_gestures.py",
    "objectives/slayer",
    "objectives/stdp",
    "optunahub",
    "rasters",
    "replays",
    "reports",
    "retraining",
    "spikes/test_promise.py",
    "spikes/test_promise_batches.py",
    "spikes/test_promptness.py",
    "spikes/test_window.py",
    "stdp_engine",
    "visualization/test_data.py",
    "visualization/test_odd_studies.py",
    "workers/storage",
    "workers/supervisor",
    "workers/test_one_trial.py",
    "workers/test_sweep.py",
    "workers/test_worker.py",
]
"""Tests that start processes or servers, draw pages or simulate at length: `make test-quick`
leaves them out, as it does single tests with the mark."""


def pytest_collection_modifyitems(items: Sequence[pytest.Item]) -> None:
    """Mark what lies in the slow places."""
    here = Path(__file__).parent
    places = [here / place for place in SLOW_PLACES]
    missing = [str(place) for place in places if not place.exists()]
    if missing:
        raise pytest.UsageError(f"SLOW_PLACES names what is not there: {', '.join(missing)}")
    for item in items:
        if any(item.path.is_relative_to(place) for place in places):
            item.add_marker(pytest.mark.slow)


@pytest.fixture(autouse=True)
def _alike_in_any_order() -> Iterator[None]:
    """A test begins with the same global generators, and leaves Optuna as loud as it was."""
    if torch := sys.modules.get("torch"):
        torch.manual_seed(0)
    verbosity = optuna.logging.get_verbosity()
    yield
    optuna.logging.set_verbosity(verbosity)


class HiddenPassword(str):
    """A URL whose `repr` hides the password: pytest shows the fixtures of a failing test."""

    def __repr__(self) -> str:
        return repr(make_url(str(self)).render_as_string(hide_password=True))


@pytest.fixture(scope="session")
def postgres_server_url() -> Iterator[str]:
    """URL, with its password, of a server where databases may be created."""
    if url := os.environ.get("OPTUNA_SNN_TEST_POSTGRES"):
        yield HiddenPassword(url)
        return
    from optuna_snn.database import temporary_server

    with temporary_server() as server:
        yield HiddenPassword(server.url)


@pytest.fixture
def postgres_url(postgres_server_url: str) -> Iterator[str]:
    """URL, with its password, of an empty database of the test's own."""
    from optuna_snn.database import create_database, drop_database

    name = f"optuna_snn_test_{secrets.token_hex(8)}"
    yield HiddenPassword(create_database(postgres_server_url, name))
    drop_database(postgres_server_url, name)
