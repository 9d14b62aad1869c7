"""What a trial of the SLAYER objective trains: the 17 hyperparameters of the paper, and one more.

They are those of the third and fourth experiment of Firmin, Boulet & Talbi 2024
(doi 10.1016/j.neucom.2024.128483), under the paper's names but for n_epochs ("epochs") and loss
("decoder": what the authors call a decoder there is the loss; predictions are by rate always).
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from typing import Any, Literal, get_args

from optuna_snn.objectives.search_space import refuse_unknown
from optuna_snn.spikes.checks import checked_integer, checked_real

__all__ = ["LOSSES", "PARAMETER_NAMES", "LossName", "SLAYERConfig", "slayer_config"]

LossName = Literal["rate", "max"]
LOSSES: tuple[LossName, ...] = get_args(LossName)

THRESHOLD_GRID = 1 / 64
"""SLAYER's neurons keep thresholds and threshold steps as multiples of this."""

WHOLE = ("n_epochs", "batch_size", "c1_filters", "c2_filters", "c1_k", "c2_k", "n_hidden")
POSITIVE = ("learning_rate", "tau_grad", "scale_grad")
SHARES = ("current_decay", "voltage_decay", "threshold_decay", "refractory_decay")


@dataclass(frozen=True)
class SLAYERConfig:
    """How a network of adaptive leaky integrate-and-fire (ALIF) neurons is built and trained.

    Which of the layers there are depends on the network (`plan`); the fields of layers
    that it lacks have no effect. The defaults learn digits with the dense network.

    n_epochs:       passes through the training samples
    batch_size:     samples of an update
    loss:           "rate": squared distance of the output rates from target rates; "max": negative
                    log likelihood of the output counts taken as probabilities
    c1_filters, c2_filters, c1_k, c2_k: channels and kernel side of the two convolutions
    n_hidden:       neurons of the hidden dense layer; 512 and not tuned in the paper
    learning_rate:  of Adam
    tau_grad, scale_grad: width, relative to the threshold, and height of the surrogate gradient
    threshold, threshold_step: of the membrane potential, and its rise after a spike; SLAYER rounds
                    both to multiples of 1/64, so a step below 1/128 is none
    current_decay, voltage_decay, threshold_decay, refractory_decay: share that is lost in a step
    dropout:        share of neurons that are silenced for a sample in training, in all layers
                    but pools and output

    Raises ValueError for a value out of range.
    """

    n_epochs: int = 6
    batch_size: int = 32
    loss: LossName = "rate"
    c1_filters: int = 8
    c2_filters: int = 16
    c1_k: int = 5
    c2_k: int = 5
    n_hidden: int = 512
    learning_rate: float = 1e-3
    tau_grad: float = 0.03
    scale_grad: float = 3.0
    threshold: float = 1.25
    threshold_step: float = 0.1
    current_decay: float = 0.25
    voltage_decay: float = 0.03
    threshold_decay: float = 0.1
    refractory_decay: float = 0.1
    dropout: float = 0.05

    def __post_init__(self) -> None:
        for name in WHOLE:
            checked_integer(name, getattr(self, name), at_least=1)
        if self.loss not in LOSSES:
            raise ValueError(f"loss must be one of {LOSSES}, got {self.loss!r}.")
        for name in (each.name for each in fields(self) if each.name not in (*WHOLE, "loss")):
            value = checked_real(name, getattr(self, name))
            if not math.isfinite(value):
                raise ValueError(f"{name} must be finite, got {value!r}.")
            if name in POSITIVE and value <= 0:
                raise ValueError(f"{name} must be > 0, got {value!r}.")
            if name in SHARES and not 0 <= value <= 1:
                raise ValueError(f"{name} must be in [0, 1], got {value!r}.")
        if self.threshold < THRESHOLD_GRID:
            raise ValueError(f"threshold must be >= 1/64, got {self.threshold!r}.")
        if self.threshold_step < 0:
            raise ValueError(f"threshold_step must be >= 0, got {self.threshold_step!r}.")
        if not 0 <= self.dropout < 1:
            raise ValueError(f"dropout must be in [0, 1), got {self.dropout!r}.")


_OF_THE_PAPER = {"n_epochs": "epochs", "loss": "decoder"}
_FIELDS = {_OF_THE_PAPER.get(each.name, each.name): each.name for each in fields(SLAYERConfig)}
PARAMETER_NAMES = tuple(_FIELDS)


def slayer_config(params: Mapping[str, Any], defaults: SLAYERConfig | None = None) -> SLAYERConfig:
    """The configuration that the params of a trial stand for; the rest is as in `defaults`.

    Raises ValueError for an unknown name or a value out of range.
    """
    refuse_unknown(params, PARAMETER_NAMES)
    config = SLAYERConfig() if defaults is None else defaults
    return replace(config, **{_FIELDS[name]: value for name, value in params.items()})
