import ast
import importlib
import importlib.util
import subprocess
import sys
from pathlib import Path

import pytest

from optuna_snn.backends import MissingPackageError, bindsnet

FOREIGN = ("torchvision", "cv2", "pandas", "sklearn", "tensorboardX", "gymnasium", "matplotlib")
"""What BindsNET's own __init__ imports beyond what a simulation needs."""


def run_python(code: str) -> str:
    """Run code in an interpreter of its own, with warnings as errors; what it prints."""
    result = subprocess.run(
        [sys.executable, "-W", "error", "-c", code],
        capture_output=True,
        text=True,
        check=False,
        cwd=Path(__file__).parents[2],
    )
    assert result.returncode == 0, result.stderr
    return result.stdout


def test_loading_gives_the_simulator_and_imports_nothing_else_before_it_is_used() -> None:
    printed = run_python(
        "import sys\n"
        "from optuna_snn.backends.bindsnet import load\n"
        "engine = load()\n"
        "assert engine == load()\n"
        "engine.network.Network().add_layer(engine.nodes.Input(3), 'in')\n"
        f"print([name for name in {FOREIGN} if name in sys.modules])\n"
        "import bindsnet\n"
        "print(bindsnet.preprocessing.__name__, hasattr(bindsnet, 'no_such_thing'))\n"
    )
    assert printed == "[]\nbindsnet.preprocessing False\n"


def test_a_bindsnet_that_is_imported_already_is_used() -> None:
    engine = bindsnet.load()
    assert sys.modules["bindsnet.network"] is engine.network
    before = sys.modules["bindsnet"]
    bindsnet.load()
    assert sys.modules["bindsnet"] is before


def test_the_bare_package_is_still_needed() -> None:
    """When this fails, BindsNET's __init__ has become light: `load` can import it as it is."""
    spec = importlib.util.find_spec("bindsnet")
    assert spec is not None and spec.submodule_search_locations is not None
    source = (Path(spec.submodule_search_locations[0]) / "__init__.py").read_text()
    imported = {
        alias.name
        for node in ast.walk(ast.parse(source))
        if isinstance(node, ast.ImportFrom)
        for alias in node.names
    }
    assert imported & {"analysis", "datasets", "environment"}


def test_without_bindsnet_the_error_names_the_command(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(sys.modules, "bindsnet", raising=False)
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(MissingPackageError, match="optuna-snn backends install bindsnet"):
        bindsnet.load()
    assert "bindsnet" not in sys.modules


def test_a_package_that_bindsnet_misses_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    bindsnet.load()
    monkeypatch.setitem(sys.modules, "bindsnet.network.nodes", None)
    with pytest.raises(MissingPackageError, match=r"bindsnet\.network\.nodes.*backends install"):
        bindsnet.load()
