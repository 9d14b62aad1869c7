"""Files that are whole or not there, and that know when they were damaged.

    MAGIC     names format and version
    digest    SHA-256 of the content, 32 bytes
    content

A file is written beside its place, forced to the disk and moved there in one step: whoever reads
it, and whenever the machine stops, there is the former content or the new one. The digest finds
what remains: disks that err, and network file systems that do not keep that promise. There is
therefore no second generation of each file.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
from pathlib import Path

MAGIC = b"optuna_snn checkpoint 1\n"
PARTIAL_SUFFIX = ".partial"


def write_whole(path: Path, content: bytes | memoryview) -> None:
    """Put the content in the place of the file, which afterwards is on the disk.

    Folders are made. One process writes a path at a time; any number may read it.
    Raises OSError if it cannot be written; the former file is still there then.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = partial_of(path)
    try:
        with partial.open("wb") as file:
            file.write(MAGIC)
            file.write(hashlib.sha256(content).digest())
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        partial.replace(path)
    except BaseException:  # also when the worker is told to stop: half a file serves nobody
        with contextlib.suppress(OSError):
            partial.unlink(missing_ok=True)
        raise
    _sync_folder(path.parent)


def read_whole(path: Path) -> memoryview:
    """Return the content that was written.

    Raises FileNotFoundError if there is no file, ValueError if it is damaged or something else.
    """
    stored = memoryview(path.read_bytes())
    if stored[: len(MAGIC)] != MAGIC:
        raise ValueError(f"it does not begin with {MAGIC!r}")
    start = len(MAGIC) + hashlib.sha256().digest_size
    content = stored[start:]
    if hashlib.sha256(content).digest() != stored[len(MAGIC) : start]:
        raise ValueError("its digest does not fit its content")
    return content


def partial_of(path: Path) -> Path:
    """Return where the file is written before it is moved to its place."""
    return path.with_name(path.name + PARTIAL_SUFFIX)


def _sync_folder(folder: Path) -> None:
    """Force the new name to the disk, where the file system can: the content is there already."""
    with contextlib.suppress(OSError):
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
