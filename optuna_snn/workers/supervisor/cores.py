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

SLURM_CORES = "SLURM_CPUS_PER_TASK"
"""Set where the job asked for a number of CPUs."""


def thread_limits(n_workers: int, environment: Mapping[str, str] = os.environ) -> dict[str, str]:
    """Variables that share the cores among the workers; what the user has set stays as it is."""
    n_threads = str(max(1, n_cores(environment) // n_workers))
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


def n_cores(environment: Mapping[str, str] = os.environ) -> int:
    """Cores that this process may use.

    A SLURM that does not bind its tasks to cores leaves them the whole node, and says in a
    variable how many are theirs.
    """
    n_bound = len(os.sched_getaffinity(0)) if sys.platform == "linux" else os.cpu_count() or 1
    n_given = environment.get(SLURM_CORES, "")
    return min(n_bound, int(n_given)) if n_given.isdecimal() and int(n_given) else n_bound
