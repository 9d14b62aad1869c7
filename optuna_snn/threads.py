"""One thread and the CPU for the short computations of an ask, whatever the user's settings."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterator


class _OneThread:
    """One thread for torch and BLAS, as long as any ask of this process is under way.

    Small matrices are slower on many threads, and workers would fight for cores. Several threads
    may ask at once (``n_jobs``). BLAS is limited by the first to come and restored by the last to
    go. torch counts threads for each caller: each restores its own, to what the first to come
    found, since a new thread inherits the limit of an ask under way.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._n_inside = 0
        self._n_torch_threads = 1
        self._restore = contextlib.ExitStack()

    def __enter__(self) -> None:
        import torch
        from threadpoolctl import threadpool_limits

        with self._lock:
            if self._n_inside == 0:
                self._n_torch_threads = torch.get_num_threads()
                self._restore.enter_context(threadpool_limits(1, user_api="blas"))
            torch.set_num_threads(1)
            self._n_inside += 1

    def __exit__(self, *_: object) -> None:
        import torch

        with self._lock:
            self._n_inside -= 1
            if self._n_inside == 0:
                self._restore.close()
            # Last, since threadpoolctl restores the OpenMP threads of the caller as well.
            torch.set_num_threads(self._n_torch_threads)


_one_thread = _OneThread()


@contextlib.contextmanager
def one_thread_on_cpu() -> Iterator[None]:
    """Inside an ask: one thread, and new tensors on the CPU whatever the user's default device."""
    import torch

    # A device's context looks at every call of torch: a tenth of an ask, seldom needed.
    is_default = torch.get_default_device().type == "cpu"
    with _one_thread, contextlib.nullcontext() if is_default else torch.device("cpu"):
        yield
