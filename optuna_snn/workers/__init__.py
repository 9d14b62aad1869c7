"""Many worker processes on one study: storage, retries, workers and their supervisor."""

from optuna_snn.workers.devices import worker_device
from optuna_snn.workers.errors import RunError
from optuna_snn.workers.retry import RetryStaleTrial
from optuna_snn.workers.stop import StopRequest
from optuna_snn.workers.storage.database_errors import StorageError, StorageLostError
from optuna_snn.workers.storage.opening import open_storage
from optuna_snn.workers.supervisor.start import run_study
from optuna_snn.workers.sweep import sweep
from optuna_snn.workers.worker import run_worker

__all__ = [
    "RetryStaleTrial",
    "RunError",
    "StopRequest",
    "StorageError",
    "StorageLostError",
    "open_storage",
    "run_study",
    "run_worker",
    "sweep",
    "worker_device",
]
