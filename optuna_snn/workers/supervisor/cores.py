"""How many cores this process may use, and how workers share them."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping

__all__ = ["n_cores", "share_interop_threads", "thread_limits"]

THREAD_VARIABLES = (
    "OMP_NUM_THREADS",
    "MKL_NUM_THREADS",
    "OPENBLAS_NUM_THREADS",
    "BLIS_NUM_THREADS",
    "VECLIB_MAXIMUM_THREADS",
    "NUMEXPR_NUM_THREADS",
    "NUMBA_NUM_THREADS",
)
"""Read by the libraries when they are loaded; torch's intra-op threads follow the first."""


def thread_limits(n_workers: int, environment: Mapping[str, str] = os.environ) -> dict[str, str]:
    """Variables that share the cores among the workers; what the user has set stays as it is."""
    n_threads = str(max(1, n_cores() // n_workers))
    return {name: n_threads for name in THREAD_VARIABLES if name not in environment}


def share_interop_threads() -> None:
    """Give torch, if it is loaded, as many inter-op threads as OMP_NUM_THREADS says.

    torch reads no variable for these and would start one for each core. Nothing happens where the
    process has chosen already, or has begun to use them: torch then refuses.
    """
    torch, n_threads = sys.modules.get("torch"), os.environ.get("OMP_NUM_THREADS", "")
    if torch is None or not n_threads.isdecimal() or int(n_threads) < 1:
        return
    try:
        torch.set_num_interop_threads(int(n_threads))
    except RuntimeError:
        return


def n_cores() -> int:
    """Cores that this process may use."""
    if sys.platform == "linux":
        return len(os.sched_getaffinity(0))
    else:
        return os.cpu_count() or 1
