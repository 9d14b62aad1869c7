"""Where the files of a training are.

    <folder>/<study name>/<first trial's number>-<its start>/trial-<number>.ckpt

The first trial's start keeps studies apart that have the same name in different databases.
"""

from __future__ import annotations

import hashlib
import os
from pathlib import Path
from urllib.parse import quote

from optuna_snn.checkpoints.lineage import Lineage

FOLDER_VARIABLE = "OPTUNA_SNN_CHECKPOINTS"
"""Environment variable with the folder of all checkpoints, where none is passed."""
DEFAULT_FOLDER = "checkpoints"

LONGEST_NAME = 120
"""Characters of a study's name in a path; file systems allow 255 bytes."""
N_DIGITS = 16


def root_folder(folder: str | os.PathLike[str] | None) -> Path:
    """Return the folder of all checkpoints: the given one, else the environment's, else ours."""
    return Path(folder or os.environ.get(FOLDER_VARIABLE) or DEFAULT_FOLDER)


def files_of(root: Path, study_name: str, lineage: Lineage) -> tuple[Path, ...]:
    """Return the file of a trial, and those of its forerunners, the latest one first."""
    started = lineage.first_started
    start = "unknown" if started is None else started.strftime("%Y%m%dT%H%M%S.%f")
    folder = root / folder_name(study_name) / f"{lineage.first}-{start}"
    numbers = (lineage.number, *reversed(lineage.forerunners))
    return tuple(folder / f"trial-{number}.ckpt" for number in numbers)


def folder_name(study_name: str) -> str:
    """Return the name of a study as that of a folder: harmless, and another one for each study."""
    name = quote(study_name, safe=" ").replace(".", "%2E")
    if 0 < len(name) <= LONGEST_NAME:
        return name
    digest = hashlib.sha256(study_name.encode()).hexdigest()[:N_DIGITS]
    return f"{name[: LONGEST_NAME - N_DIGITS - 1]}-{digest}"
