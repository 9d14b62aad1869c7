import shlex
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from optuna_snn.backends import MissingPackageError
from optuna_snn.backends import install as installing
from optuna_snn.backends.install import (
    BACKENDS,
    InstallError,
    backend_status,
    install_backend,
    install_commands,
)

REPOSITORY = Path(__file__).parents[2]


def refuse() -> object:
    raise MissingPackageError("it is not there")


def with_load(monkeypatch: pytest.MonkeyPatch, load: object) -> None:
    """Let every backend be imported by `load`."""
    changed = tuple(replace(backend, load=load) for backend in BACKENDS)  # type: ignore[arg-type]
    monkeypatch.setattr(installing, "BACKENDS", changed)


@pytest.mark.parametrize("name", [backend.name for backend in BACKENDS])
def test_the_simulator_is_installed_last_and_without_its_own_requirements(name: str) -> None:
    *requirements, simulator = install_commands(name)
    for command in (*requirements, simulator):
        assert command[:3] == [sys.executable, "-m", "pip"]
        assert ("--no-deps" in command) == (command is simulator)
    assert simulator[-1].startswith(f"{name}==")


@pytest.mark.parametrize("name", [backend.name for backend in BACKENDS])
def test_a_simulator_is_installed_in_the_version_that_is_tested(name: str) -> None:
    constraints = (REPOSITORY / "constraints.txt").read_text()
    assert install_commands(name)[-1][-1] in constraints.splitlines()


def test_each_command_is_shown_and_run_in_order(monkeypatch: pytest.MonkeyPatch) -> None:
    with_load(monkeypatch, object)
    shown: list[str] = []
    ran: list[Sequence[str]] = []
    status = install_backend("lava-dl", show=shown.append, run=lambda c: ran.append(c) or 0)
    assert ran == install_commands("lava-dl")
    assert [shlex.split(line) for line in shown] == ran
    assert status.problem is None


def test_the_first_failure_ends_it_and_names_the_command(monkeypatch: pytest.MonkeyPatch) -> None:
    ran: list[Sequence[str]] = []

    def fail(command: Sequence[str]) -> int:
        ran.append(command)
        return 7

    with pytest.raises(InstallError, match=r"exit code 7: .*pip.*h5py"):
        install_backend("lava-dl", show=lambda line: None, run=fail)
    assert len(ran) == 1


def test_a_backend_that_cannot_be_imported_afterwards_is_an_error(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with_load(monkeypatch, refuse)
    with pytest.raises(InstallError, match="it is not there"):
        install_backend("lava-dl", show=lambda line: None, run=lambda command: 0)


def test_an_environment_without_pip_is_told_how_to_get_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(installing.PathFinder, "find_spec", lambda name: None)
    with pytest.raises(InstallError, match="ensurepip"):
        install_backend("bindsnet", show=lambda line: None, run=lambda command: 0)


@pytest.mark.parametrize("name", [backend.name for backend in BACKENDS])
def test_what_was_installed_can_be_imported_by_the_same_process(name: str) -> None:
    """To look for pip in the usual way keeps setuptools, and so lava-dl, from being imported."""
    code = (
        "from optuna_snn.backends.install import install_backend\n"
        f"print(install_backend({name!r}, show=str, run=lambda command: 0).problem)"
    )
    result = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=False, cwd=REPOSITORY
    )
    assert result.stdout == "None\n", result.stderr


def test_status_says_what_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    with_load(monkeypatch, refuse)
    assert backend_status("bindsnet").problem == "it is not there"


def test_status_of_what_is_installed_has_a_version_and_no_problem() -> None:
    status = backend_status("bindsnet")
    assert status.problem is None
    assert status.installed_version == "0.3.4"


def test_an_unknown_backend_is_refused() -> None:
    with pytest.raises(ValueError, match="no backend 'brian'; there are bindsnet, lava-dl"):
        backend_status("brian")
