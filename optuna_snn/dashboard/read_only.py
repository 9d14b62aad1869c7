"""A storage that refuses to be written to: each method that would says so in one line."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NoReturn

from optuna.storages import BaseStorage
from optuna.study import StudyDirection
from optuna.trial import FrozenTrial, TrialState

from optuna_snn.workers.errors import RunError

__all__ = ["ReadOnlyError", "ReadOnlyStorage"]


class ReadOnlyError(RunError):
    """Somebody tried to change a study through the view."""


class ReadOnlyStorage(BaseStorage):
    """What all of Optuna's methods that write have in common here: they raise ReadOnlyError."""

    def create_new_study(
        self, directions: Sequence[StudyDirection], study_name: str | None = None
    ) -> NoReturn:
        """Refuse."""
        _refuse("creates no study")

    def delete_study(self, study_id: int) -> NoReturn:
        """Refuse."""
        _refuse("deletes no study")

    def set_study_user_attr(self, study_id: int, key: str, value: Any) -> NoReturn:
        """Refuse."""
        _refuse(f"does not write the study's attribute {key!r}")

    def set_study_system_attr(self, study_id: int, key: str, value: Any) -> NoReturn:
        """Refuse."""
        _refuse(f"does not write the study's attribute {key!r}")

    def create_new_trial(
        self, study_id: int, template_trial: FrozenTrial | None = None
    ) -> NoReturn:
        """Refuse."""
        _refuse("creates no trial")

    def set_trial_param(
        self, trial_id: int, param_name: str, param_value_internal: float, distribution: Any
    ) -> NoReturn:
        """Refuse."""
        _refuse(f"does not write the parameter {param_name!r}")

    def set_trial_state_values(
        self, trial_id: int, state: TrialState, values: Sequence[float] | None = None
    ) -> NoReturn:
        """Refuse."""
        _refuse("ends no trial")

    def set_trial_intermediate_value(
        self, trial_id: int, step: int, intermediate_value: float
    ) -> NoReturn:
        """Refuse."""
        _refuse("reports no value")

    def set_trial_user_attr(self, trial_id: int, key: str, value: Any) -> NoReturn:
        """Refuse."""
        _refuse(f"does not write the trial's attribute {key!r}")

    def set_trial_system_attr(self, trial_id: int, key: str, value: Any) -> NoReturn:
        """Refuse."""
        _refuse(f"does not write the trial's attribute {key!r}")


def _refuse(what: str) -> NoReturn:
    raise ReadOnlyError(
        f"the dashboard only reads: it {what}; open the storage with "
        "optuna_snn.workers.open_storage to change a study"
    )
