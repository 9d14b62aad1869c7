"""`optuna-snn report`: what a study has come to, in the terminal and as a page with figures."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from optuna_snn.cli.options import NameOption, StorageOption

if TYPE_CHECKING:
    from rich.console import Console

    from optuna_snn.reports.contents import Report
    from optuna_snn.visualization.reading import Reading

__all__ = ["report_command"]

DEFAULT_TOP = 5
PAGE = "report.html"


def report_command(
    study: Annotated[
        str, typer.Argument(metavar="STUDY", help="Name of the study, or its study file.")
    ],
    out: Annotated[
        Path | None,
        typer.Option(
            "--out", help="Folder for report.html, which works offline, and the figures as PNG."
        ),
    ] = None,
    top: Annotated[int, typer.Option("--top", help="Best feasible trials to show.")] = DEFAULT_TOP,
    storage: StorageOption = None,
    study_name: NameOption = None,
) -> None:
    """Report the best feasible trials, what was stopped and why, the search and its workers.

    What to try next is said where the data show it. The study may run meanwhile; nothing is
    written to it.
    """
    import optuna

    optuna.logging.set_verbosity(optuna.logging.WARNING)
    from rich.console import Console

    from optuna_snn.reports.study_report import study_report
    from optuna_snn.reports.terminal import print_report
    from optuna_snn.visualization.reading import read_study
    from optuna_snn.workers.errors import RunError
    from optuna_snn.workers.stored_study import load_stored_study

    stored = load_stored_study(study, storage=storage, study_name=study_name)
    reading = read_study(stored)
    ages = _heartbeat_ages(stored.study_name, storage)
    try:
        report = study_report(reading, heartbeat_ages=ages, top=top)
    except ValueError as error:
        raise RunError(str(error)) from error
    console = Console()
    print_report(console, report)
    if out is not None:
        _save(console, report, reading, out)


def _save(console: Console, report: Report, reading: Reading, folder: Path) -> None:
    """Save page and figures; tell where they are."""
    from datetime import datetime

    from optuna_snn.workers.errors import RunError

    try:
        from optuna_snn.reports.figures import report_pictures, save_pngs
        from optuna_snn.reports.page import save_page

        pictures = report_pictures(reading)
        folder.mkdir(parents=True, exist_ok=True)
        page = save_page(report, pictures, folder / PAGE, datetime.now())
        images = save_pngs(pictures, folder)
    except ImportError as error:
        if "plotly" not in str(error) and "matplotlib" not in str(error):
            raise
        raise RunError(
            "--out draws figures by matplotlib and plotly: pip install 'optuna-snn[figures]'"
        ) from error
    except OSError as error:
        raise RunError(f"--out {folder} cannot be written: {error}") from error
    console.print()
    console.print(f"page: {page}", style="dim", soft_wrap=True, markup=False, highlight=False)
    names = ", ".join(image.name for image in images)
    console.print(f"figures: {names}", style="dim", markup=False, highlight=False)


def _heartbeat_ages(name: str, storage: str | None) -> dict[int, float] | None:
    """Seconds since the last heartbeats, from a storage that knows heartbeats."""
    from optuna_snn.workers.run_files import default_storage
    from optuna_snn.workers.storage.opening import (
        OPENING_PATIENCE_S,
        WorkerStorage,
        normalise_url,
        open_storage,
    )

    url = normalise_url(storage or default_storage(name))
    opened = open_storage(url, patience_s=OPENING_PATIENCE_S)
    return opened.heartbeat_ages(name) if isinstance(opened, WorkerStorage) else None
