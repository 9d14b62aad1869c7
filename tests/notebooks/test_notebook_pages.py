"""Notebooks as pages of the site: what its extension makes of stored cells and of links."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest

from notebooks.execute import FOLDER, numbered_notebooks

DOCS = FOLDER.parent / "docs"


@pytest.fixture(scope="module")
def extension() -> ModuleType:
    path = DOCS / "_extensions" / "notebook_pages.py"
    spec = importlib.util.spec_from_file_location("notebook_pages", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def as_read(extension: ModuleType, path: Path) -> str:
    app = SimpleNamespace(env=SimpleNamespace(doc2path=lambda page: str(path)))
    source = [path.read_text()]
    extension.read_page(app, "page", source)
    return source[0]


def code(source: str, *outputs: dict[str, Any]) -> dict[str, Any]:
    return {"cell_type": "code", "source": [source], "outputs": list(outputs)}


def test_cells_and_outputs_follow_each_other(extension: ModuleType) -> None:
    cells = [
        {"cell_type": "markdown", "source": ["# A ", "[page](../docs/faq.md#b)"]},
        code("print(1)", {"output_type": "stream", "text": ["1\n", "2\n"]}),
        code("3", {"output_type": "execute_result", "data": {"text/plain": ["3"]}}),
        code("x", {"data": {"text/plain": ["<Figure>"], "image/png": "iVBO\n"}}),
    ]
    assert list(extension.pages_of(cells)) == [
        "# A [page](/faq.md#b)",
        "```ipython\nprint(1)\n```", "```text\n1\n2\n```",
        "```ipython\n3\n```", "```text\n3\n```",
        "```ipython\nx\n```", "![output](data:image/png;base64,iVBO)",
    ]  # fmt: skip


def test_links_to_notebooks_lead_to_their_pages(extension: ModuleType, tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text("[1. a](../notebooks/1_a.ipynb), [b](../../notebooks/2_b.ipynb), [c](c.md)")
    assert as_read(extension, page) == (
        "{doc}`1. a </notebooks/1_a>`, {doc}`b </notebooks/2_b>`, [c](c.md)"
    )


@pytest.mark.parametrize("path", numbered_notebooks(), ids=lambda path: path.stem)
def test_a_notebook_is_a_page_with_its_pictures(extension: ModuleType, path: Path) -> None:
    page = as_read(extension, path)
    assert page.startswith("# ")
    assert page.count("![output](data:image/png;base64,") == path.read_text().count('"image/png"')
    assert ".ipynb)" not in page
    assert "../docs/" not in page


def test_every_notebook_is_in_the_contents_of_the_site() -> None:
    listed = (DOCS / "notebooks.md").read_text()
    for path in numbered_notebooks():
        assert f"\nnotebooks/{path.stem}\n" in listed
        assert f"](../notebooks/{path.name})" in listed
        assert (DOCS / "notebooks" / path.name).samefile(path)
