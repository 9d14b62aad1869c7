"""The spike counts of a batch, as a user hands them to a monitor: of one layer or of several."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import ArrayLike, NDArray

from optuna_snn.spikes.activity import checked_counts


def checked_batch(
    layer: str | Mapping[str, ArrayLike] | None, counts: ArrayLike | None
) -> dict[str, NDArray[np.float64]]:
    """Return layer -> (n_samples,) spikes of each sample, of a layer and its counts or a mapping.

    Raises TypeError for other arguments, ValueError for counts that are none.
    """
    if isinstance(layer, Mapping) and counts is None:
        return {name: checked_counts(values, name) for name, values in layer.items()}
    if isinstance(layer, str) and counts is not None:
        return {layer: checked_counts(counts, layer)}
    raise TypeError(
        "update takes a layer's name and its counts, or one mapping layer -> counts, or nothing "
        "once monitor.watch(model) was called; "
        f"got {type(layer).__name__} and {type(counts).__name__}."
    )
