"""Imports BindsNET (Hazan et al. 2018, doi 10.3389/fninf.2018.00089); no other file does.

BindsNET's own ``__init__`` imports every subpackage, and with them torchvision, OpenCV, pandas,
scikit-learn and game emulators. A simulation needs torch alone. `load` therefore puts a bare
package of the same name and place into `sys.modules`, so that this ``__init__`` never runs. What
the bare package lacks is imported on first use: ``bindsnet.evaluation`` works for whoever has
installed what it needs. A BindsNET that is already imported is used as it is.

BindsNET is under the AGPL. It is optional and is imported, never copied.
"""

from __future__ import annotations

import importlib
import importlib.util
import sys
import threading
from dataclasses import dataclass
from types import ModuleType
from typing import Any

from optuna_snn.backends.errors import MissingPackageError

__all__ = ["BindsNET", "load"]

_lock = threading.Lock()


@dataclass(frozen=True)
class BindsNET:
    """The modules of BindsNET that this package uses."""

    network: ModuleType
    nodes: ModuleType
    topology: ModuleType
    topology_features: ModuleType
    MCC_learning: ModuleType


def load() -> BindsNET:
    """BindsNET's modules, imported at the first call.

    Raises:
        MissingPackageError: BindsNET is not installed, or damaged.
    """
    with _lock:
        if "bindsnet" not in sys.modules:
            sys.modules["bindsnet"] = _bare_package()
        # Its network module comes first: starting from another one, its imports run in a circle.
        return BindsNET(
            network=_import("network"),
            nodes=_import("network.nodes"),
            topology=_import("network.topology"),
            topology_features=_import("network.topology_features"),
            MCC_learning=_import("learning.MCC_learning"),
        )


def _bare_package() -> ModuleType:
    spec = importlib.util.find_spec("bindsnet")
    if spec is None or spec.submodule_search_locations is None:
        raise MissingPackageError(
            "BindsNET is not installed; run: optuna-snn backends install bindsnet"
        )
    package = ModuleType("bindsnet", "BindsNET without the imports of its __init__.")
    package.__path__ = list(spec.submodule_search_locations)
    package.__spec__ = spec
    package.__file__ = spec.origin

    def import_subpackage(name: str) -> Any:
        if name.startswith("_") or importlib.util.find_spec(f"bindsnet.{name}") is None:
            raise AttributeError(f"module 'bindsnet' has no attribute {name!r}")
        return importlib.import_module(f"bindsnet.{name}")

    package.__dict__["__getattr__"] = import_subpackage
    return package


def _import(name: str) -> ModuleType:
    try:
        return importlib.import_module(f"bindsnet.{name}")
    except ImportError as error:
        raise MissingPackageError(
            f"BindsNET is installed but cannot be imported ({error}); "
            "run: optuna-snn backends install bindsnet"
        ) from error
