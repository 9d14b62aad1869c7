"""What the notebooks show without being run: complete, small, of the code that stands there."""

from __future__ import annotations

import base64
import json
import re
from pathlib import Path
from typing import Any

import nbformat
import pytest

from notebooks.execute import FOLDER, digest_of_sources, numbered_notebooks, store

MOST_BYTES = 300_000
MOST_PIXELS = 1_200
"""Width of a picture."""
NAMES = (
    "1_tune_your_own_network",
    "2_out_of_silence",
    "3_choosing_alpha_and_beta",
    "4_accuracy_against_spikes",
)
MACHINE_PATH = re.compile(r"/(?:home|root|tmp|work|usr|opt|Users|var)/|[A-Z]:\\\\")
LINK = re.compile(r"\]\((?P<target>[^)\s]+)\)")

each_notebook = pytest.mark.parametrize("path", numbered_notebooks(), ids=lambda path: path.stem)


def read(path: Path) -> Any:
    return nbformat.read(path, as_version=4)


def code_cells(notebook: Any) -> list[Any]:
    return [cell for cell in notebook.cells if cell.cell_type == "code"]


def outputs(notebook: Any) -> list[Any]:
    return [output for cell in code_cells(notebook) for output in cell.outputs]


def test_the_notebooks_are_numbered_from_one() -> None:
    assert tuple(path.stem for path in numbered_notebooks()) == NAMES


@each_notebook
def test_a_notebook_is_valid_and_small(path: Path) -> None:
    nbformat.validate(read(path))
    assert path.stat().st_size < MOST_BYTES


@each_notebook
def test_a_notebook_begins_with_a_heading_and_ends_with_where_to_go_on(path: Path) -> None:
    first, *_, last = read(path).cells
    assert (first.cell_type, last.cell_type) == ("markdown", "markdown")
    assert first.source.startswith("# ")
    assert "](" in last.source


@each_notebook
def test_all_cells_were_run_in_order_in_one_kernel(path: Path) -> None:
    counts = [cell.execution_count for cell in code_cells(read(path))]
    assert counts == list(range(1, len(counts) + 1))


@each_notebook
def test_the_outputs_are_those_of_the_code_beside_them(path: Path) -> None:
    notebook = read(path)
    assert notebook.metadata["optuna_snn"]["sources"] == digest_of_sources(notebook), (
        "the code was changed after it was run: make notebooks"
    )


@each_notebook
def test_outputs_are_text_and_pictures_without_errors(path: Path) -> None:
    found = outputs(read(path))
    assert {output.output_type for output in found} <= {"stream", "display_data", "execute_result"}
    assert all(output.name == "stdout" for output in found if output.output_type == "stream")
    kinds = {kind for output in found for kind in output.get("data", {})}
    assert kinds <= {"text/plain", "image/png"}, "pages of script and widgets are not stored"
    assert "Warning" not in json.dumps(found)


@each_notebook
def test_every_figure_is_a_picture_of_moderate_size(path: Path) -> None:
    shown = [output.data for output in outputs(read(path)) if "data" in output]
    pictures = [base64.b64decode(data["image/png"]) for data in shown if "image/png" in data]
    assert pictures
    for png in pictures:
        assert png.startswith(b"\x89PNG")
        assert int.from_bytes(png[16:20], "big") <= MOST_PIXELS
    for data in shown:
        assert "image/png" in data or "Figure" not in data["text/plain"], data


@each_notebook
def test_no_machine_is_told(path: Path) -> None:
    notebook = read(path)
    words = [output.get("text", "") for output in outputs(notebook)]
    words += [output.get("data", {}).get("text/plain", "") for output in outputs(notebook)]
    words += [cell.source for cell in notebook.cells]
    words.append(json.dumps(notebook.metadata))
    told = [match[0] for text in words for match in [MACHINE_PATH.search(text)] if match]
    assert not told
    assert not any(cell.metadata for cell in notebook.cells)


@each_notebook
def test_links_lead_to_files_of_the_repository(path: Path) -> None:
    texts = [cell.source for cell in read(path).cells if cell.cell_type == "markdown"]
    targets = [match["target"] for text in texts for match in LINK.finditer(text)]
    local = [target.partition("#") for target in targets if "://" not in target]
    assert local
    for file, _, anchor in local:
        linked = (FOLDER / file).resolve()
        assert linked.is_file(), file
        if anchor:
            headings = re.findall(r"^#+ (.+)$", linked.read_text(), re.MULTILINE)
            assert anchor in {slug(heading) for heading in headings}, f"{file}#{anchor}"


def slug(heading: str) -> str:
    """The anchor that code hosts and MyST make of a heading."""
    return re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")


def test_storing_leaves_out_what_differs_from_machine_to_machine(tmp_path: Path) -> None:
    notebook = read(numbered_notebooks()[0])
    notebook.metadata["language_info"] = {"name": "python", "version": "3.99"}
    notebook.cells[0].metadata["execution"] = {"iopub.execute_input": "2020-01-01"}
    store(notebook, tmp_path / "again.ipynb")
    assert (tmp_path / "again.ipynb").read_bytes() == numbered_notebooks()[0].read_bytes()
