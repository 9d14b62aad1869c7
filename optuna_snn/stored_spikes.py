"""Where the spikes of a trial are stored, and how they are read back."""

from __future__ import annotations

from optuna.trial import FrozenTrial

from optuna_snn.spikes.report import SpikeReport

SPIKES_KEY = "optuna_snn:spikes"
"""User attribute with the report."""
CONSTRAINT_PREFIX = "silent/"
"""Before a layer's name, that of its constraint."""


def spike_report(trial: FrozenTrial) -> SpikeReport | None:
    """Return what a `SpikeMonitor` stored in the trial; None if it stored nothing.

    Raises ValueError, with the trial's number, if the attribute holds something else.
    """
    stored = trial.user_attrs.get(SPIKES_KEY)
    if stored is None:
        return None
    try:
        return SpikeReport.from_json(stored)
    except ValueError as error:
        raise ValueError(
            f"The user attribute {SPIKES_KEY!r} of trial {trial.number} is no spike report of "
            f"this version of optuna_snn: {error}."
        ) from error
