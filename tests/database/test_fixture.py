"""The fixtures of tests/conftest.py: a database of its own for each test."""

from __future__ import annotations

import optuna
import pytest

from optuna_snn.database import database_usage
from optuna_snn.workers import open_storage


@pytest.mark.parametrize("turn", [1, 2])
def test_each_test_has_an_empty_database_where_studies_can_be_stored(
    postgres_url: str, turn: int
) -> None:
    storage = open_storage(postgres_url)
    assert storage.get_all_studies() == []
    study = optuna.create_study(study_name="toy", storage=storage)
    study.optimize(lambda trial: trial.suggest_float("x", 0.0, 1.0), n_trials=2)
    assert len(optuna.load_study(study_name="toy", storage=open_storage(postgres_url)).trials) == 2


def test_the_database_of_a_test_is_on_the_server_of_the_session(
    postgres_url: str, postgres_server_url: str
) -> None:
    name = postgres_url.rpartition("/")[2].partition("?")[0]
    assert name in [usage.name for usage in database_usage(postgres_server_url)]
