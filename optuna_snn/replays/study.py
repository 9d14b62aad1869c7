"""A finished study under another rule: what would have been stopped, saved, and lost.

The answers come from the traces that `SpikeMonitor` stores with each trial, so that no network is
trained again. A study that was run with ``rule="record"`` stops nothing and answers all. In any
other one the trainings that were stopped are censored: whether a looser rule would have kept them
is known only where it stops them too. A trace holds some of the looks of the monitor; what happens
between them is not seen (`spikes.replay`).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from optuna.study import Study, StudyDirection
from optuna.trial import FrozenTrial, TrialState

from optuna_snn.checkpoints.lineage import retried_numbers
from optuna_snn.history import read_trials
from optuna_snn.spikes.replay import Settings, Verdict, replayed
from optuna_snn.spikes.report import OverLayers, SpikeReport
from optuna_snn.spikes.rules import RuleName
from optuna_snn.stored_spikes import spike_report

__all__ = ["Replay", "ReplayedTrial", "replay"]

GOOD_SHARE = 0.1
"""The default of `replay(good_share=)`."""
WHOLE_SHARE = 0.9
"""Part of the planned samples that makes a whole training: last batches are often left out."""


@dataclass(frozen=True)
class ReplayedTrial:
    """One trial, as it was and as it would have been."""

    number: int
    state: TrialState
    value: float | None
    """Of a COMPLETE trial with a finite value; None of any other."""
    samples_seen: int
    samples_planned: int | None
    """Samples of a run to the end; None where it ended early and no plan was stored."""
    verdict: Verdict

    @property
    def samples_spent(self) -> int | None:
        """Samples that the network would have processed; None where that is not known."""
        return self.verdict.n_samples


@dataclass(frozen=True)
class Replay:
    """The trials of a study that have a spike report, under one rule."""

    settings: Settings
    trials: Sequence[ReplayedTrial]
    n_without_report: int
    """Trials that are left out: without a monitor, not finished, or tried again."""
    is_maximized: bool
    good_share: float = GOOD_SHARE
    """Part of the COMPLETE trials, the best by value, that count as good networks."""

    @property
    def n_stopped(self) -> int:
        """Networks that the rule would have stopped: it does at one of the looks."""
        return sum(t.verdict.is_stopped is True for t in self.trials)

    @property
    def n_kept(self) -> int:
        """Networks that were trained to the end, and that the rule stops at none of the looks.

        One that was silent for a while between two looks may be among them (`spikes.replay`).
        """
        return sum(t.verdict.is_stopped is False for t in self.trials)

    @property
    def n_unknown(self) -> int:
        """Networks of which the study does not know."""
        return len(self.trials) - self.n_stopped - self.n_kept

    @property
    def n_cut(self) -> int:
        """Of these, networks that were trained on after their stored trace had ended."""
        return sum(t.verdict.is_cut for t in self.trials)

    @property
    def samples_planned(self) -> int:
        """Samples of all trainings to their ends, of the trials with `samples_saved`."""
        return sum(t.samples_planned or 0 for t in self._accounted())

    @property
    def samples_saved(self) -> int:
        """Samples that would have been saved, of the trials where spent and planned are known."""
        return sum((t.samples_planned or 0) - (t.samples_spent or 0) for t in self._accounted())

    def _accounted(self) -> list[ReplayedTrial]:
        return [
            t for t in self.trials if t.samples_spent is not None and t.samples_planned is not None
        ]

    def ranked(self) -> list[ReplayedTrial]:
        """COMPLETE trials with a finite value, best first; infeasible ones included."""
        sign = -1.0 if self.is_maximized else 1.0
        valued = [t for t in self.trials if t.value is not None]
        return sorted(valued, key=lambda t: (sign * (t.value or 0.0), t.number))

    @property
    def n_good(self) -> int:
        """Networks that count as good: the best `good_share` of the COMPLETE ones."""
        return math.ceil(self.good_share * len(self.ranked()))

    @property
    def n_good_lost(self) -> int:
        """Good networks that the rule would have stopped."""
        return sum(t.verdict.is_stopped is True for t in self.ranked()[: self.n_good])

    @property
    def n_good_unknown(self) -> int:
        """Good networks of which the study does not know: they may be lost, too."""
        return sum(t.verdict.is_stopped is None for t in self.ranked()[: self.n_good])

    @property
    def best_value_kept(self) -> float | None:
        """Best value of a network that counts as kept (`n_kept`); None if there is none."""
        kept = [t.value for t in self.ranked() if t.verdict.is_stopped is False]
        return kept[0] if kept else None


def replay(
    study: Study,
    *,
    alpha: int | None = None,
    beta: float | None = None,
    rule: RuleName | None = None,
    delta: float | None = None,
    warmup: int | None = None,
    min_samples: int | None = None,
    epoch_size: int | None = None,
    over_layers: OverLayers | None = None,
    good_share: float = GOOD_SHARE,
) -> Replay:
    """Ask what another rule would have done with the networks of a study.

    The options are those of `SpikeMonitor`; None keeps what the monitor of each trial had. Trials
    that still run or wait, dead ones that were tried again, and trials without a spike report are
    left out and counted. Nothing is written. A COMPLETE trial is one of a whole training, unless
    its rule stopped it or it saw less than nine tenths of its planned samples: what would have
    come after is not known then.

    Silence alone is asked about. Trials that were stopped because their network was saturated are
    censored as all pruned ones are: a rule that stops them for silence before that is known to,
    of any other it is not known. Each epoch is judged as a whole, also where the monitor had a
    sliding window. Under another `over_layers` than the trial had, delta is divided as if its
    layers had been declared.

    good_share: part of the COMPLETE trials, the best by value, that count as good networks

    Raises:
        ValueError: An option is out of range; the study has several objectives; a trial's spike
            report is damaged.

    Example:
        >>> import optuna
        >>> from optuna_snn import SpikeMonitor, replay
        >>> def objective(trial: optuna.Trial) -> float:
        ...     n_silent = trial.suggest_int("n_silent", 0, 8)  # of the eight samples of a batch
        ...     with SpikeMonitor(trial, rule="record", warmup=32) as monitor:
        ...         for _ in range(100):
        ...             monitor.update("output", [0] * n_silent + [9] * (8 - n_silent))
        ...     return 1 - n_silent / 8
        >>> study = optuna.create_study(direction="maximize")
        >>> for n_silent in (0, 1, 4, 8):
        ...     study.enqueue_trial({"n_silent": n_silent})
        >>> study.optimize(objective, n_trials=4)
        >>> found = replay(study, rule="sequential", beta=0.2)
        >>> [(t.number, t.verdict.is_stopped, t.samples_spent) for t in found.trials]
        [(0, False, 800), (1, False, 800), (2, True, 80), (3, True, 48)]
        >>> f"{found.samples_saved / found.samples_planned:.0%}"
        '46%'
    """
    if len(study.directions) > 1:
        raise ValueError(f"replay needs a study of one objective, got {len(study.directions)}.")
    if not 0.0 < good_share <= 1.0:
        raise ValueError(f"Need 0 < good_share <= 1, got {good_share!r}.")
    settings = Settings(alpha, beta, rule, delta, warmup, min_samples, epoch_size, over_layers)
    trials = sorted(read_trials(study), key=lambda trial: trial.number)
    retried = retried_numbers(trials)
    reports = {
        t.number: spike_report(t) if t.state.is_finished() and t.number not in retried else None
        for t in trials
    }
    return Replay(
        settings=settings,
        trials=[
            _replayed(trial, report, settings)
            for trial in trials
            if (report := reports[trial.number]) is not None
        ],
        n_without_report=sum(report is None for report in reports.values()),
        is_maximized=study.direction == StudyDirection.MAXIMIZE,
        good_share=good_share,
    )


def _replayed(trial: FrozenTrial, report: SpikeReport, settings: Settings) -> ReplayedTrial:
    is_complete = trial.state == TrialState.COMPLETE
    value = trial.values[0] if is_complete and trial.values else None
    is_whole = is_complete and _is_trained_to_the_end(report)
    planned = report.samples_seen if is_whole else report.planned_samples
    return ReplayedTrial(
        number=trial.number,
        state=trial.state,
        value=value if value is not None and math.isfinite(value) else None,
        samples_seen=report.samples_seen,
        samples_planned=planned,
        verdict=replayed(report, settings, is_censored=not is_whole),
    )


def _is_trained_to_the_end(report: SpikeReport) -> bool:
    """Whether a COMPLETE trial presented all samples; one without a plan did."""
    planned, seen = report.planned_samples, report.samples_seen
    if planned is None or seen >= planned:
        return True
    was_stopped = report.is_stopped and not report.is_judged_whole
    return not was_stopped and seen >= WHOLE_SHARE * planned
