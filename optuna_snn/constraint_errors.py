"""How uncertain a trial's constraints are: written by who told them, read by the sampler.

A constraint that is a share of samples, or a mean of a few runs, is told with an error, which is
smaller the more samples it rests on. `SpikeMonitor` stores it for the layers that it watches.
"""

from __future__ import annotations

import math
from collections.abc import Mapping

from optuna.trial import BaseTrial, FrozenTrial

CONSTRAINT_SD_KEY = "optuna_snn:constraint_sd"
"""User attribute with constraint name -> standard deviation."""


def set_constraint_sd(trial: BaseTrial, sds: Mapping[str, float]) -> None:
    """Tell `SCBOSampler` the standard deviation of the error of a trial's constraints.

    Its models then weigh each value by it. Call it once a trial, with all constraints that have
    one; the others count as told exactly, but for the noise that a model finds itself.

        >>> import optuna
        >>> from optuna_snn import set_constraint_sd
        >>> trial = optuna.create_study().ask()
        >>> trial.set_constraint("crashes", 3 / 10 - 0.05)  # 3 of 10 runs; 5 % are tolerated
        >>> set_constraint_sd(trial, {"crashes": (0.3 * 0.7 / 10) ** 0.5})

    sds: name of a constraint -> standard deviation, finite and at least 0, in its own units
    Raises ValueError for other values.
    """
    for name, sd in sds.items():
        if not _is_sd(sd):
            raise ValueError(
                f"The standard deviation of constraint {name!r} must be finite and at least 0, "
                f"got {sd!r}. Leave out a constraint whose error is not known."
            )
    trial.set_user_attr(CONSTRAINT_SD_KEY, {name: float(sd) for name, sd in sds.items()})


def constraint_sds(trial: FrozenTrial) -> dict[str, float]:
    """The standard deviations stored in a trial; what is none is left out."""
    stored = trial.user_attrs.get(CONSTRAINT_SD_KEY)
    if not isinstance(stored, Mapping):
        return {}
    return {name: float(sd) for name, sd in stored.items() if _is_sd(sd)}


def _is_sd(value: object) -> bool:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return False
    return math.isfinite(value) and value >= 0.0
