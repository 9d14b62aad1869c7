"""What the tests of workers share: a study file in a temporary folder, and child processes."""

from __future__ import annotations

import os
import textwrap
from collections.abc import Callable
from pathlib import Path

import optuna
import pytest

ROOT = Path(__file__).resolve().parents[2]

TOY_HEAD = """
import optuna
direction = "maximize"
def sampler():
    return optuna.samplers.RandomSampler()
def pruner():
    return optuna.pruners.NopPruner()
"""


@pytest.fixture(autouse=True)
def _children_find_the_package(monkeypatch: pytest.MonkeyPatch) -> None:
    former = os.environ.get("PYTHONPATH")
    path = str(ROOT) if former is None else os.pathsep.join([str(ROOT), former])
    monkeypatch.setenv("PYTHONPATH", path)
    monkeypatch.delenv("OPTUNA_SNN_STORAGE", raising=False)


@pytest.fixture(autouse=True)
def _quiet_optuna() -> None:
    optuna.logging.set_verbosity(optuna.logging.ERROR)


@pytest.fixture
def toy(tmp_path: Path) -> Callable[..., Path]:
    """Write a study file: random sampler, maximised, and the code given; return its path."""

    def write(code: str, name: str = "toy.py", head: str = TOY_HEAD) -> Path:
        path = tmp_path / name
        path.write_text(head + textwrap.dedent(code))
        return path

    return write
