"""Torch's global generator, lent to libraries that draw from it and accept no other."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager

import torch

__all__ = ["seeded_global_generator"]

# Threads of one process share the global generator, so they use it one after another.
_lock = threading.Lock()


@contextmanager
def seeded_global_generator(seed: int, device: torch.device) -> Iterator[None]:
    """Torch's global generator starts from `seed` inside, and outside is as it was before."""
    devices = [device] if device.type == "cuda" else []
    with _lock, torch.random.fork_rng(devices=devices):
        torch.default_generator.manual_seed(seed)
        if devices:
            torch.cuda.manual_seed(seed)
        yield
