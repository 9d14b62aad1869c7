"""A directive that lists the commands of `optuna-snn` with their arguments and options.

    .. command-options::

They are read from the command line's own definition, as its `--help` does.
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from docutils import nodes
from docutils.parsers.rst import Directive

if TYPE_CHECKING:
    from sphinx.application import Sphinx

PROGRAM = "optuna-snn"
OPTION = re.compile(r"(--[a-z][\w-]*)")


def leaves(command: Any, words: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], Any]]:
    """All commands below a group that do something, with the words that call them."""
    subcommands = getattr(command, "commands", None)
    if not subcommands or (command.callback is not None and words):
        yield words, command
    for name, subcommand in (subcommands or {}).items():
        if not subcommand.hidden:
            yield from leaves(subcommand, (*words, name))


class CommandOptions(Directive):
    """One section per command: usage, what it does, arguments and options."""

    def run(self) -> list[nodes.Node]:
        """The sections."""
        import typer

        from optuna_snn.cli import app

        return [_section(words, command) for words, command in leaves(typer.main.get_command(app))]


def _section(words: tuple[str, ...], command: Any) -> nodes.Node:
    title = " ".join((PROGRAM, *words))
    section = nodes.section("", nodes.title("", title), ids=[nodes.make_id(title)])
    section += [_paragraph(part) for part in inspect.cleandoc(command.help or "").split("\n\n")]
    listed = nodes.definition_list()
    context = command.context_class(command, info_name=title)
    for parameter in command.params:
        record = parameter.get_help_record(context)
        if record is None:  # hidden
            continue
        name, what = record
        listed += nodes.definition_list_item(
            "",
            nodes.term("", "", nodes.literal("", name.strip())),
            nodes.definition("", nodes.paragraph("", "", *_words(what))),
        )
    if len(listed):
        section += listed
    return section


def _paragraph(text: str) -> nodes.Node:
    """A paragraph, or lines one below the other where they list numbers: exit codes."""
    lines = text.splitlines()
    if not any(line[:1].isdigit() for line in lines[1:]):
        return nodes.paragraph("", "", *_words(text))
    return nodes.line_block("", *(nodes.line("", "", *_words(line), indent=0) for line in lines))


def _words(text: str) -> list[nodes.Node]:
    """The text, with its options as code."""
    return [
        nodes.literal("", part) if OPTION.fullmatch(part) else nodes.Text(part)
        for part in OPTION.split(text)
    ]


def setup(app: Sphinx) -> dict[str, Any]:
    """Add the directive."""
    app.add_directive("command-options", CommandOptions)
    return {"parallel_read_safe": True}
