"""Importing SLAYER: from a small stand-in for lava-dl, and from lava-dl where it is installed."""

import importlib.util
import os
import subprocess
import sys
from pathlib import Path

import pytest

from optuna_snn.backends import MissingPackageError, lava_dl

REPOSITORY = Path(__file__).parents[2]


def write_lava(folder: Path, slayer_source: str) -> None:
    slayer = folder / "lava" / "lib" / "dl" / "slayer"
    slayer.mkdir(parents=True)
    (slayer / "__init__.py").write_text(slayer_source)
    detection = slayer / "object_detection"
    detection.mkdir()
    (detection / "__init__.py").write_text("import a_package_that_nobody_has")


def load_in_new_process(folder: Path, then: str) -> str:
    result = subprocess.run(
        [sys.executable, "-c", f"from optuna_snn.backends import lava_dl\n{then}"],
        capture_output=True,
        text=True,
        check=False,
        env=os.environ
        | {"PYTHONPATH": os.pathsep.join([str(folder), str(REPOSITORY), *sys.path])},
    )
    return result.stdout + result.stderr


def test_slayer_is_imported_without_its_object_detection(tmp_path: Path) -> None:
    write_lava(tmp_path, "from . import object_detection\nanswer = 42\n")
    assert load_in_new_process(tmp_path, "print(lava_dl.load().answer)") == "42\n"


def test_a_package_that_slayer_misses_is_named(tmp_path: Path) -> None:
    write_lava(tmp_path, "import a_package_that_nobody_has")
    printed = load_in_new_process(tmp_path, "lava_dl.load()")
    assert "MissingPackageError: lava-dl is installed but cannot be imported" in printed
    assert "No module named 'a_package_that_nobody_has'" in printed
    assert "optuna-snn backends install lava-dl" in printed


def test_without_lava_dl_the_error_names_the_command(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(MissingPackageError, match="optuna-snn backends install lava-dl"):
        lava_dl.load()


@pytest.mark.skipif(importlib.util.find_spec("lava") is None, reason="lava-dl is not installed")
def test_slayer_has_the_blocks_that_networks_are_made_of() -> None:
    printed = load_in_new_process(REPOSITORY, "print(lava_dl.load().block.cuba.Dense.__name__)")
    assert printed.endswith("Dense\n")


@pytest.mark.skipif(importlib.util.find_spec("lava") is None, reason="lava-dl is not installed")
def test_the_placeholder_is_still_needed() -> None:
    """When this fails, SLAYER no longer imports its object detection: `load` can be plain."""
    spec = importlib.util.find_spec("lava.lib.dl")
    assert spec is not None and spec.submodule_search_locations is not None
    source = Path(spec.submodule_search_locations[0]) / "slayer" / "__init__.py"
    assert "object_detection" in source.read_text()
