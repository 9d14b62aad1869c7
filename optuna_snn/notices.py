"""Warnings of the sampler: each is given once in a process, however many trials have a cause."""

from __future__ import annotations

import logging
import math
import threading
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from optuna_snn.history import Snapshot

_logger = logging.getLogger("optuna_snn.sampler")


class Notices:
    """What was warned of already; any number of threads may share it."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._given: set[str] = set()

    def _warn_once(self, key: str, message: str) -> None:
        with self._lock:
            is_new = key not in self._given
            self._given.add(key)
        if is_new:
            _logger.warning(message, stacklevel=3)

    def exhausted(self, n_points: float | None) -> None:
        """A discrete space of that many points has none left that was not tried.

        n_points: None where conditional parameters make it hard to tell.
        """
        number = "" if n_points is None else f" {n_points:.0f}"
        self._warn_once(
            "exhausted",
            f"All{number} points of the search space have been tried; from now on points "
            "are suggested again. Stop the study, or widen the space.",
        )

    def missing_constraints(self, snapshot: Snapshot) -> None:
        """A complete trial, if there is one, lacks constraints that others have."""
        known = snapshot.state.known_constraints
        if not known or "missing constraints" in self._given:
            return
        rows = snapshot.rows
        lacking = np.flatnonzero(rows.is_complete & np.isnan(rows.c).any(axis=1))
        if len(lacking) == 0:
            return
        first = lacking[0]
        missing = [n for n, c in zip(sorted(known), rows.c[first], strict=True) if math.isnan(c)]
        self._warn_once(
            "missing constraints",
            f"Trial {rows.number[first]} lacks the constraint(s) {missing} that other trials of "
            "the study have; such trials are never taken as the best point. Set every "
            "constraint in every trial, before any return.",
        )

    def has_named(self, name: str) -> bool:
        """Whether `independent` was given for that parameter."""
        return f"independent {name}" in self._given

    def independent(self, number: int, name: str, may_group: bool) -> None:
        """A parameter of that trial is sampled independently; once for each parameter.

        may_group: whether its branch would be modelled if it had enough trials.
        """
        reason = "not all trials have it, or not with the same bounds"
        if may_group:
            reason = "too few finished trials have it with the same bounds so far"
        self._warn_once(
            f"independent {name}",
            f"The parameter {name!r} in trial {number} is sampled independently, because "
            f"{reason}; the model does not see it. Pass warn_independent_sampling=False to "
            "silence this.",
        )
