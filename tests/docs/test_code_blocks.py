"""Every Python block of the pages runs, in the order in which a reader meets it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import optuna
import pytest
import torch
from _pytest.mark import ParameterSet

from tests.docs.blocks import PAGES, ROOT, blocks_of, read_blocks
from tests.docs.running import CONTEXTS, context_of, run_page

WITH_PYTHON = [page for page in PAGES if any(block.is_python for block in read_blocks(page))]
SLOW = {"README.md", "docs/index.md", "docs/faq.md", "docs/tutorial.md"}
SLOW |= {
    f"docs/how_to/{name}.md"
    for name in ("alpha_beta", "constraints", "own_network", "postgresql", "resume")
}


def parameter(page: Path) -> ParameterSet:
    name = page.relative_to(ROOT).as_posix()
    return pytest.param(page, id=name, marks=[pytest.mark.slow] if name in SLOW else [])


@pytest.fixture(autouse=True)
def as_a_reader(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """In an empty folder, and without leaving anything behind."""
    monkeypatch.chdir(tmp_path)
    for variable in ("OPTUNA_SNN_STORAGE", "OPTUNA_SNN_CHECKPOINTS", "OPTUNA_SNN_DEVICE"):
        monkeypatch.setenv(variable, "")
        monkeypatch.delenv(variable)
    verbosity = optuna.logging.get_verbosity()
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    random = torch.get_rng_state()
    yield
    torch.set_rng_state(random)
    optuna.logging.set_verbosity(verbosity)


@pytest.mark.parametrize("page", [parameter(page) for page in WITH_PYTHON])
def test_the_python_blocks_of_a_page_run(page: Path) -> None:
    run_page(page)


def test_the_pages_are_found() -> None:
    names = {page.relative_to(ROOT).as_posix() for page in WITH_PYTHON}
    assert {"README.md", "docs/tutorial.md", "docs/faq.md", "docs/workers.md"} <= names
    assert {context_of(page) for page in PAGES} >= set(CONTEXTS.glob("*.py"))


def test_blocks_are_told_from_text_and_from_each_other() -> None:
    page = "a\n```python\nx = 1\n```\n\n    ```\n    run it\n    ```\n````python\n```\n````\n"
    found = [(block.line, block.language, block.text) for block in blocks_of(page, "page")]
    assert found == [(3, "python", "x = 1\n"), (7, "", "run it\n"), (10, "python", "```\n")]


def test_a_block_that_is_not_closed_is_an_error() -> None:
    with pytest.raises(ValueError, match="line 2"):
        list(blocks_of("```python\nx = 1\n", "page"))
