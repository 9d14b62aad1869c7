"""Functions that run in several processes at once."""

from __future__ import annotations

import multiprocessing
from collections.abc import Callable
from typing import Any

SPAWN = multiprocessing.get_context("spawn")


def in_processes(n: int, target: Callable[..., None], *arguments: Any) -> list[Any]:
    """Run `target(queue, barrier, *arguments)` in n processes and return what they put."""
    queue, barrier = SPAWN.Queue(), SPAWN.Barrier(n)
    processes = [SPAWN.Process(target=target, args=(queue, barrier, *arguments)) for _ in range(n)]
    for process in processes:
        process.start()
    results = [queue.get(timeout=120) for _ in processes]
    for process in processes:
        process.join()
    return results


def open_study(queue: Any, barrier: Any, url: str) -> None:
    """Open a storage at the same moment as others, and put the number of trials in its study."""
    import optuna

    from optuna_snn.workers.storage.opening import open_storage

    barrier.wait()
    try:
        storage = open_storage(url)
        study = optuna.create_study(storage=storage, study_name="s", load_if_exists=True)
        queue.put(len(study.trials))
    except Exception as error:
        queue.put(repr(error))
