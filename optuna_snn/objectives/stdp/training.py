"""The training of a network on images or recordings, by STDP without labels.

It can be left between two reports: its state then holds all that the rest depends on (what the
network has learnt, the order of the epoch and the position in it, the random state), and a
training that goes on from there ends bit by bit as it would have ended.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from copy import deepcopy
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from optuna_snn.objectives.spike_inputs import LabelledSamples
from optuna_snn.objectives.stdp.engines import EngineChoice, build_network, chosen_engine
from optuna_snn.objectives.stdp.presenting import AnyNetwork, learn_from, n_inputs_of, record
from optuna_snn.objectives.stdp.setup import STDPSetup
from optuna_snn.objectives.stdp.spaces import STDPConfig
from optuna_snn.stdp_engine import LearnedState

__all__ = ["STDPTraining", "TrainedBatch", "train_stdp"]


@dataclass(frozen=True)
class TrainedBatch:
    """The network after the samples of a report, and what it fired in them.

    counts: layer -> (n_samples,) spikes of each sample
    gaps:   layer -> (n_samples,) how far it stayed from firing, if that was asked for
    """

    network: AnyNetwork
    is_first_of_epoch: bool
    counts: Mapping[str, NDArray[np.int64]]
    gaps: Mapping[str, NDArray[np.float64]] | None = None


class STDPTraining:
    """The training of a new network.

    Args:
        config: What is trained.
        samples: The training samples, shuffled in each epoch.
        setup: The conditions.
        rng: The source of all randomness.
        membranes: Whether the gaps of the samples are read as well.
        engine: What computes the network; see `engines`.

    Raises:
        ValueError, MissingPackageError: See `engines.chosen_engine`.
    """

    def __init__(
        self,
        config: STDPConfig,
        samples: LabelledSamples,
        setup: STDPSetup,
        rng: np.random.Generator,
        *,
        membranes: bool = False,
        engine: EngineChoice = "auto",
    ) -> None:
        self._network = build_network(
            chosen_engine(engine, setup.device),
            config.network,
            n_inputs=n_inputs_of(samples),
            rng=rng,
            device=setup.device,
        )
        self._n_epochs = config.n_epochs
        self._samples = samples
        self._setup = setup
        self._rng = rng
        self._reads_membranes = membranes
        self._epoch = 0
        self._order: NDArray[np.int64] = np.zeros(0, dtype=np.int64)
        self._n_presented = 0

    @property
    def network(self) -> AnyNetwork:
        """The network as it is now; it goes on learning with the next report."""
        return self._network

    @property
    def is_between_epochs(self) -> bool:
        """Whether all samples of an epoch have been presented, and none of the next."""
        return self._n_presented == len(self._order)

    def batches(self) -> Iterator[TrainedBatch]:
        """Train on the samples that are left; yields after each report."""
        while not self.is_between_epochs or self._epoch < self._n_epochs:
            if self.is_between_epochs:
                self._epoch += 1
                self._order = self._rng.permutation(len(self._samples))
                self._n_presented = 0
            start = self._n_presented
            chosen = self._order[start : start + self._setup.n_reported]
            fired = learn_from(
                self._network,
                self._samples,
                chosen,
                self._setup,
                self._rng,
                reads_membranes=self._reads_membranes,
            )
            self._n_presented += len(chosen)
            yield TrainedBatch(self._network, start == 0, fired.counts, fired.gaps)

    def record_last_sample(self) -> dict[str, NDArray[np.bool_]]:
        """Layer -> (n_steps, n_neurons) spikes of the sample presented last, shown once more.

        Learning is off, and all that follows is the same as without this call: the network is as
        before, and what is drawn comes from a copy of rng. Empty before the first report.
        """
        if not self._n_presented:
            return {}
        last = self._order[[self._n_presented - 1]]
        fired = record(self._network, self._samples, last, self._setup, deepcopy(self._rng))
        return {layer: spikes[0] for layer, spikes in fired.items()}

    def state(self) -> dict[str, Any]:
        """Return all that the rest of the training depends on; take it between two reports."""
        learned = self._network.learned
        return {
            "weights": learned.weights,
            "theta_mv": learned.theta_mv,
            "epoch": self._epoch,
            "order": self._order,
            "n_presented": self._n_presented,
            "rng": self._rng.bit_generator.state,
        }

    def restore(self, state: Mapping[str, Any]) -> None:
        """Go on from the state of a training with the same arguments; rng gets its state too."""
        self._network.restore(LearnedState(state["weights"], state["theta_mv"]))
        self._epoch, self._order = state["epoch"], state["order"]
        self._n_presented = state["n_presented"]
        self._rng.bit_generator.state = state["rng"]


def train_stdp(
    config: STDPConfig,
    samples: LabelledSamples,
    setup: STDPSetup,
    rng: np.random.Generator,
    *,
    membranes: bool = False,
    engine: EngineChoice = "auto",
) -> Iterator[TrainedBatch]:
    """Train a new network on the samples, shuffled in each epoch; yields after each report.

    All reports carry the same network, which goes on learning when the next one is asked for.
    membranes: whether the gaps of the samples are read as well
    """
    return STDPTraining(config, samples, setup, rng, membranes=membranes, engine=engine).batches()
