"""Where the spikes of a trial are stored: how they are written, once a run, and read back."""

from __future__ import annotations

import logging
from collections.abc import Callable

from optuna.trial import BaseTrial, FrozenTrial, Trial

from optuna_snn.constraint_errors import set_constraint_sd
from optuna_snn.spikes.checks import checked_real
from optuna_snn.spikes.report import SpikeReport

SPIKES_KEY = "optuna_snn:spikes"
"""User attribute with the report."""
CONSTRAINT_PREFIX = "silent/"
"""Before a layer's name, that of the constraint on its silence; "all" names them together."""
SATURATION_PREFIX = "saturated/"
"""Likewise, that of the constraint on its saturation."""

_logger = logging.getLogger(__name__)


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


def readable_report(trial: FrozenTrial) -> SpikeReport | None:
    """The trial's spike report; None where a monitor of another version wrote it, or none did."""
    try:
        return spike_report(trial)
    except ValueError:
        return None


def spike_constraints(report: SpikeReport) -> dict[str, float]:
    """Return the constraints that follow from a report, by the names they are stored under."""
    silent, saturated = report.constraints, report.saturation_constraints
    return {f"{CONSTRAINT_PREFIX}{name}": value for name, value in silent.items()} | {
        f"{SATURATION_PREFIX}{name}": value for name, value in saturated.items()
    }


def spike_constraint_sds(report: SpikeReport) -> dict[str, float]:
    """Return the standard deviations of these constraints, by the same names."""
    silent, saturated = report.constraint_sds, report.saturation_constraint_sds
    return {f"{CONSTRAINT_PREFIX}{name}": sd for name, sd in silent.items()} | {
        f"{SATURATION_PREFIX}{name}": sd for name, sd in saturated.items()
    }


class SpikeWriter:
    """Writes the report and the constraints of one trial; nothing to a `FrozenTrial`.

    Args:
        trial: The trial of the objective.
        report: Its report before the first sample, which is not worth a write.
        interval_s: Seconds between writes of the report that nothing else calls for.
        clock: The time in seconds.

    Raises:
        ValueError: `interval_s` is negative.
    """

    def __init__(
        self, trial: BaseTrial, report: SpikeReport, interval_s: float, clock: Callable[[], float]
    ) -> None:
        self._interval_s = checked_real("report_interval_s", interval_s)
        if not self._interval_s >= 0:
            raise ValueError(f"Need report_interval_s >= 0, got {interval_s!r}.")
        self._trial = trial
        self._clock = clock
        self._written = report
        self._written_at = clock()

    def open(self) -> None:
        """Count the interval from now; ValueError if the trial has constraints on spikes.

        Optuna's own retries copy the report of the dead trial, by which this one would be pruned:
        it is overwritten.
        """
        self._written_at = self._clock()
        prefixes = (CONSTRAINT_PREFIX, SATURATION_PREFIX)
        taken = [key for key in self._trial.constraints if key.startswith(prefixes)]
        if taken and not isinstance(self._trial, FrozenTrial):
            raise ValueError(
                f"Trial {self._trial.number} has the constraint {taken[0]!r} already, and Optuna "
                "keeps the first value of a constraint. Use one SpikeMonitor per trial; if this "
                "trial is the retry of a dead one, open the storage by "
                "optuna_snn.workers.open_storage, which does not copy constraints to a retry."
            )
        if isinstance(self._trial, Trial) and SPIKES_KEY in self._trial.user_attrs:
            self._trial.set_user_attr(SPIKES_KEY, self._written.to_json())

    @property
    def is_due(self) -> bool:
        """Whether the interval since the last write has passed."""
        return self._clock() - self._written_at >= self._interval_s

    def write_report(self, report: SpikeReport) -> None:
        """Store the report, unless it is the one that was stored last."""
        if report is self._written or isinstance(self._trial, FrozenTrial):
            return
        self._trial.set_user_attr(SPIKES_KEY, report.to_json())
        self._written = report
        self._written_at = self._clock()

    def write_results(self, report: SpikeReport) -> None:
        """Store the constraints and the report when training has ended; once.

        Raises ValueError, when all is stored, if a layer or the network was never judged.
        """
        self._write_results(report)
        unjudged = [name for name, layer in report.layers.items() if layer.constraint is None]
        if unjudged or not report.layers:
            seen = {name: report.layers[name].activity.seen.n_samples for name in unjudged}
            raise ValueError(
                f"No sample was judged, so there is no constraint; samples seen: {seen}, of which "
                f"the first {report.warmup} are warm-up. Pass a smaller warmup= or "
                "planned_samples=, or take in every batch of every declared layer: "
                "monitor.update() where layers are watched, else monitor.update(layer, counts)."
            )

    def write_results_behind(self, exception: BaseException, report: SpikeReport) -> None:
        """Store the results while `exception` leaves the block; it is never replaced.

        Any error of any storage backend must be caught for that, so it is logged and noted on the
        exception. The trial then lacks what could not be written.
        """
        try:
            self._write_results(report)
        except Exception as failure:
            lost = f"The spike results of trial {self._trial.number} could not be stored"
            _logger.exception("%s.", lost)
            exception.add_note(f"{lost}: {failure!r}")

    def _write_results(self, report: SpikeReport) -> None:
        if not isinstance(self._trial, FrozenTrial):
            for name, value in spike_constraints(report).items():
                self._trial.set_constraint(name, value)
            if sds := spike_constraint_sds(report):
                set_constraint_sd(self._trial, sds)
        self.write_report(report)
