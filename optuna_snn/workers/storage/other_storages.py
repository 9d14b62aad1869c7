"""Storages without heartbeats: a journal file, and a gRPC proxy before a database.

Optuna's `JournalStorage` is quick on one machine, its `GrpcStorageProxy` spares a database the
connections of very many workers. Neither can tell a dead worker from a busy one, so no trial is
failed and retried by itself, and a study may end with up to one trial per worker too many. That
is said once for each (`limits`), when it is opened.
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from typing import Any

from optuna.exceptions import ExperimentalWarning, UpdateFinishedTrialError
from optuna.storages import GrpcStorageProxy, JournalStorage
from optuna.storages.journal import JournalFileBackend
from optuna.trial import TrialState
from sqlalchemy.engine import make_url

from optuna_snn.workers.errors import RunError
from optuna_snn.workers.storage.calls import PUBLIC_CALLS
from optuna_snn.workers.storage.database_errors import StorageLostError
from optuna_snn.workers.storage.patience import Patience, repeat_calls
from optuna_snn.workers.storage.urls import database_file

__all__ = ["WorkerJournal", "WorkerProxy", "open_grpc_proxy", "open_journal"]

NO_HEARTBEATS = (
    "has no heartbeats: trials of workers that die stay RUNNING and are not retried, and at the "
    "end a study may get up to one trial per worker too many"
)


class WorkerJournal(JournalStorage):
    """A journal file as workers use it. A file is there or not: no call is repeated."""

    limits = f"a journal file {NO_HEARTBEATS}. An SQLite file has them."

    patience = Patience(
        0.0,
        name="the journal",
        is_transient=lambda error: False,
        describe=str,
        refusal=lambda error: None,
        before_repeat=lambda: None,
    )

    def heartbeat_ages(self, study_name: str) -> dict[int, float]:
        """Empty: nothing beats here."""
        return {}


@repeat_calls(*PUBLIC_CALLS)
class WorkerProxy(GrpcStorageProxy):
    """A gRPC proxy as workers use it: calls are repeated while it is away.

    Not all can be done twice with the effect of once: a trial whose creation was answered into the
    void stays RUNNING, and the next one takes its place.
    """

    limits = (
        f"a gRPC proxy {NO_HEARTBEATS}. Directly connected workers have them and hold no "
        "connection while they train."
    )

    def __init__(self, *, host: str, port: int, patience_s: float) -> None:
        self._patience_s = patience_s
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ExperimentalWarning)
            super().__init__(host=host, port=port)
        self._prepare()

    def _prepare(self) -> None:
        self.patience = Patience(
            self._patience_s,
            name=f"the gRPC proxy {self._host}:{self._port}",
            is_transient=_is_unavailable,
            describe=_details,
            refusal=lambda error: None,
            before_repeat=self._connect_anew,
        )

    def _connect_anew(self) -> None:
        # A channel that failed waits longer and longer, up to two minutes; a new one tries now.
        super().__setstate__({})

    def __getstate__(self) -> dict[Any, Any]:
        state = super().__getstate__()
        del state["patience"]
        return state

    def __setstate__(self, state: dict[Any, Any]) -> None:
        super().__setstate__(state)
        self._prepare()

    def set_trial_state_values(
        self, trial_id: int, state: TrialState, values: Sequence[float] | None = None
    ) -> bool:
        """See `BaseStorage`; a result whose answer was lost is recognised."""
        try:
            return super().set_trial_state_values(trial_id, state, values)
        except UpdateFinishedTrialError:
            if self.patience.is_repeating:
                stored = self.get_trial(trial_id)
                if (stored.state, stored.values or []) == (state, list(values or [])):
                    return True
            raise

    def heartbeat_ages(self, study_name: str) -> dict[int, float]:
        """Empty: nothing beats here."""
        return {}


def open_journal(url: str) -> WorkerJournal:
    """The journal at `journal:///FILE`.

    Raises:
        RunError: it cannot be read or written, or is a file of another kind.
    """
    file = database_file(url)
    try:
        return WorkerJournal(JournalFileBackend(str(file)))
    except OSError as error:
        raise RunError(
            f"the storage {file} cannot be opened: {error.strerror or error}"
        ) from error
    except (ValueError, KeyError, TypeError, AssertionError) as error:
        raise RunError(
            f"the storage {file} cannot be opened: it is a file of another kind; name a new file"
        ) from error


def open_grpc_proxy(url: str, *, patience_s: float, opening_patience_s: float) -> WorkerProxy:
    """The proxy at `grpc://HOST:PORT`, which answers.

    Raises:
        RunError: grpcio is not installed, or nothing answers there.
    """
    parts = make_url(url)
    host, port = str(parts.host), int(parts.port or 0)
    try:
        proxy = WorkerProxy(host=host, port=port, patience_s=patience_s)
    except ImportError as error:
        raise RunError(
            "a grpc:// storage needs grpcio, which is not installed; pip install grpcio protobuf"
        ) from error
    try:
        proxy.patience.call(proxy.get_all_studies, seconds=opening_patience_s)
    except StorageLostError as error:
        assert error.__cause__ is not None
        raise RunError(
            f"the gRPC proxy {host}:{port} cannot be opened: {_details(error.__cause__)}; is it "
            "running, and are host and port right?"
        ) from error
    return proxy


def _code(error: BaseException) -> str:
    """Name of the status of an RpcError, empty for any other error."""
    code = getattr(error, "code", None)
    return str(getattr(code(), "name", "")) if callable(code) else ""


def _is_unavailable(error: BaseException) -> bool:
    """Whether the proxy could not be reached. What its database says is for itself to repeat."""
    return _code(error) == "UNAVAILABLE"


def _details(error: BaseException) -> str:
    details = getattr(error, "details", None)
    text = str(details() if callable(details) else error)
    return " ".join(text.split())
