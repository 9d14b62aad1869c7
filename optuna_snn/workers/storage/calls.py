"""Which methods of Optuna's storages go to the storage, and so are repeated while it is away.

Named one by one: whether a method may be done twice has been looked at for each of these. A test
compares the names with Optuna's.
"""

from __future__ import annotations

__all__ = ["CACHE_CALLS", "PUBLIC_CALLS"]

PUBLIC_CALLS = (
    *("create_new_study", "delete_study", "set_study_user_attr", "set_study_system_attr"),
    *("get_study_id_from_name", "get_study_name_from_id", "get_study_directions"),
    *("get_study_user_attrs", "get_study_system_attrs", "get_all_studies", "get_best_trial"),
    *("create_new_trial", "set_trial_param", "set_trial_state_values"),
    *("set_trial_intermediate_value", "set_trial_user_attr", "set_trial_system_attr"),
    *("get_trial", "get_all_trials", "get_n_trials", "get_trial_id_from_study_id_trial_number"),
    *("get_trial_number_from_id", "get_trial_param", "get_trial_params", "get_trial_user_attrs"),
    *("get_trial_system_attrs",),
)
"""Of `BaseStorage`."""

CACHE_CALLS = ("_create_new_trial", "_set_trial_param", "_get_trials", "_get_best_trial_id")
"""Of `RDBStorage`, called by the cache that Optuna puts before it."""
