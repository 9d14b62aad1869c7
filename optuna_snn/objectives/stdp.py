"""The STDP objective: train a Diehl & Cook network on images, decode its spikes, return accuracy.

    training      STDP without labels, in batches; the spikes of both layers go to a SpikeMonitor
    assignment    the network, frozen, responds to labelled training samples: decoders are fitted
    validation    it responds to samples it has not seen: every decoder's accuracy is stored,
                  that of the chosen one is the objective value

A trial that is pruned ends in its training; nothing is assigned or validated then.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from functools import partial
from time import perf_counter

import numpy as np
import optuna
import torch
from numpy.typing import NDArray
from optuna.trial import BaseTrial, FixedTrial

from optuna_snn.backends import bindsnet
from optuna_snn.monitor import SpikeMonitor
from optuna_snn.objectives.datasets import DataSplit, Samples
from optuna_snn.objectives.decoders import DecoderName, SpikeTrains, accuracy, predict_all
from optuna_snn.objectives.diehl_cook import DiehlCookNetwork
from optuna_snn.objectives.encoding import poisson_spikes
from optuna_snn.objectives.spaces import (
    SearchSpace,
    STDPConfig,
    checked_space,
    suggest_stdp_config,
)
from optuna_snn.spikes.checks import checked_integer, checked_real
from optuna_snn.spikes.limits import PerLayer
from optuna_snn.spikes.rules import RuleName

__all__ = ["STDPObjective", "STDPSetup", "TrainedBatch", "decode", "retrain", "train_stdp"]

LAYERS = ("excitatory", "inhibitory")
RESPONSE_BATCH = 100
"""Samples presented at once with learning off, where a batch changes speed and memory only."""


@dataclass(frozen=True)
class STDPSetup:
    """The conditions that all trials of a study share.

    n_steps:      steps of 1 ms that each sample is shown for
    intensity_hz: rate of an input whose pixel has intensity 1
    batch_size:   training samples between two normalisations of the weights; their updates are
                  summed
    n_assign:     training samples, the last ones, from whose labels the decoders are fitted;
                  None takes all
    device:       where torch simulates the network

    Raises ValueError for a value out of range.
    """

    n_steps: int = 250
    intensity_hz: float = 128.0
    batch_size: int = 16
    n_assign: int | None = 1000
    device: str = "cpu"

    def __post_init__(self) -> None:
        checked_integer("n_steps", self.n_steps, at_least=1)
        checked_integer("batch_size", self.batch_size, at_least=1)
        if self.n_assign is not None:
            checked_integer("n_assign", self.n_assign, at_least=1)
        if not 0 < checked_real("intensity_hz", self.intensity_hz) <= 1000:
            raise ValueError(f"Need 0 < intensity_hz <= 1000, got {self.intensity_hz!r}.")
        if not re.fullmatch(r"cpu|cuda(:\d+)?", self.device):
            raise ValueError(f'device must be "cpu", "cuda" or "cuda:<i>", got {self.device!r}.')
        if self.device != "cpu" and not torch.cuda.is_available():
            raise ValueError(f'There is no CUDA device for device={self.device!r}; use "cpu".')


@dataclass(frozen=True)
class TrainedBatch:
    """The network after a batch, and what it fired in it.

    counts: layer -> (n_samples,) spikes of each sample
    gaps:   layer -> (n_samples,) how far it stayed from firing, if that was asked for
    """

    network: DiehlCookNetwork
    is_first_of_epoch: bool
    counts: Mapping[str, NDArray[np.int64]]
    gaps: Mapping[str, NDArray[np.float64]] | None = None


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
    ``accuracy/<decoder>`` of every decoder, ``decoder`` (whose accuracy is the value), ``setup``
    and ``seconds/training``, ``seconds/decoding``.

    The same params, seed and trial number give the same result on the same machine.

    Args:
        split: Samples to train on and to validate with; its test part is not touched.
        space: What is tuned; see `optuna_snn.objectives.spaces`.
        setup: What is not tuned.
        decoder: The decoder whose accuracy is returned; None takes the hyperparameter "decoder" of
            the space, or all_activity where there is none.
        seed: With the trial's number it determines all randomness; None draws from the system.
        alpha, beta, rule, delta, warmup, min_samples: See `SpikeMonitor`.
        membranes: Whether membrane potentials grade the constraints of silent layers
            (`spikes.gaps`); the same in all trials of a study.

    Raises:
        ValueError: An argument is out of range or contradicts another.
        MissingPackageError: BindsNET is not installed.
    """

    def __init__(
        self,
        split: DataSplit,
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
    ) -> None:
        bindsnet.load()
        if decoder is not None and "decoder" in space:
            raise ValueError(f"decoder={decoder!r} is fixed, but the space tunes it; drop one.")
        self._split = split
        self._space = checked_space(space)
        self._setup = STDPSetup() if setup is None else setup
        self._defaults = STDPConfig() if decoder is None else STDPConfig(decoder=decoder)
        self._seed = None if seed is None else checked_integer("seed", seed, at_least=0)
        self._reads_membranes = membranes
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
        self._watch(FixedTrial({}))  # refuses wrong options now rather than in the first trial

    @property
    def split(self) -> DataSplit:
        """The samples that it trains on and validates with, and those kept for the test."""
        return self._split

    @property
    def setup(self) -> STDPSetup:
        """What all its trials share."""
        return self._setup

    def __call__(self, trial: BaseTrial) -> float:
        """Train, watch, validate; `optuna.TrialPruned` if the study's pruner says so."""
        config = suggest_stdp_config(trial, self._space, self._defaults)
        rng = _trial_rng(self._seed, trial.number)
        trial.set_user_attr("setup", asdict(self._setup))
        started_at = perf_counter()
        with self._watch(
            trial, planned_samples=config.n_epochs * len(self._split.train)
        ) as monitor:
            for batch in train_stdp(
                config, self._split.train, self._setup, rng, membranes=self._reads_membranes
            ):
                if batch.is_first_of_epoch:
                    monitor.start_epoch()
                monitor.update(batch.counts, gaps=batch.gaps)
                if trial.should_prune():
                    raise optuna.TrialPruned(monitor.verdict or "The wrapped pruner stopped it.")
        trained_at = perf_counter()
        accuracies = decode(
            batch.network, self._split.train, self._split.validation, self._setup, rng
        )
        for name, value in accuracies.items():
            trial.set_user_attr(f"accuracy/{name}", value)
        trial.set_user_attr("decoder", config.decoder)
        trial.set_user_attr("seconds/training", trained_at - started_at)
        trial.set_user_attr("seconds/decoding", perf_counter() - trained_at)
        return accuracies[config.decoder]


def retrain(
    config: STDPConfig,
    split: DataSplit,
    *,
    setup: STDPSetup | None = None,
    seed: int | None = None,
) -> float:
    """Train the configuration afresh on training and validation samples; its test accuracy.

    This is the figure to report for a configuration that was chosen by its validation accuracy.
    The same seed gives the same result on the same machine; None draws from the system.
    """
    setup = STDPSetup() if setup is None else setup
    rng = np.random.default_rng(seed)
    samples = split.train_and_validation
    *_, last = train_stdp(config, samples, setup, rng)
    return decode(last.network, samples, split.test, setup, rng)[config.decoder]


def train_stdp(
    config: STDPConfig,
    samples: Samples,
    setup: STDPSetup,
    rng: np.random.Generator,
    *,
    membranes: bool = False,
) -> Iterator[TrainedBatch]:
    """Train a new network on the samples, shuffled in each epoch; yields after each batch.

    All batches carry the same network, which goes on learning when the next one is asked for.
    membranes: whether the gaps of the batches are read as well
    """
    network = DiehlCookNetwork(
        config.network, n_inputs=samples.images.shape[1], rng=rng, device=setup.device
    )
    for _ in range(config.n_epochs):
        order = rng.permutation(len(samples))
        for start in range(0, len(order), setup.batch_size):
            images = samples.images[order[start : start + setup.batch_size]]
            fired = network.learn(_encode(images, setup, rng), rng, reads_membranes=membranes)
            yield TrainedBatch(network, start == 0, fired.counts, fired.gaps)


def decode(
    network: DiehlCookNetwork,
    labelled: Samples,
    unseen: Samples,
    setup: STDPSetup,
    rng: np.random.Generator,
) -> dict[DecoderName, float]:
    """The accuracy of each decoder on `unseen`, fitted to `labelled`; the network stays frozen.

    Of `labelled`, the last setup.n_assign samples are used.
    """
    n_assign = len(labelled) if setup.n_assign is None else min(setup.n_assign, len(labelled))
    predictions = predict_all(
        _respond(network, labelled.images[-n_assign:], setup, rng),
        labelled.labels[-n_assign:],
        _respond(network, unseen.images, setup, rng),
        n_classes=int(labelled.labels.max()) + 1,
    )
    return {name: accuracy(each, unseen.labels) for name, each in predictions.items()}


def _respond(
    network: DiehlCookNetwork,
    images: NDArray[np.float32],
    setup: STDPSetup,
    rng: np.random.Generator,
) -> SpikeTrains:
    """The excitatory spikes of the frozen network for images (n_samples, n_pixels)."""
    return SpikeTrains.concatenate(
        [
            SpikeTrains.from_dense(network.respond(_encode(batch, setup, rng), rng).excitatory)
            for batch in np.split(images, range(RESPONSE_BATCH, len(images), RESPONSE_BATCH))
        ]
    )


def _encode(
    images: NDArray[np.float32], setup: STDPSetup, rng: np.random.Generator
) -> NDArray[np.bool_]:
    """(n_steps, n_samples, n_pixels) input spikes of images (n_samples, n_pixels)."""
    return poisson_spikes(images * setup.intensity_hz, n_steps=setup.n_steps, rng=rng)


def _trial_rng(seed: int | None, trial_number: int) -> np.random.Generator:
    if seed is None:
        return np.random.default_rng()
    return np.random.default_rng([seed, trial_number])
