"""A worker whose work is done leaves, whatever the objective has left running in its process.

The interpreter waits for threads that are no daemons, and for processes of `multiprocessing`: a
library that leaves one behind would keep the worker, its run and an allocation for ever.
"""

from __future__ import annotations

import logging
import multiprocessing
import os
import threading
import time

__all__ = ["LEAVE_WITHIN_S", "leave_within"]

LEAVE_WITHIN_S = 10.0
"""Time for what was registered with `atexit`, and for threads that finish what they have begun."""

_logger = logging.getLogger(__name__)


def leave_within(seconds: float, code: int) -> None:
    """End this process with the exit code `code` unless it has ended by itself so much later."""
    threading.Thread(target=_leave, args=(seconds, code), daemon=True).start()


def _leave(seconds: float, code: int) -> None:
    time.sleep(seconds)
    children = multiprocessing.active_children()
    main = threading.main_thread()
    threads = [each for each in threading.enumerate() if not each.daemon and each is not main]
    left = ", ".join([*(each.name for each in threads), *(each.name for each in children)])
    _logger.warning(
        "the objective has left running: %s; ended %g s after the last trial", left, seconds
    )
    for child in children:
        child.kill()
    logging.shutdown()
    os._exit(code)
