"""A study as it is stored, for those who only look at it: it is not created, nor written to."""

from __future__ import annotations

import optuna

from optuna_snn.workers.errors import RunError
from optuna_snn.workers.run_files import default_storage
from optuna_snn.workers.storage.opening import (
    OPENING_PATIENCE_S,
    database_file,
    normalise_url,
    open_storage,
    shown_url,
)
from optuna_snn.workers.study_file import load_study_file

__all__ = ["load_stored_study"]


def load_stored_study(
    study: str, *, storage: str | None = None, study_name: str | None = None
) -> optuna.Study:
    """Load a study from its storage.

    Args:
        study: the study's name, or its study file (which ends in .py and says the name).
        storage: SQLite file or database URL; None is the file that a run of it makes here.
        study_name: the name, where a study file says another.

    Raises:
        RunError: there is no such study file, database or study.
    """
    if study.endswith((".db", ".sqlite3")) or "://" in study:
        raise RunError(
            f"{shown_url(normalise_url(study))} is a storage, not a study; name the study or its "
            "study file, and the storage with --storage"
        )
    name = study_name or (load_study_file(study).name if study.endswith(".py") else study)
    url = normalise_url(storage or default_storage(name))
    file = database_file(url)
    if file is not None and not file.exists():
        raise RunError(f"there is no database {file}; say where the study is with --storage")
    # Who only looks holds nothing that could be lost, and would rather know.
    stored = open_storage(url, patience_s=OPENING_PATIENCE_S)
    names = optuna.get_all_study_names(stored)
    if name not in names:
        there = ", ".join(map(repr, names)) or "none"
        raise RunError(f"{shown_url(url)} has no study {name!r}; its studies: {there}")
    return optuna.load_study(study_name=name, storage=stored)
