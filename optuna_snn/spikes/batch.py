"""The samples of a batch, as a user hands them to a monitor: counts, and gaps where known."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TypeGuard, cast

import numpy as np
from numpy.typing import ArrayLike

from optuna_snn.spikes.activity import checked_counts, on_host
from optuna_snn.spikes.gaps import Gaps
from optuna_snn.spikes.tally import Counts

Batch = dict[str, tuple[Counts, Gaps | None]]
"""Layer -> its counts and its gaps, or None, both (n_samples,)."""


def checked_batch(
    layer: str | Mapping[str, ArrayLike] | None,
    counts: ArrayLike | None,
    gaps: ArrayLike | Mapping[str, ArrayLike] | None = None,
) -> Batch:
    """Return the batch of a layer, its counts and gaps, or of mappings from layers to them.

    A mapping of gaps may leave layers out. Raises TypeError for other arguments, ValueError for
    counts and gaps that are none.
    """
    found: Mapping[str, ArrayLike]
    if isinstance(layer, Mapping) and counts is None and (gaps is None or is_mapping(gaps)):
        found = gaps or {}
        if others := [name for name in found if name not in layer]:
            raise ValueError(
                f"gaps names layer {others[0]!r}, of which there are no counts; "
                f"there are counts of {', '.join(map(repr, layer))}."
            )
        values = {name: checked_counts(each, name) for name, each in layer.items()}
    elif isinstance(layer, str) and counts is not None and not is_mapping(gaps):
        found = {} if gaps is None else {layer: cast("ArrayLike", gaps)}
        values = {layer: checked_counts(counts, layer)}
    else:
        raise TypeError(
            "update takes a layer's name and its counts (and gaps), or one mapping layer -> "
            "counts (and gaps= another), or nothing once monitor.watch(model) was called; "
            f"got {type(layer).__name__}, {type(counts).__name__} and gaps of type "
            f"{type(gaps).__name__}."
        )
    return {
        name: (each, checked_gaps(found[name], name, len(each)) if name in found else None)
        for name, each in values.items()
    }


def checked_gaps(gaps: ArrayLike, layer: str, n_samples: int) -> Gaps:
    """Return gaps per sample as float64, (n_samples,); ValueError unless within [0, 1]."""
    try:
        values = np.array(on_host(gaps), dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise ValueError(
            f"Gaps of layer {layer!r} cannot be read as an array: {error}. "
            "Pass one number per sample."
        ) from error
    if values.shape != (n_samples,):
        raise ValueError(
            f"Need one gap per sample, shape ({n_samples},) as the counts have, "
            f"got shape {values.shape} for layer {layer!r}."
        )
    is_wrong = ~((values >= 0) & (values <= 1))
    if is_wrong.any():
        raise ValueError(
            f"Gaps must be numbers from 0 to 1, got {values[is_wrong][0]!s} for layer {layer!r}. "
            "A gap is 1 - (v - rest) / (threshold - rest), v the highest membrane potential of "
            "the layer in the sample; 0 where it reached the threshold."
        )
    return values


def is_mapping(
    gaps: ArrayLike | Mapping[str, ArrayLike] | None,
) -> TypeGuard[Mapping[str, ArrayLike]]:
    """Say whether gaps are given by layer."""
    return isinstance(gaps, Mapping)
