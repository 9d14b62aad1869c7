"""Where a run leaves its files: beside the SQLite database, else in the current folder.

    <folder>/<stem>.png                      figure of the study
    <folder>/<stem>-logs/worker-node1-0.log  log of each worker, appended by later runs
    <folder>/<stem>-late-results.jsonl       results whose trials had been ended by others

The stem is the database's; a study of another name in the same file adds its own.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from optuna_snn.workers.storage.opening import database_file

__all__ = ["RunFiles", "default_storage", "move_aside", "run_files"]


@dataclass(frozen=True)
class RunFiles:
    """Paths of a run; nothing is created here."""

    folder: Path
    stem: str

    @property
    def figure(self) -> Path:
        """Figure of the study."""
        return self.folder / f"{self.stem}.png"

    @property
    def log_folder(self) -> Path:
        """Folder of the workers' logs."""
        return self.folder / f"{self.stem}-logs"

    @property
    def late_results(self) -> Path:
        """Results that came too late; see late_results.py."""
        return self.folder / f"{self.stem}-late-results.jsonl"

    def worker_log(self, host: str, index: int) -> Path:
        """Log of one worker of the machine `host`."""
        return self.log_folder / f"worker-{host}-{index}.log"


def run_files(url: str, study_name: str) -> RunFiles:
    """The files of study `study_name` in the storage with the full URL `url`."""
    name = _file_stem(study_name)
    database = database_file(url)
    if database is None:
        return RunFiles(Path(), name)
    stem = database.stem
    return RunFiles(database.parent, stem if stem == name else f"{stem}-{name}")


def default_storage(study_name: str) -> str:
    """The database of a study for which none is named: a file in the current folder."""
    return f"{_file_stem(study_name)}.db"


def move_aside(files: list[Path], now: datetime) -> list[Path]:
    """Give each existing file a dated name beside it, and return the new names.

    Never overwrites: a name that is taken gets a number.
    """
    moved = []
    for file in files:
        if not file.exists():
            continue
        base = f"{file.stem}.{now:%Y-%m-%d_%H%M%S}"
        target, n = file.with_name(base + file.suffix), 1
        while target.exists():
            target, n = file.with_name(f"{base}-{n}{file.suffix}"), n + 1
        moved.append(file.rename(target))
    return moved


def _file_stem(study_name: str) -> str:
    return re.sub(r"[^\w.-]+", "_", study_name)
