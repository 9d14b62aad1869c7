"""Small spiking modules of plain torch, which remember what they emitted."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn


class Heaviside(nn.Module):
    """Emits ones where its input is above the threshold, with the input's gradient.

    emit:    what is returned in place of the spikes, made from them
    emitted: the spikes of each call
    """

    def __init__(
        self, threshold: float = 0.5, emit: Callable[[Tensor], Any] = lambda spikes: spikes
    ) -> None:
        super().__init__()
        self.threshold, self.emit = threshold, emit
        self.emitted: list[np.ndarray] = []

    def forward(self, x: Tensor) -> Any:
        spikes = (x > self.threshold).to(x.dtype)
        self.emitted.append(spikes.numpy())
        return self.emit(spikes + x - x.detach())


class TwoLayers(nn.Module):
    """Linear, hidden, linear, output: called once for each time step with (batch, 6)."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.hidden = nn.Linear(6, 5), Heaviside()
        self.second, self.output = nn.Linear(5, 3), Heaviside(0.1)

    def forward(self, x: Tensor) -> Tensor:
        return self.output(self.second(self.hidden(self.first(x))))


def inputs(n_steps: int = 10, n_samples: int = 8, seed: int = 0) -> Tensor:
    """(n_steps, n_samples, 6) standard normal values."""
    rng = np.random.default_rng(seed)
    return torch.tensor(rng.normal(size=(n_steps, n_samples, 6)) * 2, dtype=torch.float32)


def counts_by_hand(steps: list[np.ndarray]) -> np.ndarray:
    """(n_samples,) spikes of steps (n_samples, ...)."""
    return np.array([[step[i].sum() for i in range(len(step))] for step in steps]).sum(0)


def present(model: TwoLayers, x: Tensor) -> None:
    """One training step over the time steps x (n_steps, n_samples, 6)."""
    loss = sum(model(step).sum() for step in x)
    assert isinstance(loss, Tensor)
    loss.backward()
