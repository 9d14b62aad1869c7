"""The spikes of one layer in one sample: which neuron fired at which time step."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

__all__ = ["SpikeRaster", "checked_dt_ms", "raster_of", "rasters_of", "stride_of"]


@dataclass(frozen=True)
class SpikeRaster:
    """Spikes of a layer in one sample.

    layer:     its name
    steps:     (n_spikes,) time step of each spike, from 0
    neurons:   (n_spikes,) neuron of each spike, from 0, as the layer counts them
    n_steps:   time steps that were recorded
    n_neurons: neurons that were recorded
    dt_ms:     milliseconds of a time step; None where that is not known
    stride:    one neuron of so many was recorded, beginning with the first
    is_cut:    whether the sample has further time steps, which were not recorded
    """

    layer: str
    steps: NDArray[np.int64]
    neurons: NDArray[np.int64]
    n_steps: int
    n_neurons: int
    dt_ms: float | None = None
    stride: int = 1
    is_cut: bool = False

    @property
    def n_spikes(self) -> int:
        """Spikes in all."""
        return len(self.steps)

    @property
    def mean_rate(self) -> float | None:
        """Spikes per neuron and second, or per neuron and step where dt_ms is not known.

        None for a layer without neurons, or a sample without time steps.
        """
        n = self.n_steps * self.n_neurons
        return self.n_spikes / n / self.step_s if n else None

    @property
    def step_s(self) -> float:
        """Seconds of a time step; 1 where that is not known, and a step is the unit of time."""
        return 1.0 if self.dt_ms is None else self.dt_ms / 1000.0


def raster_of(
    layer: str,
    spikes: ArrayLike,
    dt_ms: float | None = None,
    *,
    max_neurons: int | None = None,
    max_steps: int | None = None,
) -> SpikeRaster:
    """Return the record of a table of zeros and ones; spikes: (n_steps, n_neurons).

    max_neurons: of more, an even selection is recorded (`stride_of`); None records all
    max_steps:   the first ones that are recorded; None records all

    Raises ValueError for another shape, for other values, and for dt_ms <= 0.
    """
    table = np.asarray(_on_host(spikes))
    if table.ndim != 2:
        raise ValueError(
            f"Need the spikes of one sample, shape (n_steps, n_neurons), got shape {table.shape} "
            f"for layer {layer!r}. Take one sample of the batch and flatten its neurons first: "
            "for (time, batch, ...) that is spikes[:, 0].flatten(1)."
        )
    if table.dtype.kind not in "biuf" or not np.isin(table, (0, 1)).all():
        raise ValueError(
            f"Spikes are zeros and ones; those of layer {layer!r} hold other values. "
            "Pass what the layer emits, not currents, membrane potentials or rates."
        )
    stride = 1 if max_neurons is None else stride_of(table.shape[1], max_neurons)
    kept = table[:max_steps, ::stride]
    steps, neurons = np.nonzero(kept)
    return SpikeRaster(
        layer,
        steps,
        neurons * stride,
        n_steps=kept.shape[0],
        n_neurons=kept.shape[1],
        dt_ms=checked_dt_ms(dt_ms),
        stride=stride,
        is_cut=len(table) > len(kept),
    )


def stride_of(n_neurons: int, max_neurons: int) -> int:
    """The smallest n for which every n-th of the neurons makes at most max_neurons."""
    return max(1, math.ceil(n_neurons / max_neurons))


def checked_dt_ms(dt_ms: float | None) -> float | None:
    """Return the milliseconds of a time step; ValueError unless they are > 0 or None."""
    if dt_ms is not None and not (np.isfinite(dt_ms) and dt_ms > 0):
        raise ValueError(f"Need dt_ms > 0, or None where it is not known; got {dt_ms!r}.")
    return dt_ms


def rasters_of(
    spikes: ArrayLike | Mapping[str, ArrayLike | SpikeRaster], dt_ms: float | None = None
) -> list[SpikeRaster]:
    """Return the records of one table, or of a mapping layer -> table or record."""
    if not isinstance(spikes, Mapping):
        return [raster_of("spikes", spikes, dt_ms)]
    return [
        each if isinstance(each, SpikeRaster) else raster_of(layer, each, dt_ms)
        for layer, each in spikes.items()
    ]


def _on_host(values: ArrayLike) -> ArrayLike:
    """The values of a tensor as a NumPy array, anything else as it is."""
    detach = getattr(values, "detach", None)
    return values if detach is None else detach().cpu().numpy()
