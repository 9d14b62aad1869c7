"""The membrane dynamics of lava-dl's ALIF neurons: the same numbers in about half the time.

lava-dl steps through time along the last axis, with int64 arithmetic in half a dozen operations
for each product; most of a training on the CPU is spent there. Here time comes first, so that each
step is contiguous, neurons come in parts that fit the cache, and whole numbers are kept in
float64, which represents them exactly below 2^53 and multiplies them in one operation.

    u[t] = [(1 - a_u) u[t-1]] + x[t]                            current
    v[t] = [(1 - a_v) v[t-1]] + u[t]                            voltage
    h[t] = [(1 - a_h) (h'[t-1] - h_0)] + h_0                    threshold
    r[t] = [(1 - a_r) r'[t-1]]                                  refractory state
    a spike where v[t] >= h[t] + r[t];  then h' = h + h_step and r' = r + 2 h, else h' = h, r' = r

in units of 1/4096, with decays a in 1/4096 too; [ ] cuts off fractions. Voltage, threshold and
refractory state, and so spikes, are those of lava-dl bit by bit. The gradient of a decay is a sum
in another order, and differs in the last digits. On CUDA lava-dl has kernels of its own, which are
used there.
"""

from __future__ import annotations

import itertools
from functools import partial
from typing import Any

import torch
from torch import Tensor

__all__ = ["quicken"]

SCALE = 4096
"""Of states and of decays, both lava-dl's for ALIF neurons."""
N_AT_ONCE = 8192
"""Neurons that are stepped through together."""


def quicken(neuron: Any) -> None:
    """Let an ALIF neuron of lava-dl compute its dynamics on the CPU by this module."""
    # A partial, and no closure, so that copies of a network compute with neurons of their own.
    neuron.dynamics = partial(_dynamics, neuron)


def _dynamics(neuron: Any, x: Tensor) -> tuple[Tensor, ...]:
    """What ``neuron.dynamics(x)`` returns, but for the current, in whose place x stands.

    lava-dl's blocks do not ask for it.
    """
    if x.is_cuda:
        return tuple(type(neuron).dynamics(neuron, x))
    if neuron.shape is None:
        neuron.shape = x.shape[1:-1]
    if neuron.requires_grad:
        neuron.clamp()
    states: tuple[Tensor, ...] = _Dynamics.apply(  # type: ignore[no-untyped-call]
        x,
        neuron.current_decay,
        neuron.voltage_decay,
        neuron.threshold_decay,
        neuron.refractory_decay,
        neuron.threshold,
        neuron.threshold_step,
    )
    return (x, *states)


class _Dynamics(torch.autograd.Function):
    """Input (batch, ..., time) -> voltage, threshold and refractory state of the same shape."""

    @staticmethod
    def forward(
        ctx: Any,
        x: Tensor,
        current_decay: Tensor,
        voltage_decay: Tensor,
        threshold_decay: Tensor,
        refractory_decay: Tensor,
        threshold: float,
        threshold_step: float,
    ) -> tuple[Tensor, Tensor, Tensor]:
        rows = x.reshape(-1, x.shape[-1])
        current, voltage, thresholds, refractory = (torch.empty_like(rows) for _ in range(4))
        for part in _parts(rows):
            inputs = rows[part].t().to(torch.float64, memory_format=torch.contiguous_format)
            currents = _integrated(inputs.mul(SCALE).trunc_(), _kept_share(current_decay))
            currents = _store(currents, current[part])
            voltages = _integrated(currents, _kept_share(voltage_decay))
            voltages = _store(voltages, voltage[part])
            above, refracted = _adapted(
                voltages,
                _kept_share(threshold_decay),
                _kept_share(refractory_decay),
                threshold * SCALE,
                threshold_step * SCALE,
            )
            _store(above, thresholds[part])
            _store(refracted, refractory[part])
        results = [each.view_as(x) for each in (voltage, thresholds, refractory)]
        ctx.mark_non_differentiable(*results[1:])
        ctx.set_materialize_grads(False)
        ctx.save_for_backward(current, results[0], current_decay, voltage_decay)
        return results[0], results[1], results[2]

    @staticmethod
    def backward(ctx: Any, *grads: Tensor | None) -> tuple[Tensor | None, ...]:
        (grad, *_) = grads
        if grad is None:
            return (None,) * 7
        current, voltage, current_decay, voltage_decay = ctx.saved_tensors
        grad_x = torch.empty_like(current)
        of_decays = [torch.zeros_like(current_decay), torch.zeros_like(voltage_decay)]
        rows, voltage = grad.reshape(current.shape), voltage.view_as(current)
        for part in _parts(rows):
            grads_now = rows[part].t().contiguous()
            of_decays[1] += _integrated_back(grads_now, voltage[part], voltage_decay)
            of_decays[0] += _integrated_back(grads_now, current[part], current_decay)
            grad_x[part] = grads_now.t()
        return (grad_x.view_as(grad), *of_decays, None, None, None, None)


def _parts(rows: Tensor) -> list[slice]:
    """Slices of the neurons of all samples, each small enough for the processor's cache."""
    return [slice(start, start + N_AT_ONCE) for start in range(0, len(rows), N_AT_ONCE)]


def _kept_share(decay: Tensor) -> float:
    """The share of a state that a step keeps: a multiple of 1/4096."""
    return 1 - round(decay.item()) / SCALE


def _store(states: Tensor, place: Tensor) -> Tensor:
    """Put states (time, neurons) into `place` (neurons, time), in the units of parameters.

    Returns them as they are once float32 has carried them there.
    """
    carried = states.float()
    torch.div(carried.t(), SCALE, out=place)
    return carried.double()


def _integrated(inputs: Tensor, kept: float) -> Tensor:
    """(time, neurons) states of a leaky integrator, in the place of its inputs."""
    left = torch.empty_like(inputs[0])
    for before, now in itertools.pairwise(inputs):
        now.add_(torch.mul(before, kept, out=left).trunc_())
    return inputs


def _adapted(
    voltage: Tensor, kept_above: float, kept_refractory: float, base: float, step: float
) -> tuple[Tensor, Tensor]:
    """(time, neurons) thresholds and refractory states as they are before each step's spikes."""
    thresholds, refractory = torch.empty_like(voltage), torch.empty_like(voltage)
    above = torch.zeros_like(voltage[0])  # by which the threshold is above its base
    refracted, spikes = torch.zeros_like(above), torch.empty_like(above)
    for v, h, r in zip(voltage, thresholds, refractory, strict=True):
        above.mul_(kept_above).trunc_()
        refracted.mul_(kept_refractory).trunc_()
        torch.add(above, base, out=h)
        r.copy_(refracted)
        torch.ge(v, torch.add(h, r, out=spikes), out=spikes)
        above.add_(spikes, alpha=step)
        refracted.addcmul_(spikes, h, value=2)
    return thresholds, refractory


def _integrated_back(grads: Tensor, states: Tensor, decay: Tensor) -> Tensor:
    """Turn gradients (time, neurons) of states into those of the inputs, in the same place.

    states: (neurons, time). Returns the gradient of the decay.
    """
    kept = 1 - decay.detach().round() / SCALE
    for later, now in itertools.pairwise(grads.unbind()[::-1]):
        now.add_(later * kept)
    return (grads[1:] * states.t()[:-1]).sum().reshape(1)
