"""Running trials that have outlived the early stop: they are presumed feasible.

A silent network is stopped after a few dozen samples, one that fires is trained for an hour. So
what a running trial tells is not nothing: once it has been overtaken by more trials that started
later and were stopped than any stopped trial ever was, it is unlikely to be stopped itself. Until
the first of them ends, these are all that is known of feasible points: with 15 workers, a third of
a study of 200 trials may pass in that time.

The presumption is drawn from the order of starts and ends alone, and not from clocks, which differ
between machines and say little where they differ in speed.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np
import numpy.typing as npt

N_REMEMBERED = 200
"""Stopped trials, the latest ones, that the rule looks at."""


def survivors(
    stopped: Sequence[int] | npt.NDArray[np.int64], running: Iterable[int], n_running: int
) -> list[int]:
    """Numbers of the running trials that are presumed feasible.

    stopped: numbers of the trials that were stopped as infeasible, in the order in which they
    ended. A survivor has been overtaken by more of them than each of them was, and by more than
    trials are running (n_running), since so many may end in any order.
    """
    recent = np.array(stopped[-N_REMEMBERED:], dtype=np.int64)
    if len(recent) <= n_running:
        return []
    # Entry (i, k): the k-th to end, before the i-th did, started after it.
    overtook = np.tril(recent[None, :] > recent[:, None], k=-1)
    most = max(int(overtook.sum(axis=1).max()), n_running)
    return [number for number in running if int((recent > number).sum()) > most]
