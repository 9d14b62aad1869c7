"""Modules between SLAYER's blocks: pooling, dropout and axonal delay of spike trains.

lava-dl has each of them. These behave like them, but:

    1. lava-dl's pool takes channels and rows as one axis, so that overlapping windows (stride <
       kernel) reach into the next channel or fail. Here channels stay apart.
    2. lava-dl's dropout belongs to the neurons, whose output then is not spikes of height 1. Here
       it comes after them, so that spikes are counted as they were fired, and it draws from a
       generator of its own.
    3. lava-dl shifts delayed trains neuron by neuron in Python: seconds for a batch of a
       convolutional layer. Here it is done for all channels of one delay at once.
"""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

__all__ = ["AxonalDelay", "NeuronDropout", "SumPool"]

MAX_DELAY = 62.0
"""Of lava-dl, in steps: what the axons of Loihi can do."""


class SumPool(nn.Module):
    """The sum of spikes over square windows of each channel.

    (batch, channels, height, width, time) -> the same with height and width pooled. Windows that
    the border cuts count where they begin inside, as in lava-dl.
    """

    def __init__(self, kernel: int, stride: int) -> None:
        super().__init__()
        self.kernel, self.stride = kernel, stride

    def forward(self, x: Tensor) -> Tensor:
        """Sum over the windows; exact for counts, which a mean times its size is not."""
        return F.avg_pool3d(
            x,
            (self.kernel, self.kernel, 1),
            (self.stride, self.stride, 1),
            ceil_mode=True,
            divisor_override=1,
        )


class NeuronDropout(nn.Module):
    """In training a neuron is silenced for all steps of a sample with probability p.

    The others' spikes are scaled by 1 / (1 - p). generator: on the device of the spikes.
    """

    def __init__(self, p: float, generator: torch.Generator) -> None:
        super().__init__()
        self.p, self._generator = p, generator

    def forward(self, x: Tensor) -> Tensor:
        """(batch, ..., time) -> the same shape."""
        if not self.training or self.p == 0:
            return x
        draws = torch.rand(x.shape[:-1], generator=self._generator, device=x.device)
        return x * ((draws >= self.p) / (1 - self.p)).unsqueeze(-1)


class AxonalDelay(nn.Module):
    """A learnt delay for each channel, in steps; what would come after the last step is lost.

    A train is shifted by the whole steps of its delay. The gradient is that of lava-dl: the
    difference of neighbouring steps in the place of the derivative by time.

    initial: (n_channels,) delays in [0, 62]
    """

    def __init__(self, initial: Tensor) -> None:
        super().__init__()
        self.delay = nn.Parameter(initial)

    def forward(self, x: Tensor) -> Tensor:
        """(batch, channels, ..., time) -> the same shape."""
        with torch.no_grad():
            self.delay.clamp_(0, MAX_DELAY)
        delayed: Tensor = _Shift.apply(x, self.delay)  # type: ignore[no-untyped-call]
        return delayed


class _Shift(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, delay: Tensor) -> Tensor:
        steps = [int(each) for each in delay.tolist()]
        delayed = _shifted(x, steps)
        ctx.steps = steps
        ctx.save_for_backward(delayed)
        return delayed

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor, Tensor]:
        (grad,) = grads
        (delayed,) = ctx.saved_tensors
        # d x(t - delay) / d delay, by x[t - 1] - x[t]; before the first step there is nothing
        slope = -delayed.clone()
        slope[..., 1:] += delayed[..., :-1]
        grad_delay = (grad * slope).transpose(0, 1).flatten(1).sum(1)
        return _shifted(grad, [-each for each in ctx.steps]), grad_delay


def _shifted(x: Tensor, steps: list[int]) -> Tensor:
    """Channel i of (batch, channels, ..., time), later by steps[i]; zeros come in."""
    n_steps = x.shape[-1]
    shifted = torch.zeros_like(x)
    different = set(steps)
    for step in different:
        # As a rule all delays are still below a step; a slice copies no channels.
        channels = (
            slice(None)
            if len(different) == 1
            else [i for i, each in enumerate(steps) if each == step]
        )
        n_kept = n_steps - abs(step)
        if n_kept > 0:
            to, source = max(step, 0), max(-step, 0)
            shifted[:, channels, ..., to : to + n_kept] = x[
                :, channels, ..., source : source + n_kept
            ]
    return shifted
