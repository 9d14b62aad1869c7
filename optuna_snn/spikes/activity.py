"""How many samples of a layer had how many spikes, and the compact form in which that is stored.

Glossary
    alpha     a sample with fewer than alpha spikes of the layer is silent; integer >= 1
    counts    spikes per sample, summed over the layer's neurons and over time, (n_samples,)
    judged    the window a rule judges: samples of one epoch that came after the warm-up
    seen      every sample of the trial, warm-up included
    bin       a range of spike counts; bin i holds BIN_STARTS[i] <= count < BIN_STARTS[i + 1]

The histogram is exact for 0 to 20 spikes and then coarse (21-31, 32-63, 64-127, ...), so that a
finished study can be asked about other alphas: see `Tally.n_silent_under`.
"""

from __future__ import annotations

import bisect
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from optuna_snn.spikes.checks import checked_real, is_count

Counts = NDArray[np.float64]

LAST_EXACT = 20
BIN_STARTS = (*range(LAST_EXACT + 2), *(2**power for power in range(5, 21)))  # the last is open
N_BINS = len(BIN_STARTS)


@dataclass(frozen=True)
class Tally:
    """Samples sorted by their number of spikes.

    histogram: (N_BINS,) samples in each bin
    n_silent:  samples with fewer than alpha spikes, for the alpha of the layer
    """

    histogram: tuple[int, ...] = (0,) * N_BINS
    n_silent: int = 0

    @property
    def n_samples(self) -> int:
        """Samples in the tally."""
        return sum(self.histogram)

    def after(self, counts: Counts, alpha: int) -> Tally:
        """Return the tally with further samples; counts: (n_samples,)."""
        bins = np.searchsorted(BIN_STARTS, counts, side="right") - 1
        histogram = np.bincount(bins, minlength=N_BINS) + self.histogram
        return Tally(
            histogram=tuple(histogram.tolist()),
            n_silent=self.n_silent + int(np.count_nonzero(counts < alpha)),
        )

    def n_silent_under(self, alpha: int) -> int | None:
        """Return the samples with fewer than `alpha` spikes, whatever alpha the layer had.

        None where `alpha` lies inside a bin: the histogram then knows a range only.
        """
        edge = bisect.bisect_left(BIN_STARTS, alpha)
        if edge == N_BINS or BIN_STARTS[edge] != alpha:
            return None
        return sum(self.histogram[:edge])

    def to_json(self) -> list[int]:
        """Return [n_silent, first bin with samples, samples of that bin, of the next, ...]."""
        filled = [i for i, n in enumerate(self.histogram) if n]
        if not filled:
            return [self.n_silent, 0]
        return [self.n_silent, filled[0], *self.histogram[filled[0] : filled[-1] + 1]]

    @staticmethod
    def from_json(value: object) -> Tally:
        """Return the tally that `to_json` wrote; ValueError for anything else."""
        if not isinstance(value, list) or len(value) < 2 or not all(map(is_count, value)):
            raise ValueError(f"a tally must be a list of two or more integers >= 0, got {value!r}")
        n_silent, first, *filled = value
        n_after = N_BINS - first - len(filled)
        if n_after < 0:
            raise ValueError(f"a tally has at most {N_BINS} bins, got {value!r}")
        tally = Tally((*(0,) * first, *filled, *(0,) * n_after), n_silent)
        if n_silent > tally.n_samples:
            raise ValueError(f"a tally cannot hold more silent samples than samples: {value!r}")
        return tally


@dataclass(frozen=True)
class LayerActivity:
    """Spike activity of one layer in one trial.

    alpha:  spikes below which a sample is silent
    epoch:  the epoch, counted from 1, that `judged` belongs to
    judged: samples of that epoch after the warm-up
    seen:   all samples, whichever epoch, warm-up included
    """

    alpha: int
    epoch: int = 1
    judged: Tally = Tally()
    seen: Tally = Tally()

    def after(self, counts: Counts, *, epoch: int, warmup: int) -> LayerActivity:
        """Return the activity with further samples.

        The first `warmup` samples of the layer are seen but not judged. The judged window starts
        anew with the first judged sample of a later epoch, and not before: an epoch that has just
        begun leaves the window of the one before in place.
        counts: (n_samples,), in the order the samples were presented
        """
        seen = self.seen.after(counts, self.alpha)
        to_judge = counts[max(0, warmup - self.seen.n_samples) :]
        if to_judge.size == 0:
            return LayerActivity(self.alpha, self.epoch, self.judged, seen)
        window = self.judged if epoch == self.epoch else Tally()
        return LayerActivity(self.alpha, epoch, window.after(to_judge, self.alpha), seen)

    def to_json(self) -> dict[str, Any]:
        """Return the activity as JSON values."""
        return {
            "alpha": self.alpha,
            "epoch": self.epoch,
            "judged": self.judged.to_json(),
            "seen": self.seen.to_json(),
        }

    @staticmethod
    def from_json(value: dict[str, Any]) -> LayerActivity:
        """Return the activity that `to_json` wrote; ValueError for anything else."""
        alpha, epoch = value.get("alpha"), value.get("epoch")
        if not (is_count(alpha) and alpha >= 1 and is_count(epoch) and epoch >= 1):
            raise ValueError(f"alpha and epoch must be integers >= 1, got {alpha!r} and {epoch!r}")
        activity = LayerActivity(
            alpha, epoch, Tally.from_json(value.get("judged")), Tally.from_json(value.get("seen"))
        )
        for tally in (activity.judged, activity.seen):
            if tally.n_silent_under(alpha) not in (None, tally.n_silent):
                raise ValueError(
                    f"{tally.n_silent} silent samples do not fit the histogram at alpha={alpha}"
                )
        if any(
            j > s for j, s in zip(activity.judged.histogram, activity.seen.histogram, strict=True)
        ):
            raise ValueError("more samples were judged than seen")
        return activity


def checked_alpha(alpha: object) -> int:
    """Return alpha as an integer; ValueError unless it is a whole number >= 1."""
    value = checked_real("alpha", alpha)
    if not (value >= 1 and value.is_integer()):
        raise ValueError(
            f"alpha must be a whole number >= 1, got {alpha!r}: "
            "a sample is silent if the layer fires fewer than alpha spikes in it."
        )
    return int(value)


def checked_counts(counts: ArrayLike, layer: str) -> Counts:
    """Return spikes per sample as float64, (n_samples,).

    counts: (n_samples,) whole numbers >= 0; a sequence, a NumPy array, or a tensor on any device.
    ValueError for other shapes and values. The caller's array is not kept.
    """
    try:
        array = np.array(_on_host(counts))
    except (TypeError, ValueError) as error:  # ragged lists; dtypes that NumPy lacks (bfloat16)
        raise ValueError(
            f"Spike counts of layer {layer!r} cannot be read as an array: {error}. "
            "Pass one integer or float32 number per sample."
        ) from error
    if array.ndim != 1:
        raise ValueError(
            "Need one spike count per sample, shape (n_samples,), "
            f"got shape {array.shape} for layer {layer!r}. Sum the spikes over time and neurons "
            "first: for (time, batch, neurons) that is spikes.sum(0).sum(-1)."
        )
    if array.dtype.kind not in "biuf":
        raise ValueError(
            "Spike counts must be whole numbers >= 0, "
            f"got dtype {array.dtype} for layer {layer!r}."
        )
    values = array.astype(np.float64)
    is_wrong = ~(np.isfinite(values) & (values >= 0) & (values == np.floor(values)))
    if is_wrong.any():
        raise ValueError(
            "Spike counts must be whole numbers >= 0, "
            f"got {values[is_wrong][0]!s} for layer {layer!r}. "
            "Pass the number of spikes of each sample, not a rate or a membrane potential."
        )
    return values


def _on_host(counts: Any) -> Any:
    """Return the values of a tensor as a NumPy array, anything else as it is."""
    return counts.detach().cpu().numpy() if hasattr(counts, "detach") else counts
