"""What several test files share: search spaces, trials made by hand, settings of hypothesis."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from typing import Any

import numpy as np
import optuna
from hypothesis import settings
from hypothesis import strategies as st
from optuna.distributions import BaseDistribution, FloatDistribution
from optuna.study import Study
from optuna.trial import FrozenTrial, Trial, TrialState

from optuna_snn import SCBOSampler
from optuna_snn.history import TAG_KEY, SamplerTag, read_tag, write_tag
from optuna_snn.scbo.fold import Tag
from optuna_snn.scbo.space import Categorical, Dimension, Numeric, SearchSpace

repeatable = settings(derandomize=True, deadline=None, database=None, max_examples=60)

START = datetime(2026, 1, 1)
MIXED = SearchSpace(
    (
        Numeric(-1.0, 3.0),
        Numeric(1e-4, 1.0, is_log=True),
        Numeric(0, 9, step=1.0),
        Numeric(1, 1000, is_log=True, step=1.0),
        Categorical(4),
    )
)
"""One dimension of each kind."""


def cube(n_dims: int) -> SearchSpace:
    return SearchSpace((Numeric(0.0, 1.0),) * n_dims)


@st.composite
def dimensions(draw: st.DrawFn) -> Dimension:
    """A dimension of any kind, with bounds as a user may give them."""
    kind = draw(st.sampled_from(["float", "log", "step", "int", "log int", "categorical"]))
    if kind == "categorical":
        return Categorical(draw(st.integers(2, 50)))
    if kind == "float":
        low, high = sorted(draw(st.lists(st.floats(-1e6, 1e6), min_size=2, max_size=2)))
        return Numeric(low, high if high - low > 1e-3 else low + 1.0)
    if kind == "log":
        low = 10.0 ** draw(st.floats(-290, 290))
        return Numeric(low, low * 10.0 ** draw(st.floats(0.1, 10)), is_log=True)
    if kind == "log int":
        low_int = draw(st.integers(1, 1000))
        return Numeric(low_int, low_int + draw(st.integers(1, 10**6)), is_log=True, step=1.0)
    step = float(draw(st.integers(1, 7))) if kind == "int" else draw(st.floats(1e-3, 10.0))
    low = draw(st.integers(-1000, 1000)) if kind == "int" else draw(st.floats(-100.0, 100.0))
    return Numeric(low, low + draw(st.integers(1, 2000)) * step, step=step)


def values_of(dimension: Dimension, u: np.ndarray) -> np.ndarray:
    """Valid values of a dimension, worked out without the code under test. u: (n,) in [0, 1)."""
    if isinstance(dimension, Categorical):
        return np.floor(u * dimension.n_choices)
    if dimension.step is not None:
        n_steps = round((dimension.high - dimension.low) / dimension.step)
        return dimension.low + np.floor(u * (n_steps + 1)) * dimension.step
    if dimension.is_log:
        return dimension.low * (dimension.high / dimension.low) ** u
    return dimension.low + u * (dimension.high - dimension.low)


def tag(
    epoch: int = 0,
    generation: int = 0,
    length: float = 0.8,
    n_running: int = 1,
    n_dims: int = 4,
    is_initial: bool = False,
) -> Tag:
    return Tag(epoch, generation, length, n_running, n_dims, is_initial)


def finished_trial(
    params: Mapping[str, Any],
    value: float | None = None,
    *,
    constraints: Mapping[str, float] | None = None,
    state: TrialState = TrialState.COMPLETE,
    finished_at: float = 0.0,
    tag: Tag | None = None,
    distributions: Mapping[str, BaseDistribution] | None = None,
) -> FrozenTrial:
    """A finished trial for ``study.add_trial``. finished_at: seconds after START."""
    trial = optuna.trial.create_trial(
        state=state,
        value=value,
        params=dict(params),
        distributions=dict(distributions or dict.fromkeys(params, FloatDistribution(0, 1))),
        system_attrs={} if tag is None else {TAG_KEY: stored_tag(tag)},
        constraints=dict(constraints or {}),
    )
    trial.datetime_start = START
    trial.datetime_complete = START + timedelta(seconds=finished_at)
    return trial


def stored_tag(tag: Tag) -> str:
    """The text that the sampler stores for a tag, by the code that stores it."""
    study = optuna.create_study()
    trial = study.ask()
    write_tag(study, trial._cached_frozen_trial, SamplerTag(tag, None, None, 0.0))
    return str(study.trials[0].system_attrs[TAG_KEY])


def bowl(n_dims: int, low: float = -1.0, high: float = 1.0) -> Callable[[Trial], float]:
    """An objective to minimise: the squared distance from a point a third of the way up."""

    def objective(trial: Trial) -> float:
        x = [trial.suggest_float(f"x{i}", low, high) for i in range(n_dims)]
        return float(sum((v - low - (high - low) / 3) ** 2 for v in x))

    return objective


def params_of(study: Study) -> list[dict[str, Any]]:
    return [t.params for t in study.get_trials(deepcopy=False)]


def optimised(
    objective: Callable[[Trial], float],
    n_trials: int = 6,
    study: optuna.Study | None = None,
    **options: Any,
) -> optuna.Study:
    sampler = SCBOSampler(**{"seed": 0, "n_startup_trials": 3, **options})
    study = study or optuna.create_study()
    study.sampler = sampler
    study.optimize(objective, n_trials=n_trials)
    return study


def n_modelled(study: optuna.Study) -> int:
    """Trials whose point came from the model."""
    tags = [read_tag(t) for t in study.trials]
    return sum(t is not None and not t.tag.is_initial for t in tags)
