"""Imports the compiled kernels, and compiles them once for all processes of a machine.

Compiled code is kept on disk, in a folder named by a digest of its sources: Numba itself compares
the time of one of the files only, and trips over records that were renamed. The folder is in the
first of these places that can be written to: where the environment variable NUMBA_CACHE_DIR says,
beside this file, in the user's cache, among the system's temporary files. Folders of other sources
that nobody has used for some months are removed when one is compiled.

Numba puts finished files in place, so that workers do no harm to each other; but each that finds
none would spend seconds on the same code. Here the first holds a lock meanwhile, and leaves a mark
when it has finished; the others wait for that, and read what it made, all at once.
"""

from __future__ import annotations

import hashlib
import importlib
import importlib.util
import logging
import os
import pickle
import shutil
import stat
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from types import ModuleType
from typing import Any

from optuna_snn.backends.errors import MissingPackageError

__all__ = ["INSTALL_COMMAND", "is_installed", "load", "require"]

INSTALL_COMMAND = 'pip install "optuna-snn[fast]"'
SOURCES = ("records.py", "kernels/*.py")
PREFIX = "optuna-snn-stdp-"
LOCK_FILE = "compiling.lock"
UNUSED_S = 90 * 24 * 3600.0

BROKEN = (ImportError, OSError, AttributeError, SystemError)
"""What the import of a package raises that does not fit its libraries, or NumPy."""
UNREADABLE = (pickle.UnpicklingError, AttributeError, EOFError, ImportError, IndexError)
"""What reading a damaged pickle raises, as the documentation of pickle lists it."""

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
            kernels, folder, mark = _import()
            if mark.exists():
                _compile(kernels, folder)
            else:
                with _one_process_at_a_time(folder):
                    _compile(kernels, folder)
            with suppress(OSError):  # a full disk: nothing is lost but the mark
                mark.touch()  # each time, which tells that the folder is in use
            _kernels = kernels
        return _kernels


def _import() -> tuple[ModuleType, Path, Path]:
    """The kernels, not compiled yet; the folder of their compiled code; its mark."""
    try:
        numba = importlib.import_module("numba")
        cpu = importlib.import_module("llvmlite.binding").get_host_cpu_name()
    except BROKEN as error:
        found = is_installed()
        raise _missing(f"cannot be imported ({error})" if found else "is not installed") from error
    folder = _cache_folder()
    configured = numba.config.CACHE_DIR
    try:
        numba.config.CACHE_DIR = str(folder)  # read when the kernels are decorated
        kernels = importlib.import_module("optuna_snn.stdp_engine.kernels")
    finally:
        numba.config.CACHE_DIR = configured
    return kernels, folder, _mark(folder, numba.__version__, cpu)


def _compile(kernels: Any, folder: Path) -> None:
    """Compile the kernels, or read them from the folder; damaged files are made anew."""
    started_at = time.perf_counter()
    try:
        kernels.compile_all()
    except UNREADABLE as error:
        _logger.warning(
            "Compiled code in %s is damaged (%s: %s); it is compiled anew.",
            folder, type(error).__name__, error,
        )  # fmt: skip
        for file in [*folder.rglob("*.nbi"), *folder.rglob("*.nbc")]:
            file.unlink(missing_ok=True)
        kernels.compile_all()
    if kernels.present.stats.cache_misses:
        seconds = time.perf_counter() - started_at
        _logger.info("The STDP engine was compiled in %.1f s.", seconds)
        _remove_unused(folder)


def _sources() -> list[Path]:
    here = Path(__file__).parent
    return [file for name in SOURCES for file in sorted(here.glob(name))]


def _cache_folder() -> Path:
    """A folder for the code compiled from these sources, which exists."""
    digest = hashlib.sha256(b"".join(file.read_bytes() for file in _sources()))
    name = f"{PREFIX}{digest.hexdigest()[:16]}"
    chosen = os.environ.get("NUMBA_CACHE_DIR")
    user = os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache")
    parents = [Path(chosen)] if chosen else []
    for parent in (*parents, Path(__file__).parent / "__pycache__", Path(user)):
        with suppress(OSError):
            return _writable(parent / name)
    with suppress(OSError):
        return _writable(_private_folder() / name)
    return Path(tempfile.mkdtemp(prefix=PREFIX))


def _writable(folder: Path) -> Path:
    """The folder, made if it is missing; OSError where files cannot be made in it."""
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryFile(dir=folder):
        return folder


def _private_folder() -> Path:
    """A folder of this user among the temporary files, the same for all processes.

    Code is run from it, and anybody could have made it: PermissionError if another user owns it,
    or can write to it.
    """
    folder = Path(tempfile.gettempdir()) / f"optuna-snn-{os.getuid()}"
    folder.mkdir(mode=0o700, exist_ok=True)
    found = folder.lstat()
    is_private = stat.S_ISDIR(found.st_mode) and not found.st_mode & (stat.S_IWGRP | stat.S_IWOTH)
    if not is_private or found.st_uid != os.getuid():
        raise PermissionError(f"{folder} is not this user's own")
    return folder


def _mark(folder: Path, numba_version: str, cpu: str) -> Path:
    """The file that says all code is there: for these sources, as Numba knows them, and machine.

    Where it is missing though the code is there, loading waits for its turn, no more.
    """
    facts = [numba_version, cpu]
    facts += [f"{file} {file.stat().st_mtime_ns}" for file in _sources()]
    return folder / f"{hashlib.sha256('|'.join(facts).encode()).hexdigest()[:16]}.compiled"


def _remove_unused(folder: Path) -> None:
    """Remove the folders beside this one whose code nobody has loaded for long."""
    for other in folder.parent.glob(f"{PREFIX}*"):
        with suppress(OSError):
            used_at = max(file.stat().st_mtime for file in (other, *other.iterdir()))
            if other != folder and time.time() - used_at > UNUSED_S:
                shutil.rmtree(other)


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
        try:
            yield
        finally:  # closing is not enough: a process forked meanwhile has the file open as well
            with suppress(OSError):
                fcntl.flock(file, fcntl.LOCK_UN)
