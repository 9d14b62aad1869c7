"""A trial whose worker died is run again, as if for the first time.

Optuna fails a trial whose heartbeat stopped and calls back; the callback here queues a copy of its
parameters. What the dead run had measured must not travel with the copy: a constraint can be set
only once per trial, so an inherited one would block the new value; a sampler's or pruner's record
describes a moment that has passed (a copied rung makes SuccessiveHalving skip it). Optuna's own
`RetryHeartbeatStaleTrialCallback` copies all of that. The history keeps its keys, so that its
`retry_history` and `retried_trial_number` read our retries too.
"""

from __future__ import annotations

import optuna
from optuna.trial import FrozenTrial, TrialState

from optuna_snn.workers.failures import FAIL_REASON

__all__ = ["DEFAULT_MAX_RETRY", "RetryStaleTrial", "requeue"]

DEFAULT_MAX_RETRY = 3

FIRST_TRIAL = "failed_trial"
HISTORY = "retry_history"
KEPT_SYSTEM_ATTRS = ("fixed_params", "grid_id", "search_space", FIRST_TRIAL, HISTORY)
"""Enqueued values and GridSampler's cell say *what* to run; everything else says how it went."""

OWN_PREFIX = "optuna_snn:"


class RetryStaleTrial:
    """Callback for `heartbeat_stale_trial_callback`: queues the dead trial's parameters again.

    Args:
        max_retry: a configuration is tried again at most so often; then its last trial stays FAIL.

    Raises:
        ValueError: `max_retry` is negative.
    """

    def __init__(self, *, max_retry: int = DEFAULT_MAX_RETRY) -> None:
        if max_retry < 0:
            raise ValueError(f"max_retry must be 0 or more, got {max_retry}; 0 never retries.")
        self._max_retry = max_retry

    def __call__(self, study: optuna.Study, trial: FrozenTrial) -> None:
        """Queue a copy of `trial`, unless its retries are spent."""
        if len(trial.system_attrs.get(HISTORY, [])) < self._max_retry:
            requeue(study, trial)


def requeue(study: optuna.Study, trial: FrozenTrial) -> None:
    """Queue the parameters of `trial` as a WAITING trial that remembers where it comes from."""
    kept = {key: trial.system_attrs[key] for key in KEPT_SYSTEM_ATTRS if key in trial.system_attrs}
    kept[FIRST_TRIAL] = kept.get(FIRST_TRIAL, trial.number)
    kept[HISTORY] = [*kept.get(HISTORY, []), trial.number]
    study.add_trial(
        optuna.create_trial(
            state=TrialState.WAITING,
            params=trial.params,
            distributions=trial.distributions,
            user_attrs={
                key: value
                for key, value in trial.user_attrs.items()
                if key != FAIL_REASON and not key.startswith(OWN_PREFIX)
            },
            system_attrs=kept,
        )
    )
