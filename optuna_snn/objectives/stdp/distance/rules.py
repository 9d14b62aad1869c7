"""The parameters of the network with inhibition by distance as the compiled engine takes them."""

from __future__ import annotations

import torch

from optuna_snn.objectives.stdp.compiled import rules_of
from optuna_snn.objectives.stdp.diehl_cook import DT_MS
from optuna_snn.objectives.stdp.distance.config import DistanceConfig
from optuna_snn.stdp_engine.records import DistanceRules, make_distance_rules

__all__ = ["distance_rules_of"]


def distance_rules_of(config: DistanceConfig) -> DistanceRules:
    """The rules of a network; what it shares with that of Diehl & Cook is the same there."""
    # By torch, as in `rules_of`: its exponential rounds as BindsNET's does.
    decay = float(torch.exp(-torch.tensor(DT_MS) / torch.tensor(float(config.e_tc_trace_ms))))
    shared = rules_of(config)._asdict()
    return make_distance_rules(
        {
            **shared,
            "in_trace_decay": shared["trace_decay"],
            "e_trace_decay": decay,
            "reset_steps": config.reset_interval_ms,
        }
    )
