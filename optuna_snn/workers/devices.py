"""Which device each worker of a run gets.

A worker sees its one GPU and no other, by CUDA_VISIBLE_DEVICES; inside it the device is always
`cuda:0`. On the command line `cuda:i` means the i-th entry of the CUDA_VISIBLE_DEVICES that this
process inherited, so that a scheduler's choice is kept: in a job that was given `3,5`, `cuda:1` is
5. Entries may be indices, UUIDs (`GPU-...`) or MIG names (`MIG-...`). Where the variable is unset,
`cuda:i` is the GPU with index i.

The rules were tested with faked values; they have not been run on a machine with GPUs.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from optuna_snn.workers.errors import RunError

__all__ = [
    "DEVICE_VARIABLE",
    "VISIBLE_DEVICES",
    "SlotDevice",
    "assign_devices",
    "count_cuda_devices",
    "worker_device",
]

DEVICE_VARIABLE = "OPTUNA_SNN_DEVICE"
"""What the worker calls its device: "cuda:0" or "cpu"."""

VISIBLE_DEVICES = "CUDA_VISIBLE_DEVICES"

ALL_CUDA = ("all", "cuda")

ENTRY = re.compile(r"\d+|GPU-[\w-]+|MIG-[\w/-]+")
"""An entry that CUDA understands; it ignores the first one that it does not, and all after it."""


@dataclass(frozen=True)
class SlotDevice:
    """The device of one worker."""

    name: str
    """As asked for: "cuda:1" or "cpu"; empty where no devices were asked for."""
    visible: str | None = None
    """The worker's CUDA_VISIBLE_DEVICES; None leaves it as it is."""

    def environment(self) -> dict[str, str]:
        """Variables that give the worker this device; none where no devices were asked for."""
        if self.visible is None:
            return {}
        inside = "cuda:0" if self.visible else "cpu"
        return {VISIBLE_DEVICES: self.visible, DEVICE_VARIABLE: inside}


def worker_device() -> str:
    """The torch device for an objective to use: "cuda:0" in a worker that was given a GPU.

    "cpu" in a worker that was given none, and in a process that nobody gave a device.

    Example:
        >>> network_device = worker_device()  # torch.nn.Module.to(network_device)
    """
    return os.environ.get(DEVICE_VARIABLE, "cpu")


def assign_devices(
    devices: Sequence[str] | None,
    *,
    n_workers: int | None,
    n_slots: int | None,
    environment: Mapping[str, str] = os.environ,
    count: Callable[[], int] | None = None,
) -> list[SlotDevice]:
    """The device of each worker: every device once, then every device again, `n_slots` times.

    Args:
        devices: "cuda:0", "cuda:1", ..., "cpu"; or alone "all" or "cuda" for all CUDA devices.
            None: `n_workers` workers that see whatever this process sees.
        n_workers: number of workers; with devices it follows from them, and may only repeat it.
            "cpu" alone takes any number.
        n_slots: workers per device; 1 unless given.
        environment: where CUDA_VISIBLE_DEVICES is read.
        count: tells the number of CUDA devices; asked only for "all" where the variable is unset
            (`count_cuda_devices` unless given).

    Raises:
        RunError: an unknown or repeated device, one that is not there, or numbers that disagree.
        ValueError: a number below 1.
    """
    for name, number in (("n_workers", n_workers), ("n_slots", n_slots)):
        if number is not None and number < 1:
            raise ValueError(f"{name} must be 1 or more, got {number}.")
    if devices is None:
        if n_slots is not None:
            raise RunError(
                f"--slots {n_slots} is the number of workers per device, and no --devices are "
                f"given; without devices say --workers {n_slots}"
            )
        return [SlotDevice("")] * (n_workers or 1)
    chosen = _chosen(devices, environment, count or count_cuda_devices)
    if [device.name for device in chosen] == ["cpu"] and n_slots is None:
        return chosen * (n_workers or 1)
    each = n_slots or 1
    if n_workers not in (None, len(chosen) * each):
        raise RunError(
            f"--workers {n_workers} is not {len(chosen)} devices x {each} workers on each; leave "
            "--workers away, or change --slots"
        )
    return chosen * each


def count_cuda_devices() -> int:
    """Number of CUDA devices, as torch counts them without starting CUDA."""
    import torch

    return torch.cuda.device_count()


def _chosen(
    devices: Sequence[str], environment: Mapping[str, str], count: Callable[[], int]
) -> list[SlotDevice]:
    names = [name.strip() for name in devices]
    inherited = _inherited(environment)
    if len(names) == 1 and names[0] in ALL_CUDA:
        entries = [str(i) for i in range(count())] if inherited is None else inherited
        if not entries:
            raise RunError(f"--devices {names[0]}: {_none_there(environment)}")
        return [SlotDevice(f"cuda:{i}", entry) for i, entry in enumerate(entries)]
    if not any(names):
        raise RunError("--devices names no device; write --devices cuda:0,cuda:1 or all or cpu")
    chosen: list[SlotDevice] = []
    for name in names:
        device = _device(name, inherited, environment)
        if device in chosen:
            raise RunError(
                f"--devices names {name} twice; for several workers on one device use --slots"
            )
        chosen.append(device)
    return chosen


def _device(
    name: str, inherited: Sequence[str] | None, environment: Mapping[str, str]
) -> SlotDevice:
    if name == "cpu":
        return SlotDevice("cpu", "")
    match = re.fullmatch(r"cuda:(\d+)", name)
    if match is None:
        raise RunError(
            f"--devices: {name!r} is no device; write cuda:0,cuda:1 (their order is that of "
            f"{VISIBLE_DEVICES}), cpu, or all alone"
        )
    index = int(match[1])
    if inherited is None:
        return SlotDevice(f"cuda:{index}", str(index))
    if not inherited:
        raise RunError(f"--devices {name}: {_none_there(environment)}")
    if index >= len(inherited):
        raise RunError(
            f"--devices {name}: {VISIBLE_DEVICES}={environment[VISIBLE_DEVICES]} has "
            f"{len(inherited)} entries, cuda:0 to cuda:{len(inherited) - 1}"
        )
    return SlotDevice(f"cuda:{index}", inherited[index])


def _inherited(environment: Mapping[str, str]) -> list[str] | None:
    """The usable entries of CUDA_VISIBLE_DEVICES, None if it is unset."""
    value = environment.get(VISIBLE_DEVICES)
    if value is None:
        return None
    entries: list[str] = []
    for entry in map(str.strip, value.split(",")):
        if not ENTRY.fullmatch(entry):
            break
        if entry in entries:
            raise RunError(f"{VISIBLE_DEVICES}={value} lists {entry} twice; CUDA would see none")
        entries.append(entry)
    return entries


def _none_there(environment: Mapping[str, str]) -> str:
    value = environment.get(VISIBLE_DEVICES)
    if value is None:
        return "torch finds no CUDA device here; use --devices cpu, or --workers alone"
    return f"{VISIBLE_DEVICES}={value!r} leaves this process no device; use --devices cpu"
