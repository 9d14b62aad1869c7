"""Beginning a study anew, in place of a SQLite database that is kept under a dated name.

It is never taken away from those who use it.
"""

from __future__ import annotations

from datetime import datetime
from pathlib import Path

import optuna

from optuna_snn.workers.errors import RunError
from optuna_snn.workers.run_files import RunFiles, move_aside, run_files
from optuna_snn.workers.storage.opening import database_file, open_storage
from optuna_snn.workers.supervisor.worker_log import claimed_logs

__all__ = ["begin_anew"]


def begin_anew(url: str, files: RunFiles, grace_s: int) -> list[Path]:
    """Give an existing database, its journal and the figure dated names; return these.

    Raises:
        RunError: a database server, or workers that run: they beat, or hold their logs.
    """
    database = database_file(url)
    if database is None:
        raise RunError(
            "--new moves a SQLite file aside and cannot do so with a database server; "
            "begin anew there with another --study-name"
        )
    if not database.exists():
        return []
    opened = open_storage(url, grace_s=grace_s)
    names = optuna.get_all_study_names(opened)
    for name in names:
        if any(age <= grace_s for age in opened.heartbeat_ages(name).values()):
            raise RunError(
                f"--new would take {database} from the running workers of study {name!r}; "
                f"stop them first, or wait {grace_s} s if they were killed"
            )
    # Runs that are starting, and those in a journal, have no heartbeats, but logs.
    for each in [files, *(run_files(url, name) for name in names)]:
        if claimed := claimed_logs(each):
            raise RunError(
                f"--new would take {database} from the run that writes to {claimed[0]}; stop it "
                "first"
            )
    journal = database.with_name(database.name + "-journal")
    return move_aside([database, journal, files.figure], datetime.now())
