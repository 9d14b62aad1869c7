"""Search spaces as data: names of hyperparameters -> Optuna distributions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from optuna.distributions import (
    BaseDistribution,
    CategoricalDistribution,
    FloatDistribution,
    IntDistribution,
)
from optuna.trial import BaseTrial

__all__ = ["SearchSpace", "extremes", "refuse_unknown", "suggest_params"]

SearchSpace = Mapping[str, BaseDistribution]


def suggest_params(trial: BaseTrial, space: SearchSpace) -> dict[str, Any]:
    """Let the trial suggest every hyperparameter of the space."""
    return {name: _suggest(trial, name, distribution) for name, distribution in space.items()}


def extremes(name: str, distribution: BaseDistribution) -> Sequence[Any]:
    """The bounds of a distribution, or all its choices; ValueError if it is none of Optuna's."""
    match distribution:
        case FloatDistribution() | IntDistribution():
            return (distribution.low, distribution.high)
        case CategoricalDistribution():
            return distribution.choices
    raise ValueError(
        f"The space has {distribution!r} for {name!r}; it takes a FloatDistribution, "
        "IntDistribution or CategoricalDistribution of optuna.distributions."
    )


def refuse_unknown(params: Mapping[str, Any], known: Sequence[str]) -> None:
    """ValueError if params has a name that is not among `known`."""
    unknown = sorted(set(params) - set(known))
    if unknown:
        raise ValueError(f"Unknown hyperparameter {unknown[0]!r}; known are {', '.join(known)}.")


def _suggest(trial: BaseTrial, name: str, distribution: BaseDistribution) -> Any:
    match distribution:
        case FloatDistribution(low=low, high=high, log=log, step=step):
            return trial.suggest_float(name, low, high, log=log, step=step)
        case IntDistribution(low=low, high=high, log=log, step=step):
            return trial.suggest_int(name, low, high, log=log, step=step)
    return trial.suggest_categorical(name, extremes(name, distribution))
