"""The spikes of a trial's last sample, stored when the trial ends.

The engines count spikes while they learn, and keep no steps. So the training sample that was
presented last is shown once more, with learning off, after everything that results depend on.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from optuna import TrialPruned
from optuna.trial import BaseTrial

from optuna_snn.objectives.stdp.training import STDPTraining
from optuna_snn.rasters import RasterArtifacts

__all__ = ["last_sample_kept"]


@contextmanager
def last_sample_kept(
    rasters: RasterArtifacts, trial: BaseTrial, training: STDPTraining
) -> Iterator[None]:
    """Store the spikes of both layers when the block is left, unless the trial fails."""
    try:
        yield
    except TrialPruned:
        rasters.save(trial, rasters.rasters_of(training.record_last_sample()))
        raise
    rasters.save(trial, rasters.rasters_of(training.record_last_sample()))
