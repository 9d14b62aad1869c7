"""Reads the package's docstrings, which are written for the eye, as reStructuredText.

Four habits of theirs mean something else there:

    `name`                  is code, and a link where the reference has that name
    name:  what it is       is an entry of a list, if `name` is a parameter of the function or the
           more of it       class; so are several names with commas between them
        a block             that is indented is shown as it stands, but for examples with >>>
    a: b                    in the docstring of an attribute is a sentence, and `a` no type
"""

from __future__ import annotations

import inspect
import re
import textwrap
from collections.abc import Collection, Mapping, Sequence
from functools import partial
from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from sphinx.application import Sphinx

BEFORE_NAPOLEON, AFTER_NAPOLEON = 400, 600
"""Priorities; that extension reads the sections (Args, Raises, ...), at 500."""

PUBLIC = (
    "optuna_snn",
    "optuna_snn.checkpoints",
    "optuna_snn.database",
    "optuna_snn.objectives",
    "optuna_snn.retraining",
    "optuna_snn.visualization",
    "optuna_snn.workers",
)
"""Packages whose names are links wherever they stand; of names in several, the first is meant."""

SINGLE_BACKTICKS = re.compile(r"(?<![`:\w])`(?!`)([^`\n]+)`(?![`\w])")
DOTTED_NAME = re.compile(r"[A-Za-z_]\w*(\.[A-Za-z_]\w*)*(\(\))?")
SECTION = re.compile(r"(Args|Attributes|Examples?|Note|Raises|Returns|Yields):\s*$")
FIELD = re.compile(r"(?P<names>\w+(, \w+)*): +(?P<text>\S.*)")
ALIAS = re.compile(r"TypeAliasForwardRef\('(\w+)'\)")
"""How autodoc writes an alias of `autodoc_type_aliases` inside of another type."""
ITEM = re.compile(r"([-*]|\d+\.) ")


def readable(
    lines: Sequence[str],
    parameters: Collection[str] = (),
    places: Mapping[str, str] | None = None,
) -> list[str]:
    """The lines of a docstring as reStructuredText; sections are left to napoleon.

    parameters: names that make a line "name: text" an entry of a list
    places:     name -> full name in the reference, for names that are links everywhere
    """
    linked = partial(_linked, places=places or {})
    found: list[str] = []
    position = 0
    while position < len(lines):
        line = lines[position]
        end = _end_of_indented(lines, position + 1)
        field = FIELD.match(line)
        if SECTION.match(line):
            found += linked(lines[position:end])
        elif field and set(field["names"].split(", ")) <= set(parameters):
            more = textwrap.dedent("\n".join(lines[position + 1 : end])).splitlines()
            body = linked([field["text"], *more])
            found += [
                "",
                f"``{field['names']}``",
                *textwrap.indent("\n".join(body), "    ").splitlines(),
            ]
            found.append("")
        elif ITEM.match(line):
            found += linked(lines[position:end])
        elif line.startswith(" "):
            found += _shown_as_it_stands(lines[position:end])
        else:
            found += linked([line])
            end = position + 1
        position = end
    return found


def _end_of_indented(lines: Sequence[str], position: int) -> int:
    """Where the lines end that are indented or empty; empty ones at the end are left out."""
    end = position
    for number, line in enumerate(lines[position:], position + 1):
        if line.startswith(" "):
            end = number
        elif line:
            break
    return end


def _shown_as_it_stands(block: Sequence[str]) -> list[str]:
    is_example = any(line.lstrip().startswith(">>>") for line in block)
    return ["", *block, ""] if is_example else ["", ".. code-block:: text", "", *block, ""]


def _linked(lines: Sequence[str], places: Mapping[str, str]) -> list[str]:
    """The lines with names in single backticks as links, and other things in them as code."""

    def shown(match: re.Match[str]) -> str:
        inside = match[1]
        if not DOTTED_NAME.fullmatch(inside):
            return f"``{inside}``"
        first, dot, rest = inside.removesuffix("()").partition(".")
        place = f" <{places[first]}{dot}{rest}>" if first in places else ""
        return f":py:obj:`{inside}{place}`"

    is_example = any(line.lstrip().startswith(">>>") for line in lines)
    return list(lines) if is_example else [SINGLE_BACKTICKS.sub(shown, line) for line in lines]


def _places() -> dict[str, str]:
    """Public name -> full name."""
    return {
        name: f"{package}.{name}"
        for package in reversed(PUBLIC)
        for name in import_module(package).__all__
    }


def _parameters(described: Any) -> Collection[str]:
    try:
        return inspect.signature(described).parameters
    except (TypeError, ValueError):  # a module, a number, what has no signature
        return ()


def setup(app: Sphinx) -> dict[str, Any]:
    """Read docstrings before napoleon does, and keep those of attributes from it."""
    kept: dict[str, list[str]] = {}
    places = _places()

    def before(app: Sphinx, what: str, name: str, obj: Any, _: Any, lines: list[str]) -> None:
        lines[:] = readable(lines, _parameters(obj) if callable(obj) else (), places)
        kept[name] = list(lines)

    def after(app: Sphinx, what: str, name: str, obj: Any, _: Any, lines: list[str]) -> None:
        if what in ("attribute", "data", "property"):
            lines[:] = kept[name]

    def plain_signature(
        app: Sphinx,
        what: str,
        name: str,
        obj: Any,
        _: Any,
        signature: str | None,
        result: str | None,
    ) -> tuple[str | None, str | None]:
        return signature and ALIAS.sub(r"\1", signature), result and ALIAS.sub(r"\1", result)

    app.connect("autodoc-process-signature", plain_signature)
    app.connect("autodoc-process-docstring", before, priority=BEFORE_NAPOLEON)
    app.connect("autodoc-process-docstring", after, priority=AFTER_NAPOLEON)
    return {"parallel_read_safe": True}
