import copy
from typing import Any

import pytest
import torch
from torch import Tensor

from optuna_snn.backends import lava_dl
from optuna_snn.objectives.slayer.dynamics import quicken

PARAMETERS = {
    "threshold": 1.25,
    "threshold_step": 0.25,
    "current_decay": 0.3,
    "voltage_decay": 0.07,
    "threshold_decay": 0.1,
    "refractory_decay": 0.4,
    "tau_grad": 0.1,
    "scale_grad": 1,
    "requires_grad": True,
}
CASES: dict[str, dict[str, float]] = {
    "usual": {},
    "no memory": {"current_decay": 1.0, "voltage_decay": 1.0, "refractory_decay": 1.0},
    "no decay": {"current_decay": 0.0, "voltage_decay": 0.0, "threshold_decay": 0.0},
    "no adaptation": {"threshold_step": 0.0},
    "lasting adaptation": {"threshold_decay": 0.0, "refractory_decay": 0.05},
    "low threshold": {"threshold": 1 / 64, "threshold_step": 3.0},
}


def pair(**changes: Any) -> tuple[Any, Any]:
    """The same neuron twice, the second one quickened."""
    make = lava_dl.load().neuron.alif.Neuron
    theirs, ours = (make(**{**PARAMETERS, **changes}) for _ in range(2))
    quicken(ours)
    return theirs, ours


def weighted(*shape: int, scale: float = 1.0) -> Tensor:
    """Inputs of both signs, such as weighted spikes; many are no multiples of 1/4096."""
    generator = torch.Generator().manual_seed(0)
    return scale * torch.randn(*shape, generator=generator)


@pytest.mark.parametrize("changes", CASES.values(), ids=CASES)
@pytest.mark.parametrize("scale", [1.0, 300.0, 30_000.0])
def test_states_and_spikes_are_those_of_lava_dl_bit_by_bit(
    changes: dict[str, float], scale: float
) -> None:
    theirs, ours = pair(**changes)
    x = weighted(3, 7, 2, 40, scale=scale)
    for expected, found in zip(theirs.dynamics(x)[1:], ours.dynamics(x)[1:], strict=True):
        assert torch.equal(found, expected)
    spikes = ours(x)
    assert torch.equal(spikes, theirs(x)) and 0 < spikes.mean() < 1
    assert ours.shape == theirs.shape == (7, 2)


@pytest.mark.parametrize("changes", CASES.values(), ids=CASES)
def test_gradients_are_those_of_lava_dl(changes: dict[str, float]) -> None:
    """Those of the decays are sums of 1680 terms in another order."""
    found = []
    for neuron in pair(**changes):
        x = weighted(3, 7, 2, 40).requires_grad_()
        (neuron(x) * weighted(3, 7, 2, 40)).sum().backward()
        found.append((x.grad, neuron.current_decay.grad, neuron.voltage_decay.grad))
    (expected_x, *expected), (found_x, *of_decays) = found
    assert torch.equal(found_x, expected_x) and found_x.any()
    for each, other in zip(of_decays, expected, strict=True):
        torch.testing.assert_close(each, other, rtol=1e-4, atol=1e-5 * float(other.abs().max()))


def test_decays_that_training_drove_out_of_range_are_clamped_as_in_lava_dl() -> None:
    theirs, ours = pair()
    for neuron in (theirs, ours):
        neuron.current_decay.data.fill_(-20.0)
        neuron.voltage_decay.data.fill_(5000.0)
    x = weighted(2, 3, 20)
    assert torch.equal(ours(x), theirs(x))
    assert (ours.current_decay.item(), ours.voltage_decay.item()) == (0, 4096)


def test_inputs_and_batches_of_any_size_leave_no_trace() -> None:
    theirs, ours = pair()
    x = weighted(4, 3, 20)
    kept = x.clone()
    first = ours(x)
    ours(weighted(2, 3, 20))
    assert torch.equal(ours(x), first) and torch.equal(x, kept)
    with torch.no_grad():
        assert torch.equal(ours(x), theirs(x))


def test_a_copy_computes_with_its_own_decays() -> None:
    _, ours = pair()
    x = weighted(2, 3, 20)
    before = ours(x)
    other = copy.deepcopy(ours)
    other.voltage_decay.data.fill_(4096.0)
    assert torch.equal(ours(x), before)
    assert not torch.equal(other(x), before)
