"""How long a network is given to wake up, unless the user says.

Measured on networks that wake up while they learn (`benchmarks.waking_up`): by STDP within 256
samples, whatever the batch; by gradients the best ones within 32 updates, so that larger batches
take more samples. Short trainings wake up no sooner: of 50 updates a quarter lost five of the
eight best networks, and a half none (notebooks/3_choosing_alpha_and_beta.ipynb).
"""

from __future__ import annotations

LEAST_WARMUP = 256
WARMUP_BATCHES = 32
MOST_WARMUP = 4096
"""Samples that batches can make of it: a whole epoch in one update tells nothing of batches."""
PLANNED_PER_WARMUP = 2


def default_warmup(batch_size: int = 1, planned_samples: int | None = None) -> int:
    """Return 256 samples, or 32 batches if these are more; up to 4,096.

    At most half of the planned samples, so that a short training can be stopped as well.
    """
    warmup = max(LEAST_WARMUP, min(WARMUP_BATCHES * batch_size, MOST_WARMUP))
    if planned_samples is None:
        return warmup
    return min(warmup, planned_samples // PLANNED_PER_WARMUP)
