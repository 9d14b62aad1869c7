"""Examples, README code and tests of the folders run as the registry's users run them.

`optunahub.load_module` takes the packages from its cache: nothing is fetched, nothing is changed.
"""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.optunahub.packages import FOLDERS, PACKAGES, REPOSITORY, Package, Run

SCBO, SPIKE_ACTIVITY = PACKAGES
each_package = pytest.mark.parametrize(
    "package", [pytest.param(SCBO, marks=pytest.mark.slow), SPIKE_ACTIVITY], ids=str
)

QUIET = "import optuna\noptuna.logging.set_verbosity(optuna.logging.WARNING)\n"


def numbers(text: str) -> list[float]:
    return [float(number) for number in re.findall(r"-?\d+\.?\d*", text)]


def output(package: Package, registry: Path, run: Run) -> str:
    """What the example prints; it warns of nothing."""
    result = run(str(registry / package.name / "example.py"))
    assert (result.returncode, result.stderr) == (0, "")
    return result.stdout


@pytest.mark.slow
def test_the_example_of_the_sampler_finds_a_good_feasible_point(registry: Path, run: Run) -> None:
    """1.1 % of the space is feasible: half a ball of radius 5 in a cube of side 15."""
    counts, best = output(SCBO, registry, run).splitlines()
    n_feasible, n_trials = numbers(counts)
    assert n_trials == 60 and n_feasible >= 10
    value, _ = numbers(best)
    assert 0.0 <= value < 5.0


def test_the_example_of_the_pruner_stops_silent_networks_and_keeps_a_good_one(
    registry: Path, run: Run
) -> None:
    counts, best = output(SPIKE_ACTIVITY, registry, run).splitlines()
    n_stopped, n_trials, n_silent = numbers(counts)
    assert n_trials == 60 and 1 <= n_silent <= n_stopped < n_trials
    assert numbers(best)[0] > 0.7  # guessing gives 0.5


@each_package
def test_the_code_of_the_readme_runs_as_it_stands(package: Package, run: Run) -> None:
    result = run("-c", QUIET + package.code)
    assert (result.returncode, result.stderr) == (0, "")
    assert len(numbers(result.stdout)) >= 2


@each_package
def test_the_tests_of_a_folder_pass_in_the_registry(
    package: Package, registry: Path, run: Run
) -> None:
    """In the registry the tests run from its root, with default settings of pytest."""
    tests = f"package/{package.name}/tests"
    result = run("-m", "pytest", "-q", tests, cwd=registry.parent)
    assert re.search(r"^[1-9]\d* passed in ", result.stdout, re.MULTILINE), result.stdout


def collected(run: Run, cache_dir: Path, *arguments: str) -> set[str]:
    """Files in which pytest finds tests, called at the root of the repository."""
    options = ("-q", "--collect-only", "-o", f"cache_dir={cache_dir}")
    result = run("-m", "pytest", *options, *arguments, cwd=REPOSITORY)
    assert result.returncode == 0, result.stdout
    return {line.split("::")[0] for line in result.stdout.splitlines() if "::" in line}


def test_the_tests_of_the_folders_can_be_called_at_the_root_of_the_repository(
    run: Run, tmp_path: Path
) -> None:
    """Collecting them imports them, and loads the packages with the installed optunahub."""
    found = set(FOLDERS.rglob("test_*.py"))
    assert len(found) >= len(PACKAGES)
    names = collected(run, tmp_path, "optunahub")
    assert {FOLDERS / name for name in names} == found


def test_pytest_on_the_whole_repository_leaves_the_folders_alone(run: Run, tmp_path: Path) -> None:
    """From its own root directory it would import them in the place of the installed optunahub."""
    here = Path(__file__).relative_to(REPOSITORY).as_posix()
    assert collected(run, tmp_path, "optunahub", here) == {here}
