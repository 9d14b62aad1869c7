"""The folders load with optunahub, hand out the installed classes, and say what is missing."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.optunahub.packages import FOLDERS, PACKAGES, REPOSITORY, Package, Run

each_package = pytest.mark.parametrize("package", PACKAGES, ids=str)


def loading(package: Package, *, root: object = FOLDERS) -> str:
    """A program that loads a folder and prints the homes of what it hands out."""
    return (
        "import optunahub\n"
        f"module = optunahub.load_local_module({package.name!r}, registry_root={str(root)!r})\n"
        "print(*(getattr(module, name).__module__ + '.' + name for name in module.__all__))\n"
    )


def homes(package: Package) -> str:
    return " ".join(f"{cls.__module__}.{cls.__qualname__}" for cls in package.classes) + "\n"


@each_package
def test_a_folder_hands_out_the_classes_of_the_installed_package(
    package: Package, run: Run
) -> None:
    result = run("-c", loading(package))
    assert (result.stdout, result.stderr) == (homes(package), "")


@each_package
def test_a_folder_loads_from_the_root_of_the_repository(package: Package, run: Run) -> None:
    """There `optunahub` is the name of a folder too, first on Python's path."""
    result = run("-c", loading(package, root="optunahub"), cwd=REPOSITORY, PYTHONPATH=".")
    assert (result.stdout, result.stderr) == (homes(package), "")


def test_the_installed_optunahub_is_not_hidden_by_the_folder_of_its_name() -> None:
    """A regular package later on the path goes before a folder without an __init__.py."""
    import optunahub

    assert optunahub.__file__ is not None
    assert FOLDERS not in Path(optunahub.__file__).parents
    for folder in (FOLDERS, FOLDERS / "samplers", FOLDERS / "pruners"):
        assert not (folder / "__init__.py").exists()


@each_package
def test_without_optuna_snn_the_error_names_the_command_that_installs_it(
    package: Package, run: Run
) -> None:
    result = run("-c", "import sys\nsys.modules['optuna_snn'] = None\n" + loading(package))
    assert result.returncode == 1
    assert result.stderr.splitlines()[-1] == (
        f"ModuleNotFoundError: {package.name} needs the package optuna-snn, which is not "
        "installed. Install it with: pip install optuna-snn"
    )
    assert "During handling" not in result.stderr


@each_package
def test_what_an_installed_optuna_snn_misses_is_not_called_a_missing_optuna_snn(
    package: Package, run: Run, tmp_path: Path
) -> None:
    damaged = tmp_path / "damaged"
    (damaged / "optuna_snn").mkdir(parents=True)
    (damaged / "optuna_snn" / "__init__.py").write_text("import a_missing_requirement\n")
    result = run("-c", loading(package), PYTHONPATH=str(damaged))
    assert result.returncode == 1
    assert result.stderr.splitlines()[-1] == (
        "ModuleNotFoundError: No module named 'a_missing_requirement'"
    )
