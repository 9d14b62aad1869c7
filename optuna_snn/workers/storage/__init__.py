"""The storage that workers share: opened by `open_storage`, in the database or beside it.

opening          file name or URL -> storage
worker_storage   Optuna's RDBStorage, and what many workers need beside it
patience         calls that outlive an outage
verdicts         when a missing heartbeat proves nothing
"""

from optuna_snn.workers.storage.opening import (
    DEFAULT_GRACE_S,
    StudyStorage,
    WorkerStorage,
    database_file,
    normalise_url,
    open_storage,
    shown_url,
)

__all__ = [
    "DEFAULT_GRACE_S",
    "StudyStorage",
    "WorkerStorage",
    "database_file",
    "normalise_url",
    "open_storage",
    "shown_url",
]
