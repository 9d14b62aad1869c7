"""Modules that return spikes and state, as those of norse do, with axes that are declared.

They are made here after norse's interface and its Euler steps of current and voltage; norse itself
is not among the packages that the tests need.
"""

from __future__ import annotations

from typing import NamedTuple

import pytest
import torch
from optuna.trial import FixedTrial
from torch import Tensor, nn

from optuna_snn.monitor import SpikeMonitor
from optuna_snn.probes.layers import find_layers
from tests.probes.test_frameworks import N_INPUTS, N_SAMPLES, assert_same, counts, input_spikes


class NorseState(NamedTuple):
    """As norse's LIFFeedForwardState."""

    v: Tensor
    i: Tensor


class NorseCell(nn.Module):
    """Called as norse's LIFCell: (input, state or None) -> (spikes, state), a step of time."""

    def forward(self, x: Tensor, state: NorseState | None = None) -> tuple[Tensor, NorseState]:
        if state is None:
            state = NorseState(torch.zeros_like(x), torch.zeros_like(x))
        v = state.v + 0.1 * (state.i - state.v)
        spikes = (v > 0.15).to(x.dtype)
        return spikes, NorseState(v * (1 - spikes), 0.8 * state.i + x)


class NorseLayer(NorseCell):
    """Called as norse's LIF: with a sequence, whose first axis is time."""

    def forward(self, x: Tensor, state: NorseState | None = None) -> tuple[Tensor, NorseState]:
        steps = []
        for step in x:
            spikes, state = super().forward(step, state)
            steps.append(spikes)
        assert state is not None
        return torch.stack(steps), state


@pytest.mark.parametrize("is_sequence", [False, True])
def test_modules_that_return_spikes_and_state_as_norse_does_are_counted(
    is_sequence: bool,
) -> None:
    torch.manual_seed(0)
    model = nn.ModuleDict(
        {
            "fc": nn.Linear(N_INPUTS, 30),
            "lif": NorseLayer() if is_sequence else NorseCell(),
            "readout": nn.Linear(30, 2),
        }
    )
    with pytest.raises(ValueError, match=r"axes of layer 'lif', Norse.* cannot be known"):
        find_layers(model, ["lif"])
    trial = FixedTrial({})
    with SpikeMonitor(trial, warmup=0, rule="record") as monitor:
        axes = "time batch ..." if is_sequence else "batch ..."
        watch = monitor.watch(model, ["lif"], axes)
        for seed in range(2):
            x = model["fc"](3 * input_spikes(seed))
            if is_sequence:
                steps, _ = model["lif"](x)
            else:
                state, steps = None, []
                for step in x:
                    spikes, state = model["lif"](step, state)
                    steps.append(spikes)
            model["readout"](steps[-1]).sum().backward()
            if seed == 0:
                assert_same(watch.take(), {"lif": counts(list(steps))})
            else:
                monitor.update()
        assert monitor.n_samples == N_SAMPLES
    assert trial.constraints["silent/lif"] == -0.1
