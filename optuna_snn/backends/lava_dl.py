"""Imports SLAYER of lava-dl (Shrestha & Orchard 2018, arXiv:1810.08646); no other file does.

``lava.lib.dl.slayer`` imports its object detection part, which needs OpenCV and torchvision and is
not used here. `load` puts an empty module in its place first, unless the real one is imported
already.
"""

from __future__ import annotations

import importlib
import importlib.util
import sys
import threading
from types import ModuleType

from optuna_snn.backends.errors import MissingPackageError

__all__ = ["load"]

_DETECTION = "lava.lib.dl.slayer.object_detection"
_WAY_OUT = "run: optuna-snn backends install lava-dl"

_lock = threading.Lock()


def load() -> ModuleType:
    """The module ``lava.lib.dl.slayer``, imported at the first call.

    Raises:
        MissingPackageError: lava-dl, or a package that SLAYER needs, is not installed.
    """
    with _lock:
        if importlib.util.find_spec("lava") is None:
            raise MissingPackageError(f"lava-dl is not installed; {_WAY_OUT}")
        sys.modules.setdefault(_DETECTION, ModuleType(_DETECTION))
        try:
            return importlib.import_module("lava.lib.dl.slayer")
        except ImportError as error:
            raise MissingPackageError(
                f"lava-dl is installed but cannot be imported ({error}); {_WAY_OUT}"
            ) from error
