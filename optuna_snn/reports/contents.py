"""The contents of a report, whatever it is printed on: facts, tables and sentences."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

__all__ = ["Column", "Fact", "Finding", "Report", "Table"]


@dataclass(frozen=True)
class Column:
    """A column of a table."""

    name: str
    is_number: bool = False


@dataclass(frozen=True)
class Table:
    """A table of words; `note` below it, or in its place where it has no rows."""

    title: str
    columns: Sequence[Column] = ()
    rows: Sequence[Sequence[str]] = ()
    note: str = ""


@dataclass(frozen=True)
class Fact:
    """A name and what is known of it."""

    name: str
    words: str


@dataclass(frozen=True)
class Finding:
    """What the data show, with its numbers, and what follows from it."""

    evidence: str
    step: str


@dataclass(frozen=True)
class Report:
    """A study at one moment.

    tables:   the best trials, what was stopped, the workers
    search:   how far the search is
    findings: what to try next; empty where the data say nothing
    """

    study_name: str
    facts: Sequence[Fact]
    tables: Sequence[Table]
    search: Sequence[Fact]
    findings: Sequence[Finding]
