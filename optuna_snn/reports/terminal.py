"""A report in the terminal."""

from __future__ import annotations

from collections.abc import Sequence

from rich.console import Console
from rich.markup import escape
from rich.table import Table as RichTable
from rich.text import Text

from optuna_snn.reports.contents import Fact, Report, Table

__all__ = ["print_report"]

NAME_WIDTH = 25


def print_report(console: Console, report: Report) -> None:
    """Print a report."""
    console.print(Text(report.study_name, style="bold"))
    _print_facts(console, report.facts)
    best, *others = report.tables
    _print_table(console, best)
    _print_heading(console, "Search")
    _print_facts(console, report.search)
    for table in others:
        _print_table(console, table)
    if report.findings:
        _print_heading(console, "What the data say")
        for finding in report.findings:
            console.print(Text(f"- {finding.evidence}"))
            console.print(Text(f"  {finding.step}", style="green"))


def _print_heading(console: Console, words: str) -> None:
    console.print()
    console.print(Text(words, style="bold"))


def _print_facts(console: Console, facts: Sequence[Fact]) -> None:
    grid = RichTable.grid()
    grid.add_column(width=NAME_WIDTH, style="dim")
    grid.add_column()
    for fact in facts:
        grid.add_row(escape(fact.name), escape(fact.words))
    console.print(grid)


def _print_table(console: Console, table: Table) -> None:
    _print_heading(console, table.title)
    if table.rows:
        drawn = RichTable(box=None, padding=(0, 2, 0, 0), header_style="dim")
        for column in table.columns:
            drawn.add_column(escape(column.name), justify="right" if column.is_number else "left")
        for row in table.rows:
            drawn.add_row(*map(escape, row))
        console.print(drawn)
    if table.note:
        console.print(Text(table.note, style="dim" if table.rows else ""))
