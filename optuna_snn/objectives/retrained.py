"""What an objective gives back when it trains a chosen configuration afresh, to be reported.

The validation accuracy of the best of many trials is a maximum over noise. The figure to publish
is that of a new training, on training and validation samples together, on the test samples, which
no trial has seen.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

__all__ = ["Retrainable", "Retrained"]


@dataclass(frozen=True)
class Retrained:
    """A configuration that was trained afresh.

    test_accuracy: share of the test samples that were predicted rightly
    spikes:        layer -> mean spikes of a test sample, all neurons and steps together
    weights:       name -> array: what the network has learnt
    """

    test_accuracy: float
    spikes: Mapping[str, float]
    weights: Mapping[str, NDArray[np.generic]]


@runtime_checkable
class Retrainable(Protocol):
    """An objective whose trials `optuna-snn retrain` can train again."""

    def retrain(self, params: Mapping[str, Any], seed: int) -> Retrained:
        """Train what the params of a trial stand for on training and validation samples.

        The same params and seed give the same result; other seeds, independent ones.
        """
