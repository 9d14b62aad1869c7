"""Where the randomness of a trial comes from: the objective's seed and the trial's number."""

from __future__ import annotations

import numpy as np

__all__ = ["trial_rng"]


def trial_rng(seed: int | None, trial_number: int) -> np.random.Generator:
    """A generator of its own for each trial; without a seed it draws from the system.

    trial_number: of the first trial of a training, so that a retry draws what the dead one drew
                  (`checkpoints.first_trial_number`)
    """
    if seed is None:
        return np.random.default_rng()
    return np.random.default_rng([seed, trial_number])
