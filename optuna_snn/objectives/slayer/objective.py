"""The SLAYER objective: train a spiking network by backpropagation, return validation accuracy.

    training      in batches; the spikes of the watched layers go to a SpikeMonitor
    validation    after each epoch, of samples it has not seen; its accuracy is reported under
                  the number of the epoch, counted from 1, so that pruners compare trials by it

The objective value is the accuracy after the last epoch. The number of epochs is a hyperparameter:
the value is then what the configuration leads to, and `retrain` does the same. The best epoch's
would be chosen by the validation samples, and be too good.

A trial that is pruned as silent ends in its training, and is not validated again. Pruners of
accuracies are asked after each epoch but the last one, when there is nothing to save.
"""

from __future__ import annotations

import os
from collections.abc import Collection, Mapping, Sequence
from dataclasses import asdict
from functools import cached_property, partial
from time import perf_counter
from typing import Any

import optuna
import torch
from optuna.trial import BaseTrial, FixedTrial

from optuna_snn.backends import lava_dl
from optuna_snn.checkpoints import FOLDER_VARIABLE, Checkpoint, first_trial_number
from optuna_snn.monitor import SpikeMonitor
from optuna_snn.objectives.datasets import DataSplit
from optuna_snn.objectives.labelled_samples import digest_of, refuse_unknown_labels
from optuna_snn.objectives.retrained import Retrained
from optuna_snn.objectives.search_space import SearchSpace, extremes
from optuna_snn.objectives.slayer.config import SLAYERConfig, slayer_config
from optuna_snn.objectives.slayer.course import Course
from optuna_snn.objectives.slayer.plan import Layer
from optuna_snn.objectives.slayer.retraining import retrain, retrain_network
from optuna_snn.objectives.slayer.setup import SLAYERSetup
from optuna_snn.objectives.slayer.spaces import checked_slayer_space, suggest_slayer_config
from optuna_snn.objectives.slayer.training import SLAYERTraining
from optuna_snn.objectives.spike_inputs import FrameSplit
from optuna_snn.objectives.trial_rng import trial_rng
from optuna_snn.rasters import RasterArtifacts
from optuna_snn.spikes.checks import checked_integer
from optuna_snn.spikes.limits import PerLayer
from optuna_snn.spikes.rules import RuleName

__all__ = ["SLAYERObjective", "retrain"]

KERNELS = ("c1_k", "c2_k")
PRUNED_BY_ANOTHER = "The wrapped pruner stopped it."


class SLAYERObjective:
    """An Optuna objective: the accuracy of a network that SLAYER (lava-dl) trains. Maximise it.

        >>> import optuna
        >>> from optuna_snn import SCBOSampler, SpikeActivityPruner
        >>> from optuna_snn.objectives import SLAYERObjective, split_digits
        >>> from optuna_snn.objectives import TrainingDivergedError
        >>> from optuna_snn.objectives.slayer.spaces import SLAYER_DIGITS
        >>> objective = SLAYERObjective(
        ...     split_digits(n_train=1000, n_validation=500),
        ...     space=SLAYER_DIGITS,
        ...     seed=1,
        ... )  # doctest: +SKIP
        >>> pruner = SpikeActivityPruner(optuna.pruners.MedianPruner())  # doctest: +SKIP
        >>> study = optuna.create_study(
        ...     direction="maximize", sampler=SCBOSampler(), pruner=pruner
        ... )  # doctest: +SKIP
        >>> study.optimize(
        ...     objective, n_trials=50, catch=TrainingDivergedError
        ... )  # doctest: +SKIP

    Each trial gets a constraint ``silent/<layer>`` of each watched layer and the report of its
    `SpikeMonitor`, the accuracy after each epoch as intermediate value, and the user attribute
    ``setup``. One that finished an epoch also gets, of the last one that it finished,
    ``accuracy/validation``, ``accuracy/training`` (while it learnt, with dropout), ``loss`` (mean
    in training) and ``spikes/<layer>`` (mean of a sample in validation, for all layers), and
    ``seconds/training`` and ``seconds/validation`` of all epochs together.

    The same params, seed and trial number give the same result on the same machine, on the CPU
    with the same number of threads. The retry of a trial whose worker died counts by the number
    of the first one. With checkpoints it goes on after the last epoch that was saved, to the same
    result; the user attribute ``resumed_at`` says after how many samples, 0 for a training from
    the start.

    Args:
        split: Samples to train on and to validate with, images (`DataSplit`) or recordings of
            events; its test part is not touched.
        space: What is tuned; see `slayer.spaces`.
        setup: What is not tuned: the network, the encoding, the device.
        defaults: What is not tuned of the hyperparameters.
        layers: The layers that are watched; None takes all but pools. The paper watched
            ``("output",)``.
        seed: With the trial's number it determines all randomness; None draws from the system.
        alpha, beta, rule, delta, warmup, min_samples: See `SpikeMonitor`.
        checkpoints: Folder for the checkpoints of the trainings, which machines that retry each
            other's trials must share (`optuna_snn.checkpoints.Checkpoint`). None takes that of the
            environment variable OPTUNA_SNN_CHECKPOINTS; without it nothing is saved.
        checkpoint_every_s: Seconds after the last save, or the start, from which on the end of an
            epoch is saved; 0 saves each.
        rasters: Where a raster and the firing rate of each watched layer are kept as artifacts of
            complete and pruned trials, such as ``RasterArtifacts.in_folder("runs/artifacts")``
            (`optuna_snn.rasters`). Steps of images are 1 ms, those of recordings what it says.
            None keeps none.

    Raises:
        ValueError: An argument is out of range or contradicts another; labels of the validation
            part that the training part lacks; kernels of the space that do not fit the samples.
        MissingPackageError: lava-dl is not installed.
        TrainingDivergedError: In a trial whose loss or gradient is not finite any more. Optuna
            ends a study at it, unless ``optimize`` is told to catch it; workers of this package
            keep the reason and go on.
    """

    def __init__(
        self,
        split: DataSplit | FrameSplit,
        *,
        space: SearchSpace,
        setup: SLAYERSetup | None = None,
        defaults: SLAYERConfig | None = None,
        layers: Collection[str] | None = None,
        seed: int | None = None,
        alpha: PerLayer = 1,
        beta: PerLayer = 0.1,
        rule: RuleName = "sequential",
        delta: float = 1e-3,
        warmup: int | None = None,
        min_samples: int = 16,
        checkpoints: str | os.PathLike[str] | None = None,
        checkpoint_every_s: float = 60.0,
        rasters: RasterArtifacts | None = None,
    ) -> None:
        lava_dl.load()
        self._split = split
        self._space = checked_slayer_space(space)
        self._setup = SLAYERSetup() if setup is None else setup
        self._defaults = SLAYERConfig() if defaults is None else defaults
        self._seed = None if seed is None else checked_integer("seed", seed, at_least=0)
        for name in ("train", "validation"):
            refuse_unknown_labels(split.n_classes, name, getattr(split, name))
        plan = self._plan_of_largest_kernels()
        self._layers = _watched(plan, layers)
        self._watch = partial(
            SpikeMonitor,
            alpha=alpha,
            beta=beta,
            rule=rule,
            delta=delta,
            warmup=warmup,
            min_samples=min_samples,
            epoch_size=len(split.train),
            layers=self._layers,
        )
        step_ms = self._setup.inputs.step_ms(split.train)
        self._rasters = None if rasters is None else rasters.in_steps_of(step_ms)
        self._checkpoint = partial(Checkpoint, folder=checkpoints, every_s=checkpoint_every_s)
        self._has_checkpoints = bool(checkpoints or os.environ.get(FOLDER_VARIABLE))
        self._watch(FixedTrial({}))  # refuses wrong options now rather than in the first trial
        self._checkpoint(FixedTrial({}))

    @property
    def split(self) -> DataSplit | FrameSplit:
        """The samples that it trains on and validates with, and those kept for the test."""
        return self._split

    @property
    def setup(self) -> SLAYERSetup:
        """What all its trials share."""
        return self._setup

    def __call__(self, trial: BaseTrial) -> float:
        """Train, watch, validate; `optuna.TrialPruned` if the study's pruner says so."""
        config = suggest_slayer_config(trial, self._space, self._defaults)
        trial.set_user_attr("setup", asdict(self._setup))
        if not self._has_checkpoints:
            return self._run(trial, config, None)
        with self._checkpoint(trial, conditions=self._conditions(config)) as checkpoint:
            return self._run(trial, config, checkpoint)

    def retrain(self, params: Mapping[str, Any], seed: int) -> Retrained:
        """Train what the params of a trial stand for afresh; see `retraining.retrain_network`."""
        config = slayer_config(params, self._defaults)
        return retrain_network(config, self._split, setup=self._setup, seed=seed)

    def config(self, trial: optuna.trial.FrozenTrial) -> SLAYERConfig:
        """What a finished trial trained; `retrain` takes it."""
        return slayer_config(trial.params, self._defaults)

    def _run(self, trial: BaseTrial, config: SLAYERConfig, checkpoint: Checkpoint | None) -> float:
        training = SLAYERTraining(
            config,
            self._split.train,
            self._setup,
            n_classes=self._split.n_classes,
            rng=trial_rng(self._seed, first_trial_number(trial)),
        )
        course = Course()
        n_planned = config.n_epochs * len(self._split.train)
        try:
            with self._watch(trial, planned_samples=n_planned) as monitor:
                blocks = training.network.blocks
                watched = {name: blocks[name] for name in self._layers}
                monitor.watch(training.network, watched, rasters=self._rasters)
                if state := None if checkpoint is None else checkpoint.load():
                    training.resume(state["training"])
                    monitor.restore(state["monitor"])
                    course = Course(**state["course"])
                    for epoch, accuracy in enumerate(course.accuracies, start=1):
                        trial.report(accuracy, epoch)
                if checkpoint is not None:
                    trial.set_user_attr("resumed_at", monitor.n_samples)
                while training.n_epochs_done < config.n_epochs:
                    self._run_epoch(trial, training, monitor, course)
                    if training.n_epochs_done == config.n_epochs:
                        break
                    if trial.should_prune():
                        raise optuna.TrialPruned(monitor.verdict or PRUNED_BY_ANOTHER)
                    # Not before the pruner was asked: a resumed training does not ask it again.
                    if checkpoint is not None and checkpoint.is_due:
                        checkpoint.save(
                            {
                                "training": training.state(),
                                "monitor": monitor.state(),
                                "course": asdict(course),
                            }
                        )
        except optuna.TrialPruned:
            course.store(trial)
            raise
        course.store(trial)
        return course.accuracies[-1]

    def _run_epoch(
        self, trial: BaseTrial, training: SLAYERTraining, monitor: SpikeMonitor, course: Course
    ) -> None:
        """Train for an epoch and validate; the accuracy is reported and added to the course."""
        started_at = perf_counter()
        monitor.start_epoch()
        batches = []
        for batch in training.run_epoch():
            batches.append(batch)
            monitor.update()
            # Asked only where it can say something new: the answer costs a visit to the storage.
            if monitor.is_stopped and trial.should_prune():
                raise optuna.TrialPruned(monitor.verdict)
        trained_at = perf_counter()
        found = training.evaluate(self._split.validation)
        course.add(batches, found, trained_at - started_at, perf_counter() - trained_at)
        trial.report(found.accuracy, training.n_epochs_done)

    def _conditions(self, config: SLAYERConfig) -> dict[str, Any]:
        """What a training must have in common with a checkpoint that it resumes."""
        return {
            **asdict(config),
            **asdict(self._setup),
            **self._watch.keywords,
            # It may move to another device of its kind; random states do not fit the other kind.
            "device": torch.device(self._setup.device).type,
            "seed": self._seed,
            "data": self._data_digest,
        }

    @cached_property
    def _data_digest(self) -> str:
        """Tells the samples, in their order, from any others; a checkpoint holds accuracies."""
        return digest_of(self._split.train) + digest_of(self._split.validation)

    def _plan_of_largest_kernels(self) -> tuple[Layer, ...]:
        """Layers where everything that the space may suggest fits; ValueError if it does not."""
        kernels = {
            name: max(extremes(name, self._space[name])) for name in KERNELS if name in self._space
        }
        largest = slayer_config(kernels, self._defaults)
        return self._setup.plan(largest, self._split.train, self._split.n_classes)


def _watched(plan: Sequence[Layer], layers: Collection[str] | None) -> tuple[str, ...]:
    """The names of the layers to be watched; ValueError for one that the network lacks."""
    if layers is None:
        return tuple(layer.name for layer in plan if layer.kind != "pool")
    if isinstance(layers, str):
        raise ValueError(f"layers must be names, got {layers!r}; pass ({layers!r},).")
    names = [layer.name for layer in plan]
    if unknown := [name for name in layers if name not in names]:
        raise ValueError(f"There is no layer {unknown[0]!r}; there are {', '.join(names)}.")
    if not layers:
        raise ValueError("layers names no layer; None takes all but pools.")
    return tuple(layers)
