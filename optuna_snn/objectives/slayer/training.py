"""Training by SLAYER, epoch by epoch, so that it can be left and taken up; and the readout.

    loss "rate"   lava-dl's SpikeRate: squared distance of each output's rate from `true_rate` if
                  it is the label's, else from `false_rate`
    loss "max"    lava-dl's SpikeMax: negative log of the label's share of the output spikes
    prediction    the output that fired most, the first one of several; none where all are silent

Departures from lava-dl, and from Firmin, Boulet & Talbi 2024, who use it as it is:
    1. Under "max" each output is given half a spike beforehand. Without, the loss of a sample
       whose label's output is silent is infinite and the weights become NaN; a network with NaN
       weights fires no more, and looks like a silent one.
    2. A sample for which no output fires counts as wrong, rather than as of class 0.
    3. Losses and gradients that are not finite end the training.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from optuna_snn.backends import lava_dl
from optuna_snn.objectives.slayer.config import LossName, SLAYERConfig
from optuna_snn.objectives.slayer.networks import SLAYERNetwork
from optuna_snn.objectives.slayer.setup import SLAYERSetup
from optuna_snn.objectives.spike_inputs import LabelledSamples

__all__ = [
    "Evaluation",
    "SLAYERTraining",
    "TrainedBatch",
    "TrainingDivergedError",
    "evaluate",
    "loss_named",
]

Loss = Callable[[Tensor, Tensor], Tensor]
NO_PREDICTION = -1
PRIOR_SPIKES = 0.5
"""Of each output under loss "max": Jeffreys' prior of shares."""


class TrainingDivergedError(ArithmeticError):
    """Loss or gradient of a training are not finite any more; no result is to be had from it."""


@dataclass(frozen=True)
class TrainedBatch:
    """What a batch of training gave: samples, those predicted rightly, and the mean loss."""

    n_samples: int
    n_right: int
    loss: float


@dataclass(frozen=True)
class Evaluation:
    """The response of a network to samples that it does not learn from.

    accuracy: share of samples that were predicted rightly
    spikes:   layer -> mean spikes of a sample, all neurons and steps together
    """

    accuracy: float
    spikes: Mapping[str, float]


class SLAYERTraining:
    """A network that learns from samples; epochs are run one by one.

    Args:
        config: what is built and how it is trained; `config.n_epochs` is up to the caller.
        samples: what it learns from, shuffled in each epoch.
        setup: the rest.
        n_classes: outputs of the network; labels are below it.
        rng: source of all randomness, used up as the training goes on.
    """

    def __init__(
        self,
        config: SLAYERConfig,
        samples: LabelledSamples,
        setup: SLAYERSetup,
        *,
        n_classes: int,
        rng: np.random.Generator,
    ) -> None:
        self.n_epochs_done = 0
        self.network = SLAYERNetwork(
            setup.plan(config, samples, n_classes),
            config,
            setup.inputs.shape_of(samples),
            rng=rng,
            device=setup.device,
        )
        self._config, self._samples, self._setup, self._rng = config, samples, setup, rng
        self._labels = torch.tensor(samples.labels, device=self.network.device)
        self._loss = loss_named(config.loss, setup)
        learnt = [each for each in self.network.parameters() if each.requires_grad]
        self._adam = torch.optim.Adam(learnt, lr=config.learning_rate)

    def run_epoch(self) -> Iterator[TrainedBatch]:
        """Learn from every sample once; yields after each batch, the last of which may be small.

        Raises TrainingDivergedError where loss or gradient are not finite.
        """
        self.network.train()
        order = self._rng.permutation(len(self._samples))
        for start in range(0, len(order), self._config.batch_size):
            indices = order[start : start + self._config.batch_size]
            yield self._learn(indices)
        self.n_epochs_done += 1

    def evaluate(self, samples: LabelledSamples) -> Evaluation:
        """The network's response to samples, with learning and dropout off."""
        return evaluate(self.network, samples, self._setup, self._rng)

    def state(self) -> dict[str, Any]:
        """All that the rest of the training depends on, between two epochs."""
        return {
            "n_epochs_done": self.n_epochs_done,
            "network": self.network.state_dict(),
            "optimizer": self._adam.state_dict(),
            "rng": self._rng.bit_generator.state,
            "dropout": self.network.dropout_generator.get_state(),
        }

    def resume(self, state: Mapping[str, Any]) -> None:
        """Go on from the state of a training with the same arguments."""
        self.n_epochs_done = state["n_epochs_done"]
        self.network.load_state_dict(state["network"])
        self._adam.load_state_dict(state["optimizer"])
        self._rng.bit_generator.state = state["rng"]
        self.network.dropout_generator.set_state(state["dropout"])

    def _learn(self, indices: NDArray[np.int64]) -> TrainedBatch:
        labels = self._labels[torch.as_tensor(indices, device=self.network.device)]
        self._adam.zero_grad()
        output = self.network(_input(self._samples, indices, self._setup, self._rng))
        loss = self._loss(output, labels)
        loss.backward()  # type: ignore[no-untyped-call]
        self._refuse_divergence(loss)
        self._adam.step()
        n_right = int((_predictions(output.detach()) == labels).sum())
        return TrainedBatch(len(indices), n_right, loss.item() / len(indices))

    def _refuse_divergence(self, loss: Tensor) -> None:
        norms = [each.grad.norm() for each in self.network.parameters() if each.grad is not None]
        norm = torch.stack(norms).norm()
        if not (loss.isfinite() and norm.isfinite()):
            raise TrainingDivergedError(
                f"The training diverged in epoch {self.n_epochs_done + 1}: loss {loss.item():g}, "
                f"norm of the gradient {norm.item():g}. Lower the upper bound of learning_rate "
                "or of scale_grad."
            )


def evaluate(
    network: SLAYERNetwork,
    samples: LabelledSamples,
    setup: SLAYERSetup,
    rng: np.random.Generator,
) -> Evaluation:
    """Present the samples with learning and dropout off; rng: of random encodings."""
    network.eval()
    labels = torch.tensor(samples.labels, device=network.device)
    n_right = torch.zeros((), dtype=torch.int64, device=network.device)
    totals: dict[str, Tensor] = {}
    with torch.no_grad():
        for start in range(0, len(samples), setup.response_batch):
            indices = np.arange(start, min(start + setup.response_batch, len(samples)))
            output, counts = network.respond(_input(samples, indices, setup, rng))
            n_right += (_predictions(output) == labels[start : start + len(indices)]).sum()
            for name, count in counts.items():
                totals[name] = totals.get(name, 0) + count.double().sum()
    return Evaluation(
        accuracy=int(n_right) / len(samples),
        spikes={name: float(total) / len(samples) for name, total in totals.items()},
    )


def loss_named(name: LossName, setup: SLAYERSetup) -> Loss:
    """A function of output spikes (batch, n_classes, time) and labels (batch,): their summed loss.

    Labels are int64, below n_classes.
    """
    losses = lava_dl.load().loss
    if name == "rate":
        rate: Loss = losses.SpikeRate(setup.true_rate, setup.false_rate, reduction="sum")
        return rate
    spike_max: Loss = losses.SpikeMax(reduction="sum")
    prior_rate = PRIOR_SPIKES / setup.n_steps  # departure 1
    return lambda spikes, labels: spike_max(spikes + prior_rate, labels)


def _input(
    samples: LabelledSamples,
    indices: NDArray[np.int64],
    setup: SLAYERSetup,
    rng: np.random.Generator,
) -> Tensor:
    """(n, channels, height, width, n_steps) input spikes on the setup's device."""
    spikes = setup.inputs.spikes(samples, indices, rng)
    return torch.from_numpy(np.ascontiguousarray(spikes)).to(setup.device).float()


def _predictions(output: Tensor) -> Tensor:
    """(batch,) classes of output spikes (batch, n_classes, time)."""
    counts = output.sum(-1)
    most, classes = counts.max(1)
    return torch.where(most > 0, classes, NO_PREDICTION)
