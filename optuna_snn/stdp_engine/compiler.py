"""Imports the compiled kernels, and compiles them once for all processes of a machine.

Compiled code is kept on disk, in a folder named by a digest of its sources: Numba itself compares
the time of one of the files only, and trips over records that were renamed. The folder is in the
first of these places that can be written to: where the environment variable NUMBA_CACHE_DIR says,
beside this file, in the user's cache, among the system's temporary files.

Numba puts finished files in place, so that workers do no harm to each other; but each that finds
none would spend seconds on the same code. Here the first holds a lock meanwhile; the others wait
and read what it made.
"""

from __future__ import annotations

import hashlib
import importlib
import importlib.util
import logging
import os
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from time import perf_counter
from types import ModuleType
from typing import Any

from optuna_snn.backends.errors import MissingPackageError

__all__ = ["INSTALL_COMMAND", "is_installed", "load", "require"]

INSTALL_COMMAND = 'pip install "optuna-snn[fast]"'
SOURCES = ("records.py", "kernels/*.py")
LOCK_FILE = "compiling.lock"
WORTH_A_LINE_S = 2.0

_logger = logging.getLogger(__name__)
_thread_lock = threading.Lock()
_kernels: ModuleType | None = None


def is_installed() -> bool:
    """Whether Numba, which compiles the engine, is installed; it is not imported."""
    return importlib.util.find_spec("numba") is not None


def require() -> None:
    """Raise MissingPackageError unless Numba is installed; it is not imported."""
    if not is_installed():
        raise _missing("is not installed")


def load() -> Any:
    """The module of kernels, compiled: at the first call of a machine that takes some seconds.

    Raises:
        MissingPackageError: Numba is not installed, or cannot be imported.
    """
    global _kernels
    with _thread_lock:
        if _kernels is None:
            kernels, folder = _import()
            started_at = perf_counter()
            with _one_process_at_a_time(folder):
                kernels.compile_all()
            seconds = perf_counter() - started_at
            if seconds > WORTH_A_LINE_S:
                _logger.info("The STDP engine was compiled in %.1f s.", seconds)
            _kernels = kernels
        return _kernels


def _import() -> tuple[ModuleType, Path]:
    """The kernels, not compiled yet, and the folder of their compiled code."""
    try:
        numba = importlib.import_module("numba")
    except ImportError as error:
        found = is_installed()
        raise _missing(f"cannot be imported ({error})" if found else "is not installed") from error
    folder = _cache_folder()
    configured = numba.config.CACHE_DIR
    try:
        numba.config.CACHE_DIR = str(folder)  # read when the kernels are decorated
        return importlib.import_module("optuna_snn.stdp_engine.kernels"), folder
    finally:
        numba.config.CACHE_DIR = configured


def _cache_folder() -> Path:
    """A folder for the code compiled from these sources, which exists."""
    here = Path(__file__).parent
    sources = b"".join(file.read_bytes() for name in SOURCES for file in sorted(here.glob(name)))
    name = f"optuna-snn-stdp-{hashlib.sha256(sources).hexdigest()[:16]}"
    chosen = os.environ.get("NUMBA_CACHE_DIR")
    user = os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache")
    parents = [Path(chosen)] if chosen else []
    for parent in (*parents, here / "__pycache__", Path(user)):
        with suppress(OSError):
            folder = parent / name
            folder.mkdir(parents=True, exist_ok=True)
            with tempfile.TemporaryFile(dir=folder):
                return folder
    return Path(tempfile.mkdtemp(prefix=name))


def _missing(reason: str) -> MissingPackageError:
    return MissingPackageError(
        f"Numba, which compiles the STDP engine, {reason}; run: {INSTALL_COMMAND}, "
        'or take engine="bindsnet"'
    )


@contextmanager
def _one_process_at_a_time(folder: Path) -> Iterator[None]:
    """Wait until no other process is inside; the system frees the lock of one that dies.

    Where files cannot be locked, processes do not wait: they compile beside each other.
    """
    try:
        import fcntl

        file = (folder / LOCK_FILE).open("w")
    except (ImportError, OSError):
        yield
        return
    with file:
        with suppress(OSError):
            fcntl.flock(file, fcntl.LOCK_EX)
        yield
