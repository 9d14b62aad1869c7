"""What many workers would ask of one PostgreSQL server, from what one worker was measured to.

    W          workers, of which SUPERVISED share a supervisor
    T          seconds of a training
    lambda     = W / T, trials a second
    turn(R)    storage calls of one trial while R trials of others run; R = W here
    read(R)    all trials are read once
    beat       a heartbeat, one in BEAT_EVERY_S for each worker

    cores of the server     lambda turn(W) + W beat / BEAT_EVERY_S + (W / SUPERVISED) read(W) / P
    connections open        the same sum with seconds of open connections in place of CPU (Little's
                            law: a rate times a stay); a read and a beat count as a whole
    P                       what passes between two reads of a supervisor: the read itself and its
                            pause (`workers.supervisor.study_watch`)
    all start at once       W loads of the stored trials

turn and read are straight lines through what was measured at several R (least squares), never
below 0. What is not in it: the queue before a server whose cores are all busy, and the network.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from benchmarks.worker_results import Kept
from optuna_snn.workers.storage.opening import BEATS_PER_GRACE, DEFAULT_GRACE_S
from optuna_snn.workers.supervisor.study_watch import (
    READ_AT_LEAST_EVERY_S,
    READ_EVERY_S,
    READ_SHARE,
)

N_WORKERS = (16, 100, 1_000)
TRIAL_S = (60.0, 600.0)
SUPERVISED = 8
"""Workers of one `optuna-snn run`: a machine with eight GPUs."""
BEAT_EVERY_S = DEFAULT_GRACE_S / BEATS_PER_GRACE
LARGEST = 10_000
"""Stored trials of the study that is planned."""


@dataclass(frozen=True)
class Plan:
    """What is expected of so many workers with trainings of so many seconds.

    creations_per_s:   the server's limit: creations of one study take turns
    turn_cpu_s:        CPU seconds of a worker in storage calls, per trial
    start_core_s:      CPU seconds of the server when all workers start at once
    """

    n_workers: int
    trial_s: float
    trials_per_s: float
    creations_per_s: float
    connections: float
    cores_trials: float
    cores_beats: float
    cores_supervisors: float
    turn_cpu_s: float
    start_core_s: float


def plans(kept: Sequence[Kept]) -> list[Plan]:
    """A plan for each of N_WORKERS and TRIAL_S; none before the server was measured."""
    costs = [k.measured for k in kept if (k.name, k.storage) == ("cost", "postgresql")]
    stored = [
        k.measured
        for k in kept
        if (k.name, k.storage) == ("stored", "postgresql") and k.measured["n_trials"] == LARGEST
    ]
    if len(costs) < 2 or not stored:
        return []
    return [
        plan(costs, stored[0], n_workers, trial_s)
        for trial_s in TRIAL_S
        for n_workers in N_WORKERS
    ]


def plan(
    costs: Sequence[Mapping[str, Any]], stored: Mapping[str, Any], n_workers: int, trial_s: float
) -> Plan:
    """The plan of one number of workers.

    costs:   of `worker_load.StorageCost`, with at least two values of n_running
    stored:  of `worker_load.StoredTrials`
    """

    def on_line(milliseconds: Sequence[float]) -> float:
        """In seconds, while all workers train."""
        values = [each / 1e3 for each in milliseconds]
        return _on_line([cost["n_running"] for cost in costs], values, n_workers)

    def at_full_size(what: str, unit: str) -> float:
        return on_line([cost[what][unit] for cost in costs])

    trials_per_s = n_workers / trial_s
    beats_per_s = n_workers / BEAT_EVERY_S
    read_s = at_full_size("read", "wall_ms")
    pause_s = max(READ_EVERY_S, min(read_s * (1 / READ_SHARE - 1), READ_AT_LEAST_EVERY_S))
    reads_per_s = n_workers / SUPERVISED / (read_s + pause_s)
    return Plan(
        n_workers=n_workers,
        trial_s=trial_s,
        trials_per_s=trials_per_s,
        creations_per_s=1.0 / stored["create"],
        connections=trials_per_s * on_line([cost["open_ms"] for cost in costs])
        + beats_per_s * at_full_size("beat", "wall_ms")
        + reads_per_s * read_s,
        cores_trials=trials_per_s * at_full_size("turn", "server_ms"),
        cores_beats=beats_per_s * at_full_size("beat", "server_ms"),
        cores_supervisors=reads_per_s * at_full_size("read", "server_ms"),
        turn_cpu_s=at_full_size("turn", "cpu_ms"),
        start_core_s=n_workers * stored["load_server"],
    )


def _on_line(x: Sequence[float], y: Sequence[float], at: float) -> float:
    """The least-squares line through the points, at another one; never below 0."""
    slope, level = np.polyfit(x, y, 1)
    return max(0.0, float(level + slope * at))
