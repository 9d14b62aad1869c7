"""The user's cache folder, and files that get into place whole or not at all."""

from __future__ import annotations

import glob
import os
import shutil
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

__all__ = ["CACHE_VARIABLE", "cache_folder", "put_in_place"]

CACHE_VARIABLE = "OPTUNA_SNN_CACHE"
"""Environment variable that names another cache folder."""
HEX_NAME = "[0-9a-f]" * 32
"""What the names of unfinished files hold, and those of others do not."""
LEFTOVER_AGE_S = 24 * 3600.0
"""What is unfinished for so long, a killed process has left behind."""


def cache_folder() -> Path:
    """The folder of what can be made or fetched again; it need not exist yet."""
    if folder := os.environ.get(CACHE_VARIABLE):
        return Path(folder)
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "optuna_snn"


@contextmanager
def put_in_place(path: Path) -> Iterator[Path]:
    """Give a path beside `path` to write a file or folder to; it becomes `path` in one step.

    Workers that start together see all of it or none. A file replaces an older one; of several
    folders the first one stays, the others are dropped. What was written is removed if the block
    raises; what killed processes left beside `path`, a day later.

    Raises OSError where nothing can be written.
    """
    unfinished = path.with_name(f"{path.name}.{uuid.uuid4().hex}.tmp")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        _remove_leftovers(path)
        yield unfinished
        try:
            unfinished.replace(path)
        except OSError:
            if not (unfinished.is_dir() and path.is_dir()):
                raise
    finally:
        _remove(unfinished)


def _remove_leftovers(path: Path) -> None:
    for leftover in path.parent.glob(f"{glob.escape(path.name)}.{HEX_NAME}.tmp"):
        with suppress(OSError):  # its process, or another that tidies up, may just remove it
            if time.time() - leftover.stat().st_mtime > LEFTOVER_AGE_S:
                _remove(leftover)


def _remove(path: Path) -> None:
    with suppress(OSError):
        if path.is_dir():
            shutil.rmtree(path)
        else:
            path.unlink(missing_ok=True)
