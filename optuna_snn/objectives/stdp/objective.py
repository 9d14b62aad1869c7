"""The STDP objective: train a network on images or recordings, decode its spikes, score them.

    training      STDP without labels, in batches; the spikes of both layers go to a SpikeMonitor
    assignment    the network, frozen, responds to labelled training samples: decoders are fitted
    validation    it responds to samples it has not seen: every decoder's accuracy is stored,
                  that of the chosen one is the objective value

A trial that is pruned ends in its training; nothing is assigned or validated then. `engines` says
what computes the network.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import asdict, replace
from functools import cached_property, partial
from time import perf_counter
from typing import Any

import numpy as np
import optuna
from optuna.trial import BaseTrial, FixedTrial

from optuna_snn.checkpoints import FOLDER_VARIABLE, Checkpoint, first_trial_number
from optuna_snn.monitor import SpikeMonitor
from optuna_snn.objectives.datasets import DataSplit, Samples
from optuna_snn.objectives.decoders import DecoderName
from optuna_snn.objectives.labelled_samples import digest_of, refuse_unknown_labels
from optuna_snn.objectives.retrained import Retrained
from optuna_snn.objectives.spike_inputs import FrameSplit
from optuna_snn.objectives.stdp.diehl_cook import DT_MS
from optuna_snn.objectives.stdp.engines import EngineChoice, EngineName, chosen_engine
from optuna_snn.objectives.stdp.last_sample import last_sample_kept
from optuna_snn.objectives.stdp.readout import decode
from optuna_snn.objectives.stdp.retraining import retrain, retrain_network
from optuna_snn.objectives.stdp.setup import STDPSetup
from optuna_snn.objectives.stdp.spaces import (
    SearchSpace,
    STDPConfig,
    checked_space,
    default_config,
    stdp_config,
    suggest_stdp_config,
)
from optuna_snn.objectives.stdp.training import STDPTraining
from optuna_snn.objectives.trial_rng import trial_rng
from optuna_snn.rasters import RasterArtifacts
from optuna_snn.spikes.checks import checked_integer
from optuna_snn.spikes.limits import PerLayer
from optuna_snn.spikes.rules import RuleName

__all__ = ["STDPObjective", "decode", "retrain"]

LAYERS = ("excitatory", "inhibitory")


class STDPObjective:
    """An Optuna objective: the accuracy of a network that STDP trains. Maximise it.

        >>> import optuna
        >>> from optuna_snn import SCBOSampler, SpikeActivityPruner
        >>> from optuna_snn.objectives import STDPObjective, STDPSetup, spaces, split_digits
        >>> objective = STDPObjective(
        ...     split_digits(n_train=800, n_validation=400),
        ...     space=spaces.STDP_DIGITS,
        ...     setup=STDPSetup(n_steps=100),
        ...     seed=1,
        ... )  # doctest: +SKIP
        >>> study = optuna.create_study(
        ...     direction="maximize", sampler=SCBOSampler(), pruner=SpikeActivityPruner()
        ... )  # doctest: +SKIP
        >>> study.optimize(objective, n_trials=50)  # doctest: +SKIP

    Each trial gets the constraints ``silent/excitatory`` and ``silent/inhibitory`` and the report
    of its `SpikeMonitor`; a trial that is validated also gets the user attributes
    ``accuracy/<decoder>`` of every decoder, ``decoder`` (whose accuracy is the value), ``setup``,
    ``engine`` and ``seconds/training``, ``seconds/decoding``.

    The same params, seed, trial number and engine give the same result on the same machine. The
    retry of a trial whose worker died counts by the number of the first one. With checkpoints it
    resumes that one's training, to the same result bit by bit; the user attribute ``resumed_at``
    says after how many samples, 0 for a training from the start.

    Args:
        split: Samples to train on and to validate with, images, or for the setup's network
            "distance" recordings of events too; its test part is not touched.
        space: What is tuned; see `optuna_snn.objectives.spaces`.
        setup: What is not tuned.
        decoder: The decoder whose accuracy is returned; None takes the hyperparameter "decoder" of
            the space, or all_activity where there is none.
        seed: With the trial's number it determines all randomness; None draws from the system.
        alpha, beta, rule, delta, warmup, min_samples: See `SpikeMonitor`.
        membranes: Whether membrane potentials grade the constraints of silent layers
            (`spikes.gaps`); the same in all trials of a study.
        engine: "compiled" computes the networks with Numba, on a CPU and more than a hundred times
            faster than "bindsnet", which simulates them with BindsNET on the setup's device;
            "auto" takes the first where it is installed and the device is a CPU. The same in all
            trials of a study: both learn alike, but draw other random numbers from a seed.
        checkpoints: Folder for the checkpoints of the trainings, which machines that retry each
            other's trials must share (`optuna_snn.checkpoints.Checkpoint`). None takes that of the
            environment variable OPTUNA_SNN_CHECKPOINTS; without it nothing is saved.
        checkpoint_every_s: Seconds between two saves; one is made at the end of each epoch too.
        rasters: Where a raster and the firing rate of each layer are kept as artifacts of complete
            and pruned trials, such as ``RasterArtifacts.in_folder("runs/artifacts")``
            (`optuna_snn.rasters`). The training sample that was presented last is shown once more
            for it, with learning off and in steps of 1 ms; no result changes by a bit. None keeps
            none.

    Raises:
        ValueError: An argument is out of range or contradicts another; labels of the validation
            part that the training part lacks.
        MissingPackageError: What the engine needs is not installed.
    """

    def __init__(
        self,
        split: DataSplit | FrameSplit,
        *,
        space: SearchSpace,
        setup: STDPSetup | None = None,
        decoder: DecoderName | None = None,
        seed: int | None = None,
        alpha: PerLayer = 1,
        beta: PerLayer = 0.1,
        rule: RuleName = "sequential",
        delta: float = 1e-3,
        warmup: int | None = None,
        min_samples: int = 16,
        membranes: bool = False,
        engine: EngineChoice = "auto",
        checkpoints: str | os.PathLike[str] | None = None,
        checkpoint_every_s: float = 60.0,
        rasters: RasterArtifacts | None = None,
    ) -> None:
        if decoder is not None and "decoder" in space:
            raise ValueError(f"decoder={decoder!r} is fixed, but the space tunes it; drop one.")
        self._split = split
        self._setup = STDPSetup() if setup is None else setup
        _refuse_recordings(split, self._setup)
        refuse_unknown_labels(split.n_classes, "validation", split.validation)
        self._engine = chosen_engine(engine, self._setup.device)
        defaults = default_config(self._setup.network)
        self._defaults = defaults if decoder is None else replace(defaults, decoder=decoder)
        self._space = checked_space(space, self._defaults)
        self._seed = None if seed is None else checked_integer("seed", seed, at_least=0)
        self._reads_membranes = membranes
        self._rasters = None if rasters is None else rasters.in_steps_of(DT_MS)
        self._watch = partial(
            SpikeMonitor,
            alpha=alpha,
            beta=beta,
            rule=rule,
            delta=delta,
            warmup=warmup,
            min_samples=min_samples,
            epoch_size=len(split.train),
            layers=LAYERS,
        )
        self._checkpoint = partial(Checkpoint, folder=checkpoints, every_s=checkpoint_every_s)
        self._has_checkpoints = bool(checkpoints or os.environ.get(FOLDER_VARIABLE))
        self._watch(FixedTrial({}))  # refuses wrong options now rather than in the first trial
        self._checkpoint(FixedTrial({}))

    @property
    def split(self) -> DataSplit | FrameSplit:
        """The samples that it trains on and validates with, and those kept for the test."""
        return self._split

    @property
    def setup(self) -> STDPSetup:
        """What all its trials share."""
        return self._setup

    @property
    def engine(self) -> EngineName:
        """What computes its networks."""
        return self._engine

    def __call__(self, trial: BaseTrial) -> float:
        """Train, watch, validate; `optuna.TrialPruned` if the study's pruner says so."""
        config = suggest_stdp_config(trial, self._space, self._defaults)
        trial.set_user_attr("setup", asdict(self._setup))
        trial.set_user_attr("engine", self._engine)
        if not self._has_checkpoints:
            return self._run(trial, config, None)
        with self._checkpoint(trial, conditions=self._conditions(config)) as checkpoint:
            return self._run(trial, config, checkpoint)

    def retrain(self, params: Mapping[str, Any], seed: int) -> Retrained:
        """Train what the params of a trial stand for afresh; see `retraining.retrain_network`."""
        return retrain_network(
            stdp_config(params, self._defaults),
            self._split,
            setup=self._setup,
            seed=seed,
            engine=self._engine,
        )

    def _run(self, trial: BaseTrial, config: STDPConfig, checkpoint: Checkpoint | None) -> float:
        rng = trial_rng(self._seed, first_trial_number(trial))
        training = STDPTraining(
            config,
            self._split.train,
            self._setup,
            rng,
            membranes=self._reads_membranes,
            engine=self._engine,
        )
        if self._rasters is None:
            return self._train_and_decode(trial, config, training, rng, checkpoint)
        with last_sample_kept(self._rasters, trial, training):
            return self._train_and_decode(trial, config, training, rng, checkpoint)

    def _train_and_decode(
        self,
        trial: BaseTrial,
        config: STDPConfig,
        training: STDPTraining,
        rng: np.random.Generator,
        checkpoint: Checkpoint | None,
    ) -> float:
        state = None if checkpoint is None else checkpoint.load()
        started_at = perf_counter() - (0.0 if state is None else state["seconds"])
        with self._watch(
            trial, planned_samples=config.n_epochs * len(self._split.train)
        ) as monitor:
            if state is not None:
                training.restore(state["training"])
                monitor.restore(state["monitor"])
            if checkpoint is not None:
                trial.set_user_attr("resumed_at", monitor.n_samples)
            for batch in training.batches():
                if batch.is_first_of_epoch:
                    monitor.start_epoch()
                monitor.update(batch.counts, gaps=batch.gaps)
                if trial.should_prune():
                    raise optuna.TrialPruned(monitor.verdict or "The wrapped pruner stopped it.")
                # Not before the pruner was asked: a resumed training does not ask it again.
                if checkpoint is not None and (training.is_between_epochs or checkpoint.is_due):
                    seconds = perf_counter() - started_at
                    checkpoint.save(
                        {
                            "training": training.state(),
                            "monitor": monitor.state(),
                            "seconds": seconds,
                        }
                    )
        trained_at = perf_counter()
        accuracies = decode(
            training.network, self._split.train, self._split.validation, self._setup, rng
        )
        for name, value in accuracies.items():
            trial.set_user_attr(f"accuracy/{name}", value)
        trial.set_user_attr("decoder", config.decoder)
        trial.set_user_attr("seconds/training", trained_at - started_at)
        trial.set_user_attr("seconds/decoding", perf_counter() - trained_at)
        return accuracies[config.decoder]

    def _conditions(self, config: STDPConfig) -> dict[str, Any]:
        """What a training must have in common with a checkpoint that it resumes."""
        trained, setup = asdict(config), asdict(self._setup)
        parameters = trained.pop("network")  # the setup has a "network" too: its kind
        conditions = {
            **trained,
            **parameters,
            **setup,
            **self._watch.keywords,
            "seed": self._seed,
            "membranes": self._reads_membranes,
            "engine": self._engine,
            "data": self._data_digest,
        }
        del conditions["device"]  # a training may move to another one
        return conditions

    @cached_property
    def _data_digest(self) -> str:
        """Tells the training samples, in their order, from any others."""
        return digest_of(self._split.train)


def _refuse_recordings(split: DataSplit | FrameSplit, setup: STDPSetup) -> None:
    if setup.network == "diehl_cook" and not isinstance(split.train, Samples):
        raise ValueError(
            'network="diehl_cook" takes images, and the split has recordings of events; take '
            'STDPSetup(network="distance").'
        )
