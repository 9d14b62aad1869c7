"""How far a silent layer was from firing, and how that grades its constraint.

Glossary
    d       depolarisation of a sample: the largest (v - rest) / (threshold - rest) over the
            layer's neurons and time steps, v their membrane potentials; clipped to [0, 1];
            (n_samples,)
    gap     1 - d: 0 where the layer almost fired, 1 where it received nothing; (n_samples,)
    excess  silent share - beta, which is positive where the constraint is violated

Silent shares cannot tell dead layers from each other: each has the excess 1 - beta, and a model of
the constraint learns nothing of how far from firing they were. With g the mean gap of the silent
samples, a positive excess is therefore multiplied by

    factor = LEAST_FACTOR - ln(1 - g), with 1 - g at least SMALLEST_DEPOLARISATION

which is between 0.1 and 7.1. Its sign, and so what is feasible, stays as it was. The logarithm is
there because strengths and thresholds range over orders of magnitude. And the factor is small
where the layer almost fired, so that the constraint does not jump from 1 - beta to -beta when the
potential reaches the threshold. A factor of 1 + g leaves that jump, and where most networks are
dead, searches with it found a feasible one later than with no factor at all, or never
(`benchmarks/membrane_gap.py`).
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import ArrayLike, NDArray

Gaps = NDArray[np.float64]

LEAST_FACTOR = 0.1
SMALLEST_DEPOLARISATION = 1e-3
RESOLUTION = 2.0**-20


def gaps_of(depolarisation: ArrayLike, counts: ArrayLike) -> Gaps:
    """Return 1 - d, with d clipped to [0, 1], and 0 for samples with a spike; (n_samples,).

    A neuron that fired was reset before it was read, so that the potential of samples with spikes
    tells too little. One that is not a number counts as rest.
    counts: (n_samples,) spikes of each sample
    """
    d = np.nan_to_num(np.asarray(depolarisation, dtype=np.float64), nan=0.0)
    return np.where(np.asarray(counts) > 0, 0.0, 1.0 - np.clip(d, 0.0, 1.0))


def graded(excess: float, mean_gap: float | None) -> float:
    """Return excess * factor(mean_gap) where the excess is positive, else the excess.

    mean_gap: over the silent samples, within [0, 1]; None where no potentials were read
    """
    return excess if excess <= 0 or mean_gap is None else excess * factor(mean_gap)


def factor(mean_gap: float) -> float:
    """Return what the excess of a layer with this mean gap is multiplied by; positive."""
    return LEAST_FACTOR - math.log(max(1.0 - mean_gap, SMALLEST_DEPOLARISATION))


def sum_of_silent(gaps: Gaps | None, is_silent: NDArray[np.bool_]) -> float:
    """Return the sum of the gaps of silent samples, 0 without gaps; both are (n_samples,).

    Gaps are rounded to RESOLUTION, so that sums are exact and do not depend on the batches.
    """
    if gaps is None:
        return 0.0
    return float(np.rint(gaps[is_silent] / RESOLUTION).sum() * RESOLUTION)
