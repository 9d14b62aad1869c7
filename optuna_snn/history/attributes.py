"""What the sampler stores beside a trial, and reads back: one JSON text per key.

optuna_snn:tag      what was known when the point was chosen (`SamplerTag`)
optuna_snn:point    a point of a discrete space, shared with the other workers while it runs
optuna_snn:hyper    fitted hyperparameters, for the next ask in whatever process it happens
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, fields
from typing import Any, NamedTuple

import numpy as np
from optuna.study import Study
from optuna.trial import FrozenTrial

from optuna_snn.scbo.fold import Tag
from optuna_snn.scbo.space import Array

TAG_KEY = "optuna_snn:tag"
POINT_KEY = "optuna_snn:point"
HYPER_KEY = "optuna_snn:hyper"
CONSTRAINT_PREFIX = "constraints:"
"""Optuna's own prefix of the attributes behind ``trial.constraints``."""
MAX_HYPER_LENGTH = 16_000
"""Characters of the stored hyperparameters beyond which they are not stored."""


class SamplerTag(NamedTuple):
    """What the sampler wrote beside a trial when it chose its point."""

    tag: Tag
    center: int | None
    """Number of the trial at the centre of the box."""
    predicted_feasible: float | None
    """Posterior probability that all constraints hold, where there was a model."""
    ask_seconds: float
    side: float | None = None
    """Side of the box that was used: the tag's length, or more under noise; None in a design."""


OWN_FIELDS = ("center", "predicted_feasible", "ask_seconds", "side")
TAG_FIELDS = {field.name for field in fields(Tag)} | {*OWN_FIELDS}


def read_tag(trial: FrozenTrial) -> SamplerTag | None:
    """What the sampler wrote beside a trial; None for enqueued, added and foreign trials.

    A tag of other fields, from another version of the package, counts as none.
    """
    stored = trial.system_attrs.get(TAG_KEY)
    if stored is None:
        return None
    values = json.loads(stored)
    if values.keys() != TAG_FIELDS:
        return None
    extra = {name: values.pop(name) for name in OWN_FIELDS}
    return SamplerTag(Tag(**values), **extra)


def write_tag(study: Study, trial: FrozenTrial, tag: SamplerTag) -> None:
    """Store beside a running trial what was known when its point was chosen."""
    extra = {
        "center": tag.center,
        "predicted_feasible": tag.predicted_feasible,
        "ask_seconds": round(tag.ask_seconds, 4),
        "side": None if tag.side is None else round(tag.side, 6),
    }
    _write(study, trial, TAG_KEY, asdict(tag.tag) | extra)


def write_point(study: Study, trial: FrozenTrial, params: Mapping[str, Any]) -> None:
    """Share a point of a discrete space with the other workers while it runs."""
    shared = {
        name: value
        for name, value in params.items()
        if value is None or isinstance(value, int | float | str)
    }
    _write(study, trial, POINT_KEY, shared)


def write_hyper(
    study: Study, trial: FrozenTrial, signature: str, n_trials: int, theta: Array
) -> None:
    """Store fitted hyperparameters for the next ask, in whatever process it happens."""
    rows = np.round(theta, 4).tolist()
    value = {"signature": signature, "n_trials": n_trials, "theta": rows}
    if len(json.dumps(value)) <= MAX_HYPER_LENGTH:
        _write(study, trial, HYPER_KEY, value)


def write_constraints(study: Study, trial: FrozenTrial, values: Sequence[float]) -> None:
    """Store constraints by their position, as ``trial.set_constraint`` would store named ones."""
    for i, value in enumerate(values):
        key = f"{CONSTRAINT_PREFIX}{i}"
        study._storage.set_trial_system_attr(trial._trial_id, key, value)


def _write(study: Study, trial: FrozenTrial, key: str, value: Mapping[str, Any]) -> None:
    study._storage.set_trial_system_attr(trial._trial_id, key, json.dumps(value))


def latest_with_hyper(trials: Iterable[FrozenTrial]) -> FrozenTrial | None:
    """The trial of the largest number that `write_hyper` has stored something beside."""
    stored = (t for t in trials if HYPER_KEY in t.system_attrs)
    return max(stored, key=lambda t: t.number, default=None)


def read_hyper(trial: FrozenTrial) -> Mapping[str, Any]:
    """What `write_hyper` stored beside a trial that has it."""
    found: Mapping[str, Any] = json.loads(trial.system_attrs[HYPER_KEY])
    return found


def study_digest(study: Study, *parts: object) -> int:
    """A number below 2^31 from the study's name and more: the same in every process."""
    name = study._storage.get_study_name_from_id(study._study_id)
    return digest(name, *parts)


def digest(*parts: object) -> int:
    """A number below 2^31, the same in every process (unlike ``hash``)."""
    joined = "\x1f".join(str(p) for p in parts).encode()
    return int.from_bytes(hashlib.sha256(joined).digest()[:4], "big") >> 1


def has_given_params(trial: FrozenTrial, names: Iterable[str]) -> bool:
    """Whether some of these parameters were given: enqueued, or the retry of a dead trial."""
    return bool(trial.system_attrs.get("fixed_params")) or any(n in trial.params for n in names)
