"""Prunes the trials whose network a `SpikeMonitor` finds silent or saturated."""

from __future__ import annotations

from optuna.pruners import BasePruner
from optuna.study import Study
from optuna.trial import FrozenTrial

from optuna_snn.stored_spikes import spike_report


class SpikeActivityPruner(BasePruner):
    """Prune a trial as soon as its network is silent or saturated; else ask another pruner.

    What that means (alpha, max_spikes, beta, the rule) is said in one place, the `SpikeMonitor` of
    the objective. The pruner reads the report that the monitor stores in the trial, and holds
    nothing itself. Spikes do not pass through ``trial.report``: that stays free for the accuracy,
    which `wrapped_pruner` judges. A trial without a monitor is left to `wrapped_pruner`.

    `optuna.pruners.HyperbandPruner` may be wrapped too; samplers then see the trials of all its
    brackets.

        >>> import optuna
        >>> from optuna_snn import SpikeActivityPruner, SpikeMonitor
        >>> def objective(trial: optuna.Trial) -> float:
        ...     fires = trial.suggest_categorical("fires", [False, True])
        ...     with SpikeMonitor(trial, planned_samples=160) as monitor:
        ...         for step in range(10):
        ...             monitor.update("output", [3 * fires] * 16)  # spikes of each sample
        ...             trial.report(0.1 * step, step)  # accuracy so far
        ...             if trial.should_prune():
        ...                 raise optuna.TrialPruned(monitor.verdict)
        ...     return 0.9
        >>> pruner = SpikeActivityPruner(optuna.pruners.MedianPruner())
        >>> study = optuna.create_study(direction="maximize", pruner=pruner)
        >>> for fires in (False, True):
        ...     study.enqueue_trial({"fires": fires})
        >>> study.optimize(objective, n_trials=2)
        >>> [trial.state.name for trial in study.trials]
        ['PRUNED', 'COMPLETE']

    Args:
        wrapped_pruner: The pruner for networks that are neither; None keeps them all.
    """

    def __init__(self, wrapped_pruner: BasePruner | None = None) -> None:
        if not isinstance(wrapped_pruner, BasePruner | None):
            raise TypeError(
                f"wrapped_pruner must be an Optuna pruner or None, got {wrapped_pruner!r}."
            )
        self._wrapped_pruner = wrapped_pruner

    def prune(self, study: Study, trial: FrozenTrial) -> bool:
        """Say whether the trial should stop; ValueError if its spike report is damaged."""
        report = spike_report(trial)
        if report is not None and report.is_stopped:
            return True
        return self._wrapped_pruner is not None and self._wrapped_pruner.prune(study, trial)
