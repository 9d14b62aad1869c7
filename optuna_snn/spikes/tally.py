"""Samples of a layer by their number of spikes, and the compact form in which that is stored.

Glossary
    alpha       a sample with fewer than alpha spikes of the layer is silent; integer >= 1
    max_spikes  a sample with more spikes of the layer is saturated; None: no sample is
    counts      spikes per sample, summed over the layer's neurons and over time, (n_samples,)
    bin         a range of spike counts; bin i holds BIN_STARTS[i] <= count < BIN_STARTS[i + 1]

The histogram is exact for 0 to 20 spikes and then coarse (21-31, 32-63, 64-127, ...), so that a
finished study can be asked about other alphas: see `Tally.n_silent_under`.
"""

from __future__ import annotations

import bisect
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from optuna_snn.spikes.checks import is_count

Counts = NDArray[np.float64]

LAST_EXACT = 20
BIN_STARTS = (*range(LAST_EXACT + 2), *(2**power for power in range(5, 21)))  # the last is open
N_BINS = len(BIN_STARTS)


@dataclass(frozen=True)
class Tally:
    """Samples sorted by their number of spikes.

    histogram:   (N_BINS,) samples in each bin
    n_silent:    samples with fewer than alpha spikes, for the alpha of the layer
    n_saturated: samples with more than max_spikes spikes, for the max_spikes of the layer
    """

    histogram: tuple[int, ...] = (0,) * N_BINS
    n_silent: int = 0
    n_saturated: int = 0

    @property
    def n_samples(self) -> int:
        """Samples in the tally."""
        return sum(self.histogram)

    def __add__(self, other: Tally) -> Tally:
        """The samples of both, which were counted with the same alpha and max_spikes."""
        histogram = tuple(a + b for a, b in zip(self.histogram, other.histogram, strict=True))
        return Tally(
            histogram, self.n_silent + other.n_silent, self.n_saturated + other.n_saturated
        )

    def after(self, counts: Counts, alpha: int, max_spikes: int | None = None) -> Tally:
        """Return the tally with further samples; counts: (n_samples,)."""
        bins = np.searchsorted(BIN_STARTS, counts, side="right") - 1
        histogram = np.bincount(bins, minlength=N_BINS) + self.histogram
        return Tally(
            histogram=tuple(histogram.tolist()),
            n_silent=self.n_silent + int(np.count_nonzero(counts < alpha)),
            n_saturated=self.n_saturated
            + (0 if max_spikes is None else int(np.count_nonzero(counts > max_spikes))),
        )

    def n_silent_under(self, alpha: int) -> int | None:
        """Return the samples with fewer than `alpha` spikes, whatever alpha the layer had.

        None where `alpha` lies inside a bin: the histogram then knows a range only.
        """
        edge = bisect.bisect_left(BIN_STARTS, alpha)
        if edge == N_BINS or BIN_STARTS[edge] != alpha:
            return None
        return sum(self.histogram[:edge])

    def n_silent_range(self, alpha: int) -> tuple[int, int]:
        """Return the least and the most samples that may have fewer than `alpha` spikes.

        They are equal where `n_silent_under` has an answer.
        """
        known = self.n_silent_under(alpha)
        if known is not None:
            return known, known
        edge = bisect.bisect_left(BIN_STARTS, alpha)
        least = sum(self.histogram[: edge - 1])
        return least, least + self.histogram[edge - 1]

    def is_part_of(self, whole: Tally) -> bool:
        """Say whether `whole` can be this tally with further samples."""
        return (
            self.n_silent <= whole.n_silent
            and self.n_saturated <= whole.n_saturated
            and all(a <= b for a, b in zip(self.histogram, whole.histogram, strict=True))
        )

    def to_json(self) -> list[Any]:
        """Return [n_silent, first bin with samples, samples of that bin, of the next, ...].

        Where samples are saturated, [n_silent, n_saturated] stands in the place of n_silent.
        """
        filled = [i for i, n in enumerate(self.histogram) if n]
        outside = [self.n_silent, self.n_saturated] if self.n_saturated else self.n_silent
        if not filled:
            return [outside, 0]
        return [outside, filled[0], *self.histogram[filled[0] : filled[-1] + 1]]

    @staticmethod
    def from_json(value: object) -> Tally:
        """Return the tally that `to_json` wrote; ValueError for anything else."""
        numbers = value if isinstance(value, list) else []
        if numbers and isinstance(numbers[0], list) and len(numbers[0]) == 2:
            (n_silent, n_saturated), numbers = numbers[0], numbers[1:]
        else:
            n_silent, n_saturated, numbers = next(iter(numbers), None), 0, numbers[1:]
        if not numbers or not all(map(is_count, (n_silent, n_saturated, *numbers))):
            raise ValueError(f"a tally must be a list of two or more integers >= 0, got {value!r}")
        first, *filled = numbers
        n_after = N_BINS - first - len(filled)
        if n_after < 0:
            raise ValueError(f"a tally has at most {N_BINS} bins, got {value!r}")
        tally = Tally((*(0,) * first, *filled, *(0,) * n_after), n_silent, n_saturated)
        if n_silent + n_saturated > tally.n_samples:
            raise ValueError(
                f"a tally cannot hold more silent and saturated samples than samples: {value!r}"
            )
        return tally
