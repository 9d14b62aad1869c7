"""Every `optuna-snn` of the pages is a command line that the command understands."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from pathlib import Path

import pytest
import typer
from typer.exceptions import TyperException

from optuna_snn.cli import app
from tests.docs.blocks import PAGES, ROOT, Block, read_blocks

CALL = re.compile(r"(?<![\w/.-])optuna-snn(?![\w-])(?P<words>[^|;&)`\n]*)")
INLINE = re.compile(r"`(optuna-snn[^`]*)`")
SCRIPT = re.compile(r"python (?:-m (?P<module>[\w.]+)|(?P<file>\S+\.py))")
TARGET = re.compile(r"^make (?P<name>[a-z][\w-]*)", re.MULTILINE)


def calls(text: str) -> Iterator[list[str]]:
    """The words behind each `optuna-snn` of a shell's text, comments left out."""
    for match in CALL.finditer(text.replace("\\\n", " ")):
        yield shlex.split(match["words"], comments=True)


def parse(words: list[str]) -> None:
    """Parse a command line and do nothing; raises for what the command would not understand."""
    command, left = typer.main.get_command(app), [word for word in words if word != "--debug"]
    while getattr(command, "commands", None) and left and not left[0].startswith("-"):
        if left[0] not in command.commands:
            raise ValueError(f"no command {left[0]!r} in: optuna-snn {' '.join(words)}")
        command = command.commands[left.pop(0)]
    command.make_context("optuna-snn", left)


def is_mention(error: TyperException) -> bool:
    """Whether something is missing, as where a text names a command."""
    return type(error).__name__ in ("MissingParameter", "NoArgsIsHelpError")


def shell_blocks(page: Path) -> list[Block]:
    return [block for block in read_blocks(page) if block.has_commands]


pages = pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(ROOT).as_posix())


@pages
def test_command_lines_are_understood(page: Path) -> None:
    for block in shell_blocks(page):
        for words in calls(block.text):
            try:
                parse(words)
            except (TyperException, ValueError) as error:
                pytest.fail(f"{block}: optuna-snn {shlex.join(words)}: {error}")


@pages
def test_commands_that_a_text_names_are_there(page: Path) -> None:
    for match in INLINE.finditer(page.read_text()):
        for words in calls(match[1]):
            try:
                parse(words)
            except (TyperException, ValueError) as error:
                if not (isinstance(error, TyperException) and is_mention(error)):
                    pytest.fail(f"{page.name}: `{match[1]}`: {error}")


@pages
def test_scripts_modules_and_make_targets_are_there(page: Path) -> None:
    targets = re.findall(r"^([a-z][\w-]*):", (ROOT / "Makefile").read_text(), re.MULTILINE)
    for block in shell_blocks(page):
        for match in SCRIPT.finditer(block.text):
            if match["file"]:
                assert (ROOT / match["file"]).is_file(), f"{block}: {match[0]}"
            elif match["module"].startswith("benchmarks"):
                file = ROOT / Path(*match["module"].split(".")).with_suffix(".py")
                assert file.is_file(), f"{block}: {match[0]}"
        for match in TARGET.finditer(block.text):
            assert match["name"] in targets, f"{block}: {match[0]}"


def test_calls_are_found_wherever_a_shell_takes_them() -> None:
    text = (
        'export X="$(optuna-snn db url)"\nA=1 optuna-snn run a.py \\\n  --workers 2  # and more\n'
        "cd x && optuna-snn replay a | tee log\nls optuna-snn-logs .venv/bin/optuna-snn\n"
    )
    assert list(calls(text)) == [
        ["db", "url"], ["run", "a.py", "--workers", "2"], ["replay", "a"],
    ]  # fmt: skip


@pytest.mark.parametrize(
    "line", ["run a.py --worker 2", "run a.py --workers two", "db begin", "replays a", "run"]
)
def test_a_command_line_that_is_none_is_noticed(line: str) -> None:
    with pytest.raises((TyperException, ValueError)):
        parse(line.split())


def test_there_are_command_lines() -> None:
    found = [
        words for page in PAGES for block in shell_blocks(page) for words in calls(block.text)
    ]
    assert {words[0] for words in found} >= {"run", "replay", "retrain", "db", "backends"}
