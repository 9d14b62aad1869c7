"""No call of Optuna's storages is forgotten when calls are repeated."""

from __future__ import annotations

import inspect
import re

import pytest
from optuna.storages import BaseStorage, GrpcStorageProxy, _CachedStorage
from optuna.storages._heartbeat import BaseHeartbeat

from optuna_snn.workers.storage.calls import CACHE_CALLS, PUBLIC_CALLS
from optuna_snn.workers.storage.other_storages import WorkerProxy
from optuna_snn.workers.storage.worker_storage import REPEATED_CALLS, WorkerStorage

ASK_NOBODY = {
    "remove_session",
    "check_trial_is_updatable",
    "get_heartbeat_interval",
    "get_heartbeat_stale_trial_callback",
    "get_failed_trial_callback",
}
"""Methods that do not go to the storage."""


def methods(owner: type) -> set[str]:
    return {name for name, member in vars(owner).items() if inspect.isfunction(member)}


def test_every_public_method_of_a_storage_is_listed() -> None:
    public = {name for name in methods(BaseStorage) if not name.startswith("_")}
    assert public - ASK_NOBODY == set(PUBLIC_CALLS)


def test_every_method_of_heartbeats_is_repeated() -> None:
    beats = methods(BaseHeartbeat) - ASK_NOBODY
    assert beats == {"record_heartbeat", "_get_stale_trial_ids"}
    assert "_get_stale_trial_ids" in REPEATED_CALLS


def test_every_method_that_the_cache_calls_is_repeated() -> None:
    called = set(re.findall(r"_backend\.(\w+)\(", inspect.getsource(_CachedStorage)))
    assert called - ASK_NOBODY - set(REPEATED_CALLS) == {"record_heartbeat"}
    assert set(CACHE_CALLS) <= called


@pytest.mark.parametrize("name", REPEATED_CALLS)
def test_the_listed_methods_of_the_database_storage_are_wrapped(name: str) -> None:
    assert hasattr(getattr(WorkerStorage, name), "__wrapped__")


@pytest.mark.parametrize("name", PUBLIC_CALLS)
def test_the_listed_methods_of_the_proxy_are_wrapped(name: str) -> None:
    assert getattr(WorkerProxy, name) is not getattr(GrpcStorageProxy, name)
    assert hasattr(getattr(WorkerProxy, name), "__wrapped__")
