"""`optuna-snn` in a process that ends with its parent: `python -m ...ray.tied worker ...`.

When an actor ends, Ray gives its GPU to the next one, but does not always end the processes that
the actor had started: one of a killed actor was seen to live on. Its trial would share the GPU
with a stranger's, and memory would not do for both. So the kernel ends it (Linux; elsewhere such a
worker ends after its running trial). The trial is found stale, and tried again.

Ray blocks SIGINT in its processes, and what these start inherits that: a worker would never hear
that it is to give up its trial.
"""

from __future__ import annotations

import ctypes
import os
import runpy
import signal
import sys

__all__ = ["die_with", "hear_all_signals"]

PR_SET_PDEATHSIG = 1
"""prctl(2): the signal that this process gets when its parent ends."""


def die_with(parent: int) -> None:
    """Let the kernel kill this process when its parent, the process `parent`, ends.

    Raises:
        SystemExit: it has ended already.
    """
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:
        raise SystemExit(f"the parent {parent} has ended")


def hear_all_signals() -> None:
    """Unblock what the process was started with as blocked."""
    signal.pthread_sigmask(signal.SIG_SETMASK, ())


if __name__ == "__main__":
    die_with(int(sys.argv[sys.argv.index("--parent") + 1]))
    hear_all_signals()
    runpy.run_module("optuna_snn", run_name="__main__", alter_sys=True)
