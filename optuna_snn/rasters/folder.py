"""The folder of artifacts where none is named: whoever writes and whoever reads agree on it."""

from __future__ import annotations

import os
from pathlib import Path

__all__ = ["FOLDER_VARIABLE", "default_folder"]

FOLDER_VARIABLE = "OPTUNA_SNN_ARTIFACTS"
"""Environment variable with the folder, where none is passed."""
DEFAULT_FOLDER = "artifacts"
"""Otherwise, in the current folder."""


def default_folder() -> Path:
    """Return the folder that the environment names, else ours; it may not be there yet."""
    return Path(os.environ.get(FOLDER_VARIABLE) or DEFAULT_FOLDER)
