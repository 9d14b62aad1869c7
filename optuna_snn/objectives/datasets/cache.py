"""The user's cache folder, and files that get into place whole or not at all."""

from __future__ import annotations

import os
import shutil
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

__all__ = ["CACHE_VARIABLE", "cache_folder", "put_in_place"]

CACHE_VARIABLE = "OPTUNA_SNN_CACHE"
"""Environment variable that names another cache folder."""


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
    raises.

    Raises OSError where nothing can be written.
    """
    unfinished = path.with_name(f"{path.name}.{uuid.uuid4().hex}.tmp")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        yield unfinished
        try:
            unfinished.replace(path)
        except OSError:
            if not (unfinished.is_dir() and path.is_dir()):
                raise
    finally:
        with suppress(OSError):
            if unfinished.is_dir():
                shutil.rmtree(unfinished)
            else:
                unfinished.unlink(missing_ok=True)
