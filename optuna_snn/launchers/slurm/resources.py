"""What is asked of SLURM for each task of the array."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from optuna_snn.launchers.slurm.time_limit import seconds_of
from optuna_snn.workers.errors import RunError

__all__ = ["DEFAULT_TIME", "SlurmResources", "check_is_one_line", "read_sbatch_options"]

DEFAULT_TIME = "1-00"
"""A day: a usual limit of partitions. A task that has not ended by then is requeued."""

GPUS = re.compile(r"([\w.-]+:)?\d+")
MEMORY = re.compile(r"\d+[KMGT]?")
OPTION = re.compile(r"[a-z][a-z-]*")

OWN_OPTIONS = {
    "job-name": "--study-name",
    "array": "--array-size and --parallel",
    "time": "--time",
    "partition": "--partition",
    "account": "--account",
    "qos": "--qos",
    "constraint": "--constraint",
    "gpus-per-node": "--gpus",
    "cpus-per-task": "--cpus",
    "mem": "--memory",
    "output": "--log-folder",
    "error": "--log-folder",
    "signal": "--stop-grace",
}
"""sbatch option -> ours, which says the same."""

FIXED_OPTIONS = {
    "nodes": "a task runs on one node; ask for more tasks with --array-size",
    "ntasks": "a task of the array is one run; ask for workers with --slots or --array-size",
    "ntasks-per-node": "a task of the array is one run; ask for workers with --slots",
    "open-mode": "logs are appended, since a requeued task has the same log",
    "requeue": "tasks are always requeued",
    "no-requeue": "tasks are always requeued",
    "wrap": "the command is the run",
}


@dataclass(frozen=True)
class SlurmResources:
    """A job array, and what each of its tasks gets.

    Example:
        >>> resources = SlurmResources(array_size=4, gpus="2", n_slots=2, time="12:00:00")
        >>> resources.devices, resources.n_workers
        (('all',), 4)

    Args:
        array_size: tasks; each is a supervised run, on one node.
        parallel: how many of them may run at once; all unless given.
        partition, account, qos, constraint: as for sbatch; the cluster's own defaults unless
            given.
        gpus: GPUs of each task, such as "2" or "a100:2".
        n_slots: workers on each GPU; without GPUs, workers of each task.
        cpus: CPUs of each task; the cluster's default unless given.
        memory: of each task, such as "16G", or "0" for all of its node; the cluster's default
            unless given.
        time: of each task, as sbatch takes it.
        sbatch: any other option of sbatch, without its dashes; None for one that has no value.
        setup: shell lines to run before, such as "module load cuda".

    Raises:
        RunError: a value that SLURM would not take, or that contradicts another one.
    """

    array_size: int = 1
    parallel: int | None = None
    partition: str | None = None
    account: str | None = None
    qos: str | None = None
    constraint: str | None = None
    gpus: str | None = None
    n_slots: int = 1
    cpus: int | None = None
    memory: str | None = None
    time: str = DEFAULT_TIME
    sbatch: Mapping[str, str | None] = field(default_factory=dict)
    setup: Sequence[str] = ()

    def __post_init__(self) -> None:
        counts = {
            "--array-size": self.array_size,
            "--parallel": self.parallel,
            "--slots": self.n_slots,
            "--cpus": self.cpus,
        }
        for name, count in counts.items():
            if count is not None and count < 1:
                raise RunError(f"{name} must be 1 or more, got {count}")
        if self.gpus is not None and (
            not GPUS.fullmatch(self.gpus) or int(self.gpus.rpartition(":")[2]) == 0
        ):
            raise RunError(
                f"--gpus {self.gpus!r} is no number of GPUs; write 2, or a100:2 for a type, or "
                "leave it out for none"
            )
        if self.memory is not None and not MEMORY.fullmatch(self.memory):
            raise RunError(f"--memory {self.memory!r} is no size; write it like 16G or 800M")
        seconds_of(self.time)
        for name, value in self.sbatch.items():
            _check_option(name)
            check_is_one_line(f"--sbatch {name}", value or "")
        for name in ("partition", "account", "qos", "constraint"):
            check_is_one_line(f"--{name}", getattr(self, name) or "")

    @property
    def asks_for_gpus(self) -> bool:
        """Whether a task gets GPUs, by `gpus` or by an option of sbatch such as gres=gpu:2 or
        tres-per-task=gres/gpu:2.
        """
        return (
            self.gpus is not None
            or any(name.startswith("gpus") for name in self.sbatch)
            or any(
                name.startswith(("gres", "tres")) and "gpu" in (value or "")
                for name, value in self.sbatch.items()
            )
        )

    @property
    def devices(self) -> tuple[str, ...]:
        """What each task's workers run on: all GPUs that SLURM gives it, else its CPUs."""
        return ("all",) if self.asks_for_gpus else ("cpu",)

    @property
    def n_workers(self) -> int | None:
        """Workers of a task; None where only SLURM knows the number of GPUs."""
        if not self.asks_for_gpus:
            return self.n_slots
        return None if self.gpus is None else int(self.gpus.rpartition(":")[2]) * self.n_slots

    def options(self) -> dict[str, str | None]:
        """Options for sbatch that say this, but for array and time; None has no value."""
        own = {
            "partition": self.partition,
            "account": self.account,
            "qos": self.qos,
            "constraint": self.constraint,
            "gpus-per-node": self.gpus,
            "cpus-per-task": None if self.cpus is None else str(self.cpus),
            "mem": self.memory,
        }
        given: dict[str, str | None] = {k: v for k, v in own.items() if v is not None}
        return {**given, "requeue": None, **self.sbatch}


def read_sbatch_options(words: Iterable[str]) -> dict[str, str | None]:
    """KEY=VALUE, or KEY alone, as a user writes them behind --sbatch; dashes before KEY may stand.

    Raises:
        RunError: a key that is given twice.
    """
    options: dict[str, str | None] = {}
    for word in words:
        key, equals, value = word.strip().lstrip("-").partition("=")
        key = key.strip().replace("_", "-")
        if key in options:
            raise RunError(f"--sbatch {key} is given twice; give it once")
        options[key] = value if equals else None
    return options


def _check_option(name: str) -> None:
    if name in OWN_OPTIONS:
        raise RunError(f"--sbatch {name}: use {OWN_OPTIONS[name]}")
    if name in FIXED_OPTIONS:
        raise RunError(f"--sbatch {name} cannot be chosen: {FIXED_OPTIONS[name]}")
    if not OPTION.fullmatch(name):
        raise RunError(
            f"--sbatch {name!r} is no option of sbatch; write KEY=VALUE, with the long name of "
            "the option as KEY, such as nice=100"
        )


def check_is_one_line(what: str, value: str) -> None:
    """A line break would begin another option for SLURM.

    Raises:
        RunError: there is one, or another character that cannot be printed.
    """
    if not value.isprintable():
        raise RunError(f"{what} has to be one line of text, got {value!r}")
