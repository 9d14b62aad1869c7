"""STDPSetup: what all trials of an STDP study share."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal, get_args

from optuna_snn.objectives.devices import checked_device
from optuna_snn.spikes.checks import checked_integer, checked_real

__all__ = ["STDPSetup"]

NetworkName = Literal["diehl_cook", "distance"]
NETWORKS: tuple[NetworkName, ...] = get_args(NetworkName)

REPORTED_AT_LEAST = 16
"""Samples between two reports to the monitor, where batches are smaller and nothing is said: a
report and the question to the pruner cost about as much as a few samples of a compiled network."""


@dataclass(frozen=True)
class STDPSetup:
    """The conditions that all trials of a study share.

    n_steps:      steps of 1 ms that each sample is shown for
    intensity_hz: rate of an input whose pixel has intensity 1
    batch_size:   training samples that are shown at once, between two normalisations of the
                  weights: their updates are summed. 1 is STDP as published
    report_every: training samples between two reports to the monitor and questions to the pruner,
                  rounded up to whole batches; None takes a batch, or 16 if that is more
    n_assign:     training samples, the last ones, from whose labels the decoders are fitted;
                  None takes all
    device:       where torch simulates the network
    network:      "diehl_cook", in which one neuron wins and inhibits all others, for images; or
                  "distance", in which inhibition grows with distance (`stdp_engine.distance`),
                  for images and for recordings of events

    Raises ValueError for a value out of range.
    """

    n_steps: int = 250
    intensity_hz: float = 128.0
    batch_size: int = 16
    report_every: int | None = None
    n_assign: int | None = 1000
    device: str = "cpu"
    network: NetworkName = "diehl_cook"

    def __post_init__(self) -> None:
        if self.network not in NETWORKS:
            raise ValueError(f"network must be one of {NETWORKS}, got {self.network!r}.")
        checked_integer("n_steps", self.n_steps, at_least=1)
        checked_integer("batch_size", self.batch_size, at_least=1)
        if self.report_every is not None:
            checked_integer("report_every", self.report_every, at_least=1)
        if self.n_assign is not None:
            checked_integer("n_assign", self.n_assign, at_least=1)
        if not 0 < checked_real("intensity_hz", self.intensity_hz) <= 1000:
            raise ValueError(f"Need 0 < intensity_hz <= 1000, got {self.intensity_hz!r}.")
        checked_device(self.device)

    @property
    def n_reported(self) -> int:
        """Training samples between two reports: `report_every` in whole batches."""
        wanted = REPORTED_AT_LEAST if self.report_every is None else self.report_every
        return self.batch_size * math.ceil(wanted / self.batch_size)
