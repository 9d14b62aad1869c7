"""Networks of all kinds in both engines, small ones that fire, for the tests of rasters."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pytest

from optuna_snn.objectives import STDPObjective
from optuna_snn.objectives.stdp.diehl_cook import DiehlCookConfig
from optuna_snn.objectives.stdp.distance import DistanceConfig
from optuna_snn.objectives.stdp.engines import EngineName
from optuna_snn.objectives.stdp.setup import STDPSetup
from optuna_snn.objectives.stdp.spaces import STDPConfig
from optuna_snn.objectives.stdp.training import STDPTraining
from optuna_snn.rasters import RasterArtifacts
from tests.objectives.slayer.samples import split_of_event_stripes, split_of_stripes
from tests.objectives.stdp import test_distance, test_objective

LAYERS = ["excitatory", "inhibitory"]


@dataclass(frozen=True)
class Case:
    """A kind of network and an engine, with what its own tests train."""

    network: str
    engine: EngineName
    samples: str

    @property
    def split(self) -> Any:
        return split_of_event_stripes() if self.samples == "events" else split_of_stripes()

    @property
    def setup(self) -> STDPSetup:
        kind = test_objective if self.network == "diehl_cook" else test_distance
        return replace(kind.SETUP, batch_size=8, report_every=8, intensity_hz=500.0)

    @property
    def config(self) -> STDPConfig:
        if self.network == "diehl_cook":
            return STDPConfig(DiehlCookConfig(map_size=12, norm=15.0, nu_post=2e-2))
        return STDPConfig(
            DistanceConfig(map_size=15, norm=12.0, strength_inh_mv=10.0, reset_interval_ms=9)
        )

    def make(self, rasters: RasterArtifacts | None, **options: Any) -> STDPObjective:
        kind: Any = test_objective if self.network == "diehl_cook" else test_distance
        given = {"setup": self.setup, "engine": self.engine, "warmup": 16} | options
        return kind.make(self.split, rasters=rasters, **given)  # type: ignore[no-any-return]

    @property
    def params(self) -> dict[str, dict[str, Any]]:
        kind: Any = test_objective if self.network == "diehl_cook" else test_distance
        return {"lively": kind.LIVELY, "silent": kind.SILENT}

    def training(self, seed: int = 0) -> STDPTraining:
        config = replace(self.config, n_epochs=2)
        rng = np.random.default_rng(seed)
        return STDPTraining(config, self.split.train, self.setup, rng, engine=self.engine)


CASES = [
    Case(network, engine, samples)
    for network, samples in (
        ("diehl_cook", "images"),
        ("distance", "images"),
        ("distance", "events"),
    )
    for engine in ("compiled", "bindsnet")
]
cases = pytest.mark.parametrize("case", CASES, ids=lambda c: f"{c.network}-{c.samples}-{c.engine}")
SIMPLE = Case("diehl_cook", "compiled", "images")
