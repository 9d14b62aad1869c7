"""Spikes per sample, from the tensors that a layer emits.

Glossary
    spikes    what a layer emitted in one call: zeros and ones of any dtype, >= 2 axes
    axes      which axis of that tensor is what: one of `LAYOUTS`, where "..." are the neurons
    counts    spikes per sample, summed over time and neurons, (n_samples,)
    bounds    the smallest and the largest x - x² of all values x, which are both 0 if and only if
              each x is 0 or 1

A value may miss 0 or 1 by `TOLERANCE`, since straight-through gradients written as
``spikes.detach() + x - x.detach()`` do so by a rounding error. Counts are whole on the host but
for these errors; `rounded` takes them away.

Nothing here waits for the device, but `to_host`, which does so once. The bounds are plain
arithmetic: comparing every value with 0 and 1 takes five times as long on a CPU.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

Axes = Literal["batch ...", "time batch ...", "batch time ...", "batch ... time"]
LAYOUTS: tuple[Axes, ...] = get_args(Axes)
"""All layouts; "batch ..." is that of a module which is called once for each time step."""

N_BOUNDS = 2
TOLERANCE = 1e-5
"""A hundred times the relative error of float32: enough for potentials of up to about 100."""
COUNT_TOLERANCE = 0.1
"""What their sum may miss a whole number by: ten times what a hundred million of them make."""
COUNT_ROUNDING = 2.0**-21
"""The same relative to the count: float32 itself has few digits left beyond a million spikes."""

CHUNK_VALUES = 2**18
CHUNK_STEPS = 64
"""Steps are kept until there are as many of them, or of their values, and counted together: a
copy costs a fifth of a count where layers are small, which is where the cost would be felt."""


@dataclass(frozen=True)
class BatchCount:
    """What a layer emitted for a batch of samples, in one call or several.

    counts: (n_samples,) float32, whole numbers up to rounding errors
    bounds: (2,) float32
    """

    counts: Tensor
    bounds: Tensor

    @property
    def n_samples(self) -> int:
        """Samples of the batch."""
        return self.counts.shape[0]


def checked_axes(axes: object, layer: str) -> Axes:
    """Return the layout; ValueError if it is none."""
    for layout in LAYOUTS:
        if axes == layout:
            return layout
    raise ValueError(
        f"The axes of layer {layer!r} must be one of {', '.join(map(repr, LAYOUTS))}; "
        f'got {axes!r}. "..." stands for the neurons, which may have several axes.'
    )


def refuse_unreadable(spikes: Tensor, layer: str) -> None:
    """Raise ValueError for a tensor whose values cannot be counted: sparse or complex."""
    kind = None
    if spikes.layout is not torch.strided:
        kind, way_out = str(spikes.layout), "Return it dense (.to_dense())"
    elif spikes.is_complex():
        kind, way_out = str(spikes.dtype), "Watch the module within that emits zeros and ones"
    if kind is not None:
        raise ValueError(
            f"Layer {layer!r} emitted a tensor of {kind}; spikes are dense real tensors. "
            f"{way_out}, or count the spikes and pass monitor.update(layer, counts)."
        )


def n_samples_of(spikes: Tensor, axes: Axes, layer: str) -> int:
    """Return the length of the batch axis; ValueError if there are too few axes."""
    n_needed = len(axes.split())
    if spikes.ndim < n_needed:
        raise ValueError(
            f"Layer {layer!r} emitted a tensor of shape {tuple(spikes.shape)}, and axes {axes!r} "
            f"need at least {n_needed} axes. Present samples in batches (x.unsqueeze(0) makes a "
            "batch of one), keep an axis for the neurons, or declare the layer's axes= in "
            "monitor.watch()."
        )
    return spikes.shape[_batch_axis(axes)]


def count_spikes(spikes: Tensor, axes: Axes, *, is_step_enough: bool = False) -> BatchCount:
    """Count the spikes of each sample and bound the values, without a wait for the device.

    spikes: as `axes` say
    is_step_enough: whether the last of the first axis alone is bounded, which costs less: for what
        emitted nothing but zeros and ones before
    """
    batch_axis = _batch_axis(axes)
    others = [axis for axis in range(spikes.ndim) if axis != batch_axis]
    if spikes.dtype == torch.bool:
        return BatchCount(spikes.sum(others).float(), torch.zeros(N_BOUNDS, device=spikes.device))
    if spikes.numel() == 0:
        return BatchCount(spikes.sum(others).float(), spikes.new_zeros(N_BOUNDS).float())
    values = spikes if spikes.is_floating_point() else spikes.float()
    bounded = values[-1] if is_step_enough else values
    bounds = torch.stack(torch.addcmul(bounded, bounded, bounded, value=-1).aminmax())
    # The sum of a half is not exact above 2048.
    return BatchCount(values.sum(others, dtype=torch.float32), bounds.float())


def total(counts: Sequence[BatchCount]) -> BatchCount:
    """All of them together; they are of the same samples."""
    if len(counts) == 1:
        return counts[0]
    bounds = torch.stack([each.bounds for each in counts])
    return BatchCount(
        counts=torch.stack([each.counts for each in counts]).sum(0),
        bounds=torch.stack([bounds[:, 0].amin(), bounds[:, 1].amax()]),
    )


def to_host(
    counts: Sequence[BatchCount], peaks: Sequence[Tensor] = ()
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """The counts and bounds of layers with equally many samples, and what else is asked for.

    peaks: (n_samples,) each; of layers too, not necessarily of all

    Returns (n_layers, n_samples + 2) and (n_peaks, n_samples). This waits for the device, once.
    """
    device = counts[0].counts.device
    pieces = [piece.to(device) for each in counts for piece in (each.counts, each.bounds)]
    others = [peak.to(device, torch.float32) for peak in peaks]
    values: NDArray[np.float32] = torch.cat([*pieces, *others]).cpu().numpy()
    n_samples = counts[0].n_samples
    n_values = len(counts) * (n_samples + N_BOUNDS)
    return values[:n_values].reshape(len(counts), -1), values[n_values:].reshape(
        len(peaks), n_samples
    )


def rounded(counts: NDArray[np.float32]) -> NDArray[np.float32]:
    """The counts, of any shape, without the rounding errors of what was emitted."""
    return np.rint(counts)


def complaint_of_sums(counts: NDArray[np.float32]) -> str | None:
    """Say what was emitted if its sums, (n_samples,), are no counts; None if they may be."""
    with np.errstate(invalid="ignore"):  # infinities
        error = np.abs(counts - np.rint(counts))
    is_whole = error <= np.maximum(COUNT_TOLERANCE, COUNT_ROUNDING * counts)
    is_wrong = ~(is_whole & (counts >= -COUNT_TOLERANCE))
    return f"values that sum to {counts[is_wrong][0]:.4g} in a sample" if is_wrong.any() else None


def complaint(bounds: NDArray[np.float32]) -> str | None:
    """Say what was emitted instead of zeros and ones; None if nothing was. bounds: (2,)."""
    low, high = map(float, bounds)
    if -TOLERANCE <= low and high <= TOLERANCE:
        return None
    if not math.isfinite(high - low):
        return "values like nan or inf"
    # x - x² = b has the roots 1/2 ± sqrt(1/4 - b), and only one of them need have been emitted.
    root = math.sqrt(max(0.0, 0.25 - (low if low < -TOLERANCE else high)))
    return f"values like {0.5 - root:.4g} or {0.5 + root:.4g}"


def _batch_axis(axes: Axes) -> int:
    return axes.split().index("batch")
