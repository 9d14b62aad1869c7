"""A report as one HTML file that needs no network: plotly is in it, once.

Light and dark follow the reader's system until a switch says otherwise. Each figure is stored for
both papers, and drawn again when they change.
"""

from __future__ import annotations

import html
import json
from collections.abc import Sequence
from datetime import datetime
from importlib.resources import files
from pathlib import Path
from string import Template

from optuna_snn.drawing.by_plotly import draw_with_plotly
from optuna_snn.drawing.palette import PAPERS, Theme
from optuna_snn.drawing.pictures import Picture
from optuna_snn.reports.contents import Fact, Finding, Report, Table

__all__ = ["save_page"]

THEMES: tuple[Theme, ...] = ("light", "dark")


def save_page(report: Report, pictures: Sequence[Picture], path: Path, now: datetime) -> Path:
    """Write a report with its figures into an HTML file at `path`, which is returned.

    Raises ImportError without plotly.
    """
    drawings = [[draw_with_plotly(picture, theme) for theme in THEMES] for picture in pictures]
    from plotly.offline import get_plotlyjs

    template = Template(files("optuna_snn.reports").joinpath("page.html").read_text("utf-8"))
    best, *others = report.tables
    text = template.substitute(
        title=html.escape(report.study_name),
        date=f"{now:%Y-%m-%d %H:%M}",
        paper_light=PAPERS["light"].background,
        paper_dark=PAPERS["dark"].background,
        facts=_facts(report.facts),
        best=_table(best),
        search=_facts(report.search),
        tables="\n".join(map(_table, others)),
        findings=_findings(report.findings),
        figures="\n".join(
            f'<div class="wide"><div class="figure" id="{p.name}"></div></div>' for p in pictures
        ),
        plotly=get_plotlyjs(),
        drawings=_script_json(
            {
                picture.name: {
                    theme: json.loads(drawing.to_json())
                    for theme, drawing in zip(THEMES, both, strict=True)
                }
                for picture, both in zip(pictures, drawings, strict=True)
            }
        ),
    )
    path.write_text(text, encoding="utf-8")
    return path


def _facts(facts: Sequence[Fact]) -> str:
    rows = (
        f"<dt>{html.escape(fact.name)}</dt><dd>{html.escape(fact.words)}</dd>" for fact in facts
    )
    return f"<dl>{''.join(rows)}</dl>"


def _table(table: Table) -> str:
    text = f"<h2>{html.escape(table.title)}</h2>\n"
    classes = ['class="number"' if column.is_number else "" for column in table.columns]
    if table.rows:
        head = "".join(
            f"<th {kind}>{html.escape(column.name)}</th>"
            for kind, column in zip(classes, table.columns, strict=True)
        )
        body = "\n".join(
            "<tr>"
            + "".join(
                f"<td {kind}>{html.escape(cell)}</td>"
                for kind, cell in zip(classes, row, strict=True)
            )
            + "</tr>"
            for row in table.rows
        )
        text += f'<div class="wide"><table><thead><tr>{head}</tr></thead>{body}</table></div>\n'
    if table.note:
        text += f'<p class="note">{html.escape(table.note)}</p>\n'
    return text


def _findings(findings: Sequence[Finding]) -> str:
    if not findings:
        return ""
    items = (
        f"<li>{html.escape(each.evidence)} <strong>{html.escape(each.step)}</strong></li>"
        for each in findings
    )
    return f"<h2>What the data say</h2>\n<ul>{''.join(items)}</ul>"


def _script_json(value: object) -> str:
    """JSON that may stand inside a script element, whatever the words in it."""
    return json.dumps(value).replace("<", "\\u003c")
