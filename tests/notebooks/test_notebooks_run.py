"""Each notebook runs from start to end in a fresh kernel, as `make notebooks` runs it."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import nbformat
import pytest
from nbformat.v4 import new_code_cell, new_notebook

from notebooks.execute import FOLDER, numbered_notebooks

ROOT = FOLDER.parent


def check(notebook: Path, elsewhere: Path) -> subprocess.CompletedProcess[str]:
    """Run a notebook in a process that was started in another folder, and store nothing."""
    return subprocess.run(
        [sys.executable, str(FOLDER / "execute.py"), "--check", str(notebook)],
        cwd=elsewhere, env={**os.environ, "OMP_NUM_THREADS": "1"},
        capture_output=True, text=True, timeout=500, check=False,
    )  # fmt: skip


@pytest.mark.slow
@pytest.mark.parametrize("notebook", numbered_notebooks(), ids=lambda path: path.stem)
def test_a_notebook_runs_anywhere_and_leaves_nothing(notebook: Path, tmp_path: Path) -> None:
    before = notebook.read_bytes()
    done = check(notebook, tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr
    assert not done.stderr, done.stderr
    assert notebook.read_bytes() == before
    assert not list(tmp_path.iterdir())


@pytest.mark.slow
@pytest.mark.parametrize(
    ("source", "said"),
    [
        ("values = []\nvalues[3]", "IndexError"),
        ("import warnings\nwarnings.warn('too few digits')", "too few digits"),
    ],
)
def test_what_goes_wrong_is_told_with_its_cell(source: str, said: str, tmp_path: Path) -> None:
    notebook = tmp_path / "broken.ipynb"
    nbformat.write(new_notebook(cells=[new_code_cell("x = 1"), new_code_cell(source)]), notebook)
    done = check(notebook, tmp_path)
    assert done.returncode == 1
    assert "broken.ipynb, cell 2" in done.stderr
    assert said in done.stderr
    assert source.splitlines()[-1] in done.stderr
