"""An objective without a network, and studies of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import optuna

from optuna_snn.objectives.retrained import Retrained


class Toy:
    """Its test accuracy is x less some noise of the seed; it fails where x is below `fails_at`."""

    def __init__(self, fails_at: float = -1.0) -> None:
        self.fails_at = fails_at
        self.asked: list[tuple[float, int]] = []

    def __call__(self, trial: optuna.Trial) -> float:
        x = trial.suggest_float("x", 0.0, 1.0)
        trial.set_constraint("silent/out", trial.suggest_float("silence", -1.0, 1.0))
        return x

    def retrain(self, params: Mapping[str, Any], seed: int) -> Retrained:
        self.asked.append((params["x"], seed))
        if params["x"] < self.fails_at:
            raise ArithmeticError("diverged")
        noise = np.random.default_rng(seed).uniform(0.0, 0.1)
        return Retrained(params["x"] - noise, {"out": 10 * noise}, {"w": np.array([noise])})


def study_of(points: Sequence[tuple[float, float]]) -> optuna.Study:
    """A study of the points (x, silence) in that order."""
    study = optuna.create_study(direction="maximize", study_name="toy")
    for x, silence in points:
        study.enqueue_trial({"x": x, "silence": silence})
    study.optimize(Toy(), n_trials=len(points))
    return study
