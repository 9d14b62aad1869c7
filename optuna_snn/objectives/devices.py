"""Where torch simulates a network: the names of devices that objectives accept."""

from __future__ import annotations

import re

import torch

__all__ = ["checked_device"]


def checked_device(device: str) -> str:
    """Return the device; ValueError unless it is "cpu", or "cuda" or "cuda:<i>" and there is one.

    Only "cpu" is covered by the tests of this package.
    """
    if not re.fullmatch(r"cpu|cuda(:\d+)?", device):
        raise ValueError(f'device must be "cpu", "cuda" or "cuda:<i>", got {device!r}.')
    if device != "cpu" and not torch.cuda.is_available():
        raise ValueError(f'There is no CUDA device for device={device!r}; use "cpu".')
    return device
