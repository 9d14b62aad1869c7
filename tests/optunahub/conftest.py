"""The folders of optunahub/ as a user of the registry has them: in optunahub's cache, far away."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.optunahub.packages import FOLDERS, Finished, Run


@pytest.fixture(scope="session")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The cache of `optunahub.load_module` after it fetched both packages from the registry."""
    home = tmp_path_factory.mktemp("cache")
    registry = home / "github.com" / "optuna" / "optunahub-registry" / "main" / "package"
    for category in ("samplers", "pruners"):
        shutil.copytree(
            FOLDERS / category,
            registry / category,
            ignore=shutil.ignore_patterns("__pycache__", ".pytest_cache"),
        )
    return home


@pytest.fixture(scope="session")
def registry(cache: Path) -> Path:
    """What is the folder `package` in a checkout of the registry."""
    return next(cache.glob("*/*/*/main/package"))


@pytest.fixture
def run(cache: Path, tmp_path: Path) -> Run:
    """Runs Python in an empty folder, or in `cwd`, with the packages in optunahub's cache."""

    def run_python(*arguments: str, cwd: Path = tmp_path, **variables: str) -> Finished:
        environment = {
            **{name: value for name, value in os.environ.items() if name != "PYTHONPATH"},
            "OPTUNAHUB_CACHE_HOME": str(cache),
            "OMP_NUM_THREADS": "1",
            "PYTHONDONTWRITEBYTECODE": "1",
            **variables,
        }
        return subprocess.run(
            [sys.executable, *arguments],
            cwd=cwd,
            env=environment,
            capture_output=True,
            text=True,
            timeout=300,
        )

    return run_python
