"""The four experiments as study files, loaded with the options that a test names."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from pathlib import Path
from types import ModuleType

import pytest

from optuna_snn.workers.study_file import load_study_file

STUDIES = Path(__file__).parents[2] / "studies"
EXPERIMENTS = {
    number: STUDIES / f"experiment_{number}_{name}.py"
    for number, name in {
        1: "stdp_mnist",
        2: "stdp_dvs_gesture",
        3: "slayer_mnist",
        4: "slayer_dvs_gesture",
    }.items()
}


def load(
    number: int, monkeypatch: pytest.MonkeyPatch, options: Mapping[str, str] | None = None
) -> ModuleType:
    """The module of a study file at scale smoke, or with other options."""
    for name in ("scale", "space", "rule", "sampler", "data", "seed"):
        monkeypatch.delenv(f"OPTUNA_SNN_{name.upper()}", raising=False)
    for name, value in {"scale": "smoke", **(options or {})}.items():
        monkeypatch.setenv(f"OPTUNA_SNN_{name.upper()}", value)
    load_study_file(EXPERIMENTS[number])
    return sys.modules[f"optuna_snn_study_{EXPERIMENTS[number].stem}"]
