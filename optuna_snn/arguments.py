"""What users hand to the sampler, checked: arguments, and results of their constraints_func."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import numpy as np
from optuna.trial import FrozenTrial

if TYPE_CHECKING:
    import torch


def checked_count(name: str, value: int | None, least: int) -> int | None:
    """An integer that is at least so large, or None. Raises ValueError for another."""
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int | np.integer) or value < least:
        raise ValueError(f"{name} must be an integer of at least {least} or None, got {value!r}.")
    return int(value)


def checked_device(device: str | torch.device) -> str:
    """The device's name. Raises ValueError for one that torch does not know or find.

    The CPU needs no look at torch, which takes a second to import.
    """
    if str(device) == "cpu":
        return "cpu"
    import torch

    try:
        found = torch.device(device)
    except (RuntimeError, TypeError) as error:
        raise ValueError(f"device {device!r} is not known to torch: {error}") from error
    if found.type == "cuda" and not torch.cuda.is_available():
        raise ValueError(f"device {device!r} needs CUDA, which torch does not find. Use 'cpu'.")
    return str(found)


def computed_constraints(
    constraints_func: Callable[[FrozenTrial], Sequence[float]], trial: FrozenTrial
) -> list[float]:
    """The constraints of a trial that has none of its own.

    Raises ValueError where it has, or for NaN; TypeError for what is no sequence of numbers.
    """
    if trial.constraints:
        raise ValueError(
            f"Trial {trial.number} has constraints by trial.set_constraint "
            f"({sorted(trial.constraints)}) and the sampler has a constraints_func. "
            "Use one of the two."
        )
    given = constraints_func(trial)
    try:
        values = [float(c) for c in given]
    except TypeError as error:
        raise TypeError(
            f"constraints_func must return a sequence of numbers, got {given!r} for trial "
            f"{trial.number}; a single constraint is a list of one."
        ) from error
    if any(math.isnan(c) for c in values):
        raise ValueError(f"constraints_func gave NaN for trial {trial.number}: {values}.")
    return values
