"""The fenced blocks of the pages, in order."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from textwrap import dedent

ROOT = Path(__file__).resolve().parents[2]
DOCS = ROOT / "docs"
PAGES = tuple(sorted([ROOT / "README.md", *DOCS.rglob("*.md")]))
"""All pages that are written by hand. Their Markdown is what is read here, not what is built."""

FENCE = re.compile(r"(?P<indent> *)(?P<ticks>`{3,}|~{3,})(?P<language>[^\s`]*)[^`]*$")
COMMANDS = ("", "bash", "sh", "shell", "console")
"""Languages of blocks with command lines; most of them say none."""


@dataclass(frozen=True)
class Block:
    """A fenced block of a page."""

    page: str
    """Path from the root of the repository."""
    line: int
    """Of its first line of text, counted from 1."""
    language: str
    text: str

    @property
    def is_python(self) -> bool:
        return self.language in ("python", "py", "pycon", "python3")

    @property
    def has_commands(self) -> bool:
        return self.language in COMMANDS

    def __str__(self) -> str:
        return f"{self.page}:{self.line}"


def blocks_of(text: str, page: str) -> Iterator[Block]:
    """All fenced blocks; ValueError for one that is not closed."""
    opened, start, lines = None, 0, list[str]()
    for number, line in enumerate(text.splitlines(), 1):
        fence = FENCE.match(line)
        if opened is None:
            if fence:
                opened, start, lines = fence, number + 1, []
        elif fence and not fence["language"] and fence["ticks"].startswith(opened["ticks"]):
            yield Block(page, start, opened["language"], dedent("\n".join(lines)) + "\n")
            opened = None
        else:
            lines.append(line)
    if opened is not None:
        raise ValueError(f"{page}: the block at line {start} is not closed")


def read_blocks(page: Path) -> list[Block]:
    """The blocks of one page."""
    return list(blocks_of(page.read_text(), page.relative_to(ROOT).as_posix()))
