"""Which simulators are installed, and the pip commands that install them.

Neither BindsNET nor lava-dl can be installed with its own metadata beside this package: BindsNET
asks for another torch, torchvision and game emulators, lava-dl for a Python and a torch that are
too old. Both run without. So each is installed alone, after the packages that its simulation
imports and that this package does not bring along.
"""

from __future__ import annotations

import importlib
import importlib.metadata
import shlex
import subprocess
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib.machinery import PathFinder

from optuna_snn.backends import bindsnet, lava_dl
from optuna_snn.backends.errors import MissingPackageError

__all__ = [
    "BACKENDS",
    "Backend",
    "BackendStatus",
    "InstallError",
    "backend_status",
    "install_backend",
    "install_commands",
]


class InstallError(RuntimeError):
    """A backend could not be installed; the message is one line, with the command that failed."""


@dataclass(frozen=True)
class Backend:
    """A simulator.

    name:         what the command line calls it, and its name for pip
    purpose:      what needs it
    licence:      SPDX identifier
    version:      the version that this package is tested with
    requirements: what its simulation imports and this package does not bring along
    pip_options:  of the step that installs the simulator alone
    load:         imports it; MissingPackageError if that is impossible
    """

    name: str
    purpose: str
    licence: str
    version: str
    requirements: tuple[str, ...]
    pip_options: tuple[str, ...]
    load: Callable[[], object]


BACKENDS: tuple[Backend, ...] = (
    Backend(
        name="bindsnet",
        purpose="the STDP objective",
        licence="AGPL-3.0-only",
        version="0.3.4",
        requirements=(),
        pip_options=("--no-deps",),
        load=bindsnet.load,
    ),
    Backend(
        name="lava-dl",
        purpose="networks trained by SLAYER",
        licence="BSD-3-Clause",
        version="0.6.0",
        requirements=("h5py>=3.16", "matplotlib>=3.10"),
        pip_options=("--no-deps", "--ignore-requires-python"),
        load=lava_dl.load,
    ),
)


@dataclass(frozen=True)
class BackendStatus:
    """Whether a backend can be used: `problem` is None, or says in one line why not."""

    backend: Backend
    installed_version: str | None
    problem: str | None


def backend_status(name: str) -> BackendStatus:
    """Try to import the backend and say how it went.

    Raises ValueError if there is no backend of this name.
    """
    backend = _backend(name)
    try:
        version = importlib.metadata.version(backend.name)
    except importlib.metadata.PackageNotFoundError:
        version = None
    try:
        backend.load()
    except MissingPackageError as error:
        return BackendStatus(backend, version, problem=str(error))
    return BackendStatus(backend, version, problem=None)


def install_commands(name: str) -> list[list[str]]:
    """The commands that install the backend into the environment of this interpreter, in order.

    Raises ValueError if there is no backend of this name.
    """
    backend = _backend(name)
    pip = [sys.executable, "-m", "pip", "--disable-pip-version-check", "install"]
    simulator = [*pip, *backend.pip_options, f"{backend.name}=={backend.version}"]
    return [[*pip, *backend.requirements], simulator] if backend.requirements else [simulator]


def install_backend(
    name: str,
    *,
    show: Callable[[str], object] = print,
    run: Callable[[Sequence[str]], int] = subprocess.call,
) -> BackendStatus:
    """Install the backend; each command is shown before it runs.

    show: receives a command as one line
    run:  runs a command and returns its exit code

    Raises:
        ValueError: There is no backend of this name.
        InstallError: pip is missing or fails, or the backend cannot be imported afterwards.
    """
    # importlib.util.find_spec would wake a hook of setuptools that lets its import, which lava-dl
    # needs, fail in this process.
    if PathFinder.find_spec("pip") is None:
        raise InstallError(
            f"{sys.executable} has no pip; run: {sys.executable} -m ensurepip --upgrade"
        )
    for command in install_commands(name):
        line = shlex.join(command)
        show(line)
        code = run(command)
        if code != 0:
            raise InstallError(f"pip failed with exit code {code}: {line}")
    importlib.invalidate_caches()
    status = backend_status(name)
    if status.problem is not None:
        raise InstallError(status.problem)
    return status


def _backend(name: str) -> Backend:
    for backend in BACKENDS:
        if backend.name == name:
            return backend
    raise ValueError(
        f"There is no backend {name!r}; there are {', '.join(each.name for each in BACKENDS)}."
    )
