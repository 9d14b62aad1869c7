"""Stored trials <-> what the search knows: the one door between the storage and the sampler.

Only this folder uses private names of Optuna's studies and trials (``study._get_trials``, since
the public one shows a single bracket under HyperbandPruner; ``study._storage``;
``trial._trial_id``; ``distribution._contains``).
"""

from optuna_snn.history.attributes import (
    TAG_KEY,
    SamplerTag,
    digest,
    has_given_params,
    read_tag,
    study_digest,
    write_constraints,
    write_hyper,
    write_point,
    write_tag,
)
from optuna_snn.history.observe import is_taken, observe
from optuna_snn.history.parameters import to_held, to_params, to_points, to_space
from optuna_snn.history.plans import Plan, Plans
from optuna_snn.history.reader import History, Snapshot, read_state, read_trials
from optuna_snn.history.records import Record, parse

__all__ = [
    "TAG_KEY",
    "History",
    "Plan",
    "Plans",
    "Record",
    "SamplerTag",
    "Snapshot",
    "digest",
    "has_given_params",
    "is_taken",
    "observe",
    "parse",
    "read_state",
    "read_tag",
    "read_trials",
    "study_digest",
    "to_held",
    "to_params",
    "to_points",
    "to_space",
    "write_constraints",
    "write_hyper",
    "write_point",
    "write_tag",
]
