"""Run the notebooks, each in a fresh kernel, and store what they show.

    python notebooks/execute.py                  all of them; outputs are stored (`make notebooks`)
    python notebooks/execute.py 2_out*.ipynb     these
    python notebooks/execute.py --check [...]    run them and store nothing: the tests' way

A kernel works in an empty folder. Figures of `optuna_snn.visualization` are interactive where a
reader runs a notebook; such a figure is megabytes of script that no code host shows, so that
what is stored is the same picture as a PNG, drawn by matplotlib.
"""

from __future__ import annotations

import argparse
import hashlib
import os
import sys
import tempfile
from pathlib import Path

import nbformat
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError
from nbformat import NotebookNode
from nbformat.v4 import new_code_cell

FOLDER = Path(__file__).resolve().parent
TIMEOUT_S = 300
"""Of one cell."""

PICTURES_AS_PNG = """
import optuna_snn.visualization as _visualization
from optuna_snn.drawing.by_matplotlib import draw_with_matplotlib as _draw
_visualization.draw_with_plotly = _draw
del _visualization, _draw
"""


def numbered_notebooks() -> list[Path]:
    """The notebooks, in the order in which they are read."""
    return sorted(FOLDER.glob("[0-9]*_*.ipynb"))


def digest_of_sources(notebook: NotebookNode) -> str:
    """Of all code cells: tells whether stored outputs are those of the code beside them."""
    code = "\0".join(cell.source for cell in notebook.cells if cell.cell_type == "code")
    return hashlib.sha256(code.encode()).hexdigest()[:16]


def run(notebook: NotebookNode, *, has_png_figures: bool) -> None:
    """Run all cells in a fresh kernel; outputs go into the notebook.

    Raises RuntimeError with the number, the source and the traceback of a cell that fails, and
    for one that writes to stderr, which is where warnings go.
    """
    with tempfile.TemporaryDirectory(prefix="notebook-") as folder:
        client = NotebookClient(notebook, timeout=TIMEOUT_S, record_timing=False)
        client.create_kernel_manager()
        # Sockets in the folder, and no port that others could reach.
        client.km.transport, client.km.ip = "ipc", str(Path(folder) / "kernel")
        with client.setup_kernel(cwd=folder, env=_environment(folder)):
            if has_png_figures:
                # A cell that is run has to be in the notebook; this one is in it while it runs.
                notebook.cells.insert(0, new_code_cell(PICTURES_AS_PNG))
                client.execute_cell(notebook.cells[0], 0, store_history=False)
                del notebook.cells[0]
            for number, cell in enumerate(notebook.cells, 1):
                _run_cell(client, cell, number)


def _run_cell(client: NotebookClient, cell: NotebookNode, number: int) -> None:
    try:
        client.execute_cell(cell, number - 1)
    except CellExecutionError as error:
        raise RuntimeError(f"cell {number} failed:\n{error}") from error
    for output in cell.get("outputs", ()):
        if output.get("name") == "stderr":
            raise RuntimeError(
                f"cell {number} warns:\n{output['text']}\nIts source:\n{cell.source}"
            )


def _environment(folder: str) -> dict[str, str]:
    """Of the kernel: its history is kept nowhere, and tqdm misses no widgets for its bars."""
    ignored = ",".join(filter(None, [os.environ.get("PYTHONWARNINGS"), "ignore:IProgress"]))
    return {**os.environ, "IPYTHONDIR": folder, "PYTHONWARNINGS": ignored}


def store(notebook: NotebookNode, path: Path) -> None:
    """Write an executed notebook, without what differs from machine to machine."""
    notebook.metadata = {
        "kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
        "language_info": {"name": "python"},
        "optuna_snn": {"sources": digest_of_sources(notebook)},
    }
    for cell in notebook.cells:
        cell.metadata = {}
    nbformat.validate(notebook)
    nbformat.write(notebook, path)


def main() -> int:
    """Run what the command line names; 1 if one of them fails."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("notebooks", nargs="*", type=Path, help="all unless some are named")
    parser.add_argument("--check", action="store_true", help="run them, store nothing")
    chosen = parser.parse_args()
    for path in chosen.notebooks or numbered_notebooks():
        notebook = nbformat.read(path, as_version=4)
        try:
            run(notebook, has_png_figures=not chosen.check)
        except RuntimeError as error:
            print(f"{path.name}, {error}", file=sys.stderr)
            return 1
        if not chosen.check:
            store(notebook, path)
            print(f"{path.name}: {path.stat().st_size / 1000:.0f} kB")
    return 0


if __name__ == "__main__":
    sys.exit(main())
