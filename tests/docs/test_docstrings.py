"""What docstrings show, and how the site reads them."""

from __future__ import annotations

import doctest
import importlib.util
import pkgutil
import re
import types
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from textwrap import dedent

import optuna
import pytest

import optuna_snn
from tests.docs.blocks import DOCS

CODE_BLOCK = re.compile(r"^( *)\.\. code-block:: python\n\n((?:\1 +.*\n|\n)+)", re.MULTILINE)
ROOT = Path(optuna_snn.__file__).parent


def modules_with_examples() -> Iterator[str]:
    for found in pkgutil.walk_packages(optuna_snn.__path__, "optuna_snn."):
        path = ROOT.parent / found.name.replace(".", "/")
        file = path / "__init__.py" if found.ispkg else path.with_suffix(".py")
        text = file.read_text()
        if ">>> " in text or CODE_BLOCK.search(text):
            yield found.name


def plain_docstrings() -> types.ModuleType:
    """The extension of the site, which is no part of the package."""
    path = DOCS / "_extensions" / "plain_docstrings.py"
    spec = importlib.util.spec_from_file_location("plain_docstrings", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


readable: Callable[..., list[str]] = plain_docstrings().readable


@pytest.fixture(autouse=True)
def as_a_reader(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    optuna.logging.set_verbosity(optuna.logging.WARNING)


@pytest.mark.parametrize("name", [*modules_with_examples()])
def test_the_examples_of_a_module_run(name: str) -> None:
    module = importlib.import_module(name)
    results = doctest.testmod(module)
    assert results.failed == 0
    assert module.__file__ is not None
    for match in CODE_BLOCK.finditer(Path(module.__file__).read_text()):
        exec(compile(dedent(match[2]), name, "exec"), {"__name__": "example"})


def test_examples_are_found() -> None:
    found = set(modules_with_examples())
    assert {"optuna_snn.sampler", "optuna_snn.pruner", "optuna_snn.search_trace"} <= found


def read(text: str, parameters: Sequence[str] = ()) -> str:
    return "\n".join(readable(dedent(text).strip().splitlines(), parameters))


def test_single_backticks_are_links_to_names_and_code_otherwise() -> None:
    assert read("See `SpikeMonitor.state`, ``x`` and `a <b>`.") == (
        "See :py:obj:`SpikeMonitor.state`, ``x`` and ``a <b>``."
    )


def test_public_names_are_links_wherever_they_stand() -> None:
    places = {"SpikeMonitor": "optuna_snn.SpikeMonitor"}
    assert readable(["See `SpikeMonitor.state()` and `Other`."], (), places) == [
        "See :py:obj:`SpikeMonitor.state() <optuna_snn.SpikeMonitor.state>` and :py:obj:`Other`."
    ]


def test_parameters_below_each_other_are_entries_of_a_list() -> None:
    text = """
        Take it in.

        counts, gaps: (n,) of each
              sample
        Nothing: is one.
        """
    lines = [line for line in read(text, ["counts", "gaps"]).splitlines() if line]
    assert lines == [
        "Take it in.", "``counts, gaps``", "    (n,) of each", "    sample", "Nothing: is one.",
    ]  # fmt: skip


def test_blocks_stand_as_they_are_but_examples_and_sections() -> None:
    text = """
        It is

            a     b

            >>> 1 + 1
            2

        Args:
            a: the `b`
        """
    assert "code-block" not in read(text), "an example in the block keeps it as it is"
    assert "    >>> 1 + 1\n    2" in read(text)
    assert "Args:\n    a: the :py:obj:`b`" in read(text)
    assert "\n.. code-block:: text\n\n    x   y\n" in read("It is\n\n    x   y\nand so on")
