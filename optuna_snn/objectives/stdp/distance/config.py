"""The parameters of the network with inhibition by distance."""

from __future__ import annotations

from dataclasses import dataclass

from optuna_snn.objectives.stdp.diehl_cook import TC_TRACE_MS, DiehlCookConfig
from optuna_snn.spikes.checks import checked_integer

__all__ = ["DistanceConfig"]


@dataclass(frozen=True)
class DistanceConfig(DiehlCookConfig):
    """Those of `DiehlCookConfig`, and two more.

    strength_inh_mv:   fall of the potential of the furthest neuron per inhibitory spike; the
                       others' is in proportion to their distance
    e_tc_trace_ms:     decay of the excitatory spike traces that STDP reads
    reset_interval_ms: steps of 1 ms after which the network is brought to rest within a sample;
                       the default is longer than a sample

    Raises ValueError for a value out of range.
    """

    e_tc_trace_ms: float = TC_TRACE_MS
    reset_interval_ms: int = 1_000_000

    def __post_init__(self) -> None:
        super().__post_init__()
        checked_integer("reset_interval_ms", self.reset_interval_ms, at_least=1)
        if self.e_tc_trace_ms <= 0:
            raise ValueError(f"e_tc_trace_ms must be > 0, got {self.e_tc_trace_ms!r}.")
