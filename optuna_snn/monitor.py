"""Joins a trial to the rules on its spikes: spike counts in, constraints and a report out.

What is written to the trial, and when:
    user attribute "optuna_snn:spikes"   the report (`SpikeReport`): when the set of layers that
                                         stop the network changes, at `start_epoch`, else at most
                                         every report_interval_s, and when the block is left
    constraint "silent/<layer>"          silent share - beta of each layer, once, when it is left;
                                         graded by its gaps where there are some
    constraint "saturated/<layer>"       saturated share - beta of each layer with max_spikes
    user attribute "optuna_snn:constraint_sd"   the standard deviations of these constraints
With over_layers="all" there is one of each, "silent/all" and "saturated/all": the least of the
layers' values. The attribute is not written again while the report stays as it is. A `FrozenTrial`
is a finished trial whose objective is run again: it is watched, and nothing is written to it.
"""

from __future__ import annotations

import logging
from collections.abc import Collection, Mapping
from dataclasses import replace
from functools import cache
from time import monotonic
from types import TracebackType
from typing import TYPE_CHECKING, Any, Literal, Self

from numpy.typing import ArrayLike
from optuna.exceptions import TrialPruned
from optuna.trial import BaseTrial, Trial

from optuna_snn.spikes.batch import checked_batch
from optuna_snn.spikes.checks import checked_integer
from optuna_snn.spikes.limits import Limits, PerLayer
from optuna_snn.spikes.report import OverLayers, SpikeReport
from optuna_snn.spikes.resume import MonitorState, restored
from optuna_snn.spikes.rules import RuleName
from optuna_snn.spikes.warmup import default_warmup
from optuna_snn.stored_spikes import SpikeWriter

if TYPE_CHECKING:
    from torch.nn import Module

    from optuna_snn.probes.counting import Axes
    from optuna_snn.probes.layers import Layers
    from optuna_snn.probes.watching import Watch
    from optuna_snn.rasters.artifacts import RasterArtifacts
    from optuna_snn.rasters.recording import Recording

_logger = logging.getLogger(__name__)


class SpikeMonitor:
    """Watches the spikes of the network that a trial trains, and says when it is to be stopped.

    A sample is silent for a layer that fires fewer than `alpha` spikes in it, and saturated for
    one that fires more than `max_spikes`. A layer is silent (saturated) when the rule finds its
    share of silent (saturated) samples above `beta`; the network is when one of its layers is, and
    is to be stopped then. On leaving the block, however it is left, each layer's constraint
    ``silent/<layer>`` = silent share - beta is set, and ``saturated/<layer>`` if it has the bound,
    over the samples that the rule judged: those of the last epoch, the warm-up left out. Stopping
    is up to the objective, as below with `SpikeActivityPruner`, or without a pruner (and in
    multi-objective studies, where Optuna has no ``should_prune``) by
    ``if monitor.is_stopped: raise optuna.TrialPruned(monitor.verdict)``.

        >>> import numpy as np
        >>> import optuna
        >>> from optuna_snn import SpikeActivityPruner, SpikeMonitor
        >>> def objective(trial: optuna.Trial) -> float:
        ...     rate = trial.suggest_float("rate", 0.0, 30.0)  # of a toy network
        ...     rng = np.random.default_rng(trial.number)
        ...     with SpikeMonitor(trial, alpha=1, beta=0.1, planned_samples=320) as monitor:
        ...         for _ in range(20):
        ...             monitor.update("output", rng.poisson(rate, size=16))
        ...             if trial.should_prune():
        ...                 raise optuna.TrialPruned(monitor.verdict)
        ...     return rate
        >>> study = optuna.create_study(pruner=SpikeActivityPruner())
        >>> for rate in (0.0, 30.0):
        ...     study.enqueue_trial({"rate": rate})
        >>> study.optimize(objective, n_trials=2)
        >>> [(trial.state.name, trial.constraints) for trial in study.trials]
        [('PRUNED', {'silent/output': 0.9}), ('COMPLETE', {'silent/output': -0.1})]

    The promise of the sequential rule: if after the warm-up every sample is silent with
    conditional probability at most beta given the samples before it, and likewise saturated where
    there is a bound, the network is ever called silent or saturated with probability at most
    delta, over all layers, epochs and sliding windows together, however often one looks. With
    over_layers="all" it is enough that one layer keeps to beta, and one with the bound as to
    saturation. Learning may make a silent network fire later; the warm-up has to cover that time.
    And samples that are silent together, batch by batch, break the condition: with a correlation
    of 0.1 in batches of 16 a network at beta is stopped fifty times as often as delta says.

    Args:
        trial: The trial of the objective; `FixedTrial` works as well.
        alpha: Spikes below which a sample is silent: a whole number >= 1, or layer -> number.
        beta: Silent share that is tolerated, 0 <= beta < 1, or layer -> share. The saturated share
            has the same limit.
        rule: "sequential" as above (needs beta > 0); "paper" as Firmin et al. have it: more than
            beta * epoch_size silent samples in the epoch; "record" never finds a layer silent.
        delta: Probability of stopping a network that keeps to beta ("sequential" only). It is
            divided equally among the declared layers, or those of ``watch()``; where there are
            neither, the j-th layer to appear gets 6 / (pi^2 j^2) of it. Epochs divide a layer's
            part in the latter way, once silence and saturation have halved it where both are
            asked for.
        warmup: The first samples of each layer in the trial, which are recorded but not judged.
            None: 256, or 32 batches of the size of the first if that is more (up to 4,096), and at
            most half of planned_samples. Networks that learn by gradients wake up within so
            many updates, or are not among the best. A training that ends before, or that another
            pruner ends before, was never stopped, and its constraints are those of all its
            samples. Lower it where most networks are dead and the trainings short.
        min_samples: Samples of a window before which "sequential" stops nothing. A dead layer
            would be found after three at beta = 0.05, after four at 0.1, which is hasty.
        epoch_size: Training samples of one epoch; needed by rule "paper", which otherwise has
            neither minimum nor (with ``warmup=0``, as its authors had it) warm-up.
        planned_samples: Training samples of a run to the end, all epochs together; with it the
            report knows how many samples were saved by stopping.
        layers: The layers to be watched. Keys of a mapping for alpha or beta declare them too.
            Updates of other layers are refused then, and each must have been judged at the end.
        max_spikes: Spikes above which a sample is saturated: a whole number >= alpha, or layer ->
            number for some of the declared layers; None: no sample is.
        over_layers: "all" calls the network silent only when every declared layer (every layer
            seen, where none is declared) is found silent at the same look, and saturated when
            every layer with max_spikes is. Declare the layers, for one that has yet to appear
            keeps no network. The constraints are ``silent/all`` and ``saturated/all``, the least
            of the layers'; delta is not divided among layers.
        window: Samples of a sliding window, even, at least twice min_samples ("sequential" only):
            the rule judges the last window / 2 to window samples of the epoch. A network that
            falls silent late is found within a number of samples that depends on the window, not
            on how long it was active. The price is a later stop as the trial grows long: the half
            windows divide delta in the place of the epochs. None judges an epoch as a whole.
        report_interval_s: Seconds between writes of the report that nothing else calls for.

    Raises:
        ValueError: An option is out of range, or alpha, beta and layers name different layers;
            later on: counts that are none, an undeclared layer, a block left (without an
            exception) before a sample of each layer was judged.
    """

    def __init__(
        self,
        trial: BaseTrial,
        *,
        alpha: PerLayer = 1,
        beta: PerLayer = 0.1,
        rule: RuleName = "sequential",
        delta: float = 1e-3,
        warmup: int | None = None,
        min_samples: int = 16,
        epoch_size: int | None = None,
        planned_samples: int | None = None,
        layers: Collection[str] | None = None,
        max_spikes: PerLayer | None = None,
        over_layers: OverLayers = "any",
        window: int | None = None,
        report_interval_s: float = 10.0,
    ) -> None:
        self._limits = Limits(
            alpha,
            beta,
            rule,
            delta,
            min_samples,
            epoch_size,
            layers,
            max_spikes=max_spikes,
            over_layers=over_layers,
            window=window,
        )
        if planned_samples is not None:
            planned_samples = checked_integer("planned_samples", planned_samples, at_least=1)
        self._report = SpikeReport(
            rule=rule,
            warmup=default_warmup(planned_samples=planned_samples)
            if warmup is None
            else checked_integer("warmup", warmup, at_least=0),
            planned_samples=planned_samples,
            layers={name: self._limits.first_report(name, 1) for name in self._limits.declared},
            over_layers=over_layers,
        )
        self._has_given_warmup = warmup is not None
        self._writer = SpikeWriter(trial, self._report, report_interval_s, clock=monotonic)
        self._trial = trial
        self._watch: Watch | None = None
        self._rasters: tuple[RasterArtifacts, Recording] | None = None
        self._state: Literal["new", "open", "left"] = "new"
        self._epoch = 1
        self._has_samples_in_epoch = False
        self._has_trained_on = False

    @property
    def is_stopped(self) -> bool:
        """Whether the rule stops the network, by the samples seen so far: silent or saturated."""
        return self._report.is_stopped

    @property
    def is_silent(self) -> bool:
        """Whether the rule finds the network silent; the same without ``max_spikes``."""
        return self._report.is_silent

    @property
    def is_saturated(self) -> bool:
        """Whether the rule finds the network saturated."""
        return self._report.is_saturated

    @property
    def verdict(self) -> str | None:
        """Which layers stop the network and why, in words; None if it is not to be stopped."""
        return self._report.verdict

    @property
    def n_samples(self) -> int:
        """Samples seen in the trial, warm-up included, of the layer that saw most."""
        return self._report.samples_seen

    def __enter__(self) -> Self:
        if self._state != "new":
            raise RuntimeError(
                "A SpikeMonitor serves one with-block. Make a new one for each trial, "
                "and let its block enclose all training of the trial."
            )
        self._writer.open()
        self._state = "open"
        return self

    def watch(
        self,
        model: Module,
        layers: Layers | None = None,
        axes: Axes | Mapping[str, Axes] | None = None,
        *,
        membranes: bool | Collection[str] = False,
        rasters: RasterArtifacts | None = None,
    ) -> Watch:
        """Count the spikes of a model's layers until the block is left; `update()` takes them in.

        Call ``update()`` after each batch: all calls of a layer between two updates belong to the
        same samples. Modules in eval mode are not counted, nor is what runs inside a block ``with
        watch.paused()`` of the watch that is returned. ValueError for unknown layers and axes, and
        for membrane potentials that cannot be read.

        layers: paths of modules, or name -> path or module; None takes the layers declared to the
                monitor, else all spiking layers of snnTorch, SpikingJelly, lava-dl and BindsNET.
                Where none were declared nor seen before, these are: no others are taken then
        axes:   of what layers emit, one of `probes.counting.LAYOUTS`, or layer -> axes; None
                detects those of modules of these frameworks. What returns a tuple, as norse's
                modules do, is counted by the first tensor of it: axes="batch ..." for norse's
                cells, "time batch ..." for its layers of whole sequences
        membranes: whether membrane potentials are read as well, which give ``update`` its gaps:
                those of all watched layers, or of the layers named. They can be read of BindsNET,
                snnTorch and SpikingJelly. Small networks take 5 to 10 % longer for it, counting
                included, and searches were not clearly better (`benchmarks/membrane_gap.py`)
        rasters: where the spikes of the last sample are kept as pictures (`optuna_snn.rasters`);
                None records none
        """
        self._refuse_unless_open("watch")
        if self._watch is not None:
            raise RuntimeError(
                "SpikeMonitor.watch() was called already. Name all layers in one call; of several "
                "models that run in the same batches pass torch.nn.ModuleList([...]); of models "
                "that are trained one after the other, as in a cross-validation, watch the first, "
                "and train the others after the monitor's block."
            )
        from optuna_snn.probes.layers import find_layers  # these import torch
        from optuna_snn.probes.membranes import membrane_names
        from optuna_snn.probes.watching import Watch

        if layers is None:
            layers = self._limits.declared or None
        found = find_layers(model, layers, axes)
        for layer in found:
            self._limits.first_report(layer.name, 1)  # refuses one that was not declared
        self._watch = Watch(found, membrane_names(found, membranes))
        if not (self._limits.declared or self._report.layers):
            self._declare([layer.name for layer in found])
        if rasters is not None:
            self._rasters = (rasters, rasters.recording(self._watch))
        return self._watch

    def update(
        self,
        layer: str | Mapping[str, ArrayLike] | None = None,
        counts: ArrayLike | None = None,
        *,
        gaps: ArrayLike | Mapping[str, ArrayLike] | None = None,
    ) -> None:
        """Take in the spikes of further samples, in the order in which they were presented.

        layer:  name of the layer, or a mapping layer -> counts in place of both arguments;
                without both, what the watched layers fired since the last update is taken
        counts: (n_samples,) spikes of each sample, summed over the layer's neurons and over time;
                a sequence, a NumPy array, or a tensor on any device
        gaps:   (n_samples,) how far the layer stayed from firing in each sample, from 0 (it
                reached the threshold) to 1 (it received nothing), or a mapping layer -> gaps where
                counts come as one. Those of silent samples grade a violated constraint, which
                keeps its sign (`spikes.gaps`). A layer has gaps in all updates of all trials of a
                study or in none: graded values and others are not comparable
        Nothing is taken in if any of it is refused.
        """
        self._refuse_unless_open("update")
        if self._rasters is not None:
            self._rasters[1].end_batch()
        if layer is None and counts is None and gaps is None and self._watch is not None:
            layer, gaps = self._watch.take_with_gaps()
        batch = checked_batch(layer, counts, gaps)
        was_stopped = self._report.is_stopped
        warmup = self._report.warmup
        if not (self._has_given_warmup or self._report.samples_seen):
            batch_size = max((len(values) for values, _ in batch.values()), default=0)
            warmup = default_warmup(batch_size, self._report.planned_samples)
        layers = dict(self._report.layers)
        for name, (values, gaps_of_layer) in batch.items():
            known = layers.get(name) or self._limits.first_report(name, len(layers) + 1)
            try:
                layers[name] = known.after(
                    values, epoch=self._epoch, warmup=warmup, gaps=gaps_of_layer
                )
            except ValueError as error:
                raise ValueError(f"Layer {name!r}: {error}.") from error
        stopped_before = self._report.stopped_layers
        self._report = replace(self._report, warmup=warmup, layers=layers)
        self._has_samples_in_epoch |= any(values.size for values, _ in batch.values())
        self._has_trained_on = was_stopped and self._report.is_stopped
        if self._writer.is_due or self._report.stopped_layers != stopped_before:
            self._writer.write_report(self._report)

    def start_epoch(self) -> None:
        """Begin an epoch: its first judged sample starts a new window in each layer.

        Until then the layers are judged by the epoch before. Without this call the whole trial is
        one epoch. It may come before the first epoch as well.
        """
        self._refuse_unless_open("start_epoch")
        if self._has_samples_in_epoch:
            self._epoch += 1
            self._has_samples_in_epoch = False
        if self._report.samples_seen:
            self._writer.write_report(self._report)

    def state(self) -> dict[str, Any]:
        """Return all that the monitor knows of the trial so far, as JSON values.

        It belongs into the checkpoint of the training (`optuna_snn.checkpoints`); ``restore`` of
        the retry's monitor takes it. Take it between an ``update()`` and the next batch:
        ValueError where watched layers fired spikes that were not taken in.
        """
        self._refuse_unless_open("state")
        if self._watch is not None and self._watch.has_spikes_to_take:
            raise ValueError(
                "The watched layers ran since the last monitor.update(), and their spikes would "
                "be missing in the state. Call update() before state()."
            )
        return MonitorState(self._report, self._epoch, self._has_samples_in_epoch).to_json()

    def restore(self, state: Mapping[str, Any]) -> None:
        """Go on from a state of the same training: all is as if this monitor had seen its samples.

        The report is written to the trial, which as a retry has none yet. Call it before the first
        ``update()``, and after ``watch()`` where layers are watched. ValueError for what is no
        state, and for one of a monitor with other options.
        """
        self._refuse_unless_open("restore")
        if self._report.samples_seen:
            raise RuntimeError("SpikeMonitor.restore() comes before the first update().")
        found = restored(
            state, self._report, self._limits, has_given_warmup=self._has_given_warmup
        )
        self._report = found.report
        self._epoch, self._has_samples_in_epoch = found.epoch, found.has_samples_in_epoch
        self._writer.write_report(self._report)

    def __exit__(
        self,
        kind: type[BaseException] | None,
        exception: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._state = "left"
        if self._watch is not None:
            self._watch.remove()
            if exception is None and self._watch.has_spikes_to_take:
                _logger.warning("Spikes after the last monitor.update() were not taken in.")
        if self._rasters is not None:
            self._rasters[1].remove()
        if not self._has_given_warmup and isinstance(exception, TrialPruned | None):
            if exception is None and self._report.could_not_be_stopped:
                _tell_of_a_short_training(self._report.samples_seen, self._report.warmup)
            self._report = self._report.judged_whole()
        if exception is None and self._has_trained_on and isinstance(self._trial, Trial):
            _tell_of_a_stop_that_was_ignored(type(self._trial.study.pruner).__name__)
        if exception is None:
            self._writer.write_results(self._report)
        else:
            self._writer.write_results_behind(exception, self._report)
        if self._rasters is not None and isinstance(exception, TrialPruned | None):
            artifacts, recording = self._rasters
            artifacts.save(self._trial, recording.rasters())

    def _declare(self, layers: Collection[str]) -> None:
        """Hold the monitor to these layers, which share delta equally."""
        self._limits = replace(self._limits, layers=layers)
        declared = {name: self._limits.first_report(name, 1) for name in layers}
        self._report = replace(self._report, layers=declared)

    def _refuse_unless_open(self, method: str) -> None:
        if self._state != "open":
            raise RuntimeError(
                f"SpikeMonitor.{method}() works inside its block only: "
                "with SpikeMonitor(trial, ...) as monitor: ..."
            )


@cache
def _tell_of_a_short_training(n_samples: int, warmup: int) -> None:
    """Once in a process, for all trainings of this length."""
    _logger.warning(
        "A training of %d samples cannot be stopped early by its spikes: the first %d are the "
        "warm-up that follows from its batches. Pass planned_samples= to SpikeMonitor, of which "
        "the warm-up is half at most, or warmup=.",
        n_samples,
        warmup,
    )


@cache
def _tell_of_a_stop_that_was_ignored(pruner: str) -> None:
    """Once in a process, for each pruner."""
    _logger.warning(
        "A network that was to be stopped for its spikes was trained on. The study has the pruner "
        "%s; pass pruner=SpikeActivityPruner() to it, and raise optuna.TrialPruned inside the "
        "block of the monitor where trial.should_prune() is true. To stop none, pass "
        "rule='record' to SpikeMonitor.",
        pruner,
    )
