import numpy as np
import pytest
import torch
from torch import Tensor

from optuna_snn.backends import lava_dl
from optuna_snn.objectives.slayer.modules import AxonalDelay, NeuronDropout, SumPool


def spikes(*shape: int) -> Tensor:
    generator = torch.Generator().manual_seed(0)
    return (torch.rand(*shape, generator=generator) < 0.4).float()


@pytest.mark.parametrize(("kernel", "side"), [(2, 6), (2, 7), (4, 8)])
def test_pools_side_by_side_are_those_of_lava_dl(kernel: int, side: int) -> None:
    x = spikes(2, 3, side, side, 5)
    expected = lava_dl.load().synapse.Pool(kernel)(x)
    assert torch.equal(SumPool(kernel, stride=kernel)(x), expected)


def test_overlapping_windows_of_a_pool_stay_within_their_channel() -> None:
    x = spikes(2, 3, 5, 6, 4)
    pooled = SumPool(2, stride=1)(x)
    assert pooled.shape == (2, 3, 4, 5, 4)
    for row, column in np.ndindex(4, 5):
        window = x[:, :, row : row + 2, column : column + 2]
        assert torch.equal(pooled[:, :, row, column], window.sum((2, 3)))


@pytest.mark.parametrize("shape", [(3, 4, 9), (2, 4, 3, 2, 9)], ids=["dense", "convolution"])
def test_delays_and_their_gradients_are_those_of_lava_dl(shape: tuple[int, ...]) -> None:
    delays = torch.tensor([0.0, 0.9, 2.3, 20.0])
    theirs = lava_dl.load().axon.Delay(max_delay=62)
    theirs.delay.data, theirs.init = delays.clone(), True
    ours = AxonalDelay(delays.clone())
    weights = torch.rand(shape, generator=torch.Generator().manual_seed(1))
    results = []
    for module in (theirs, ours):
        x = spikes(*shape).requires_grad_()
        delayed = module(x)
        (delayed * weights).sum().backward()
        results.append((delayed.detach(), x.grad, module.delay.grad))
    for expected, found in zip(*results, strict=True):
        torch.testing.assert_close(found, expected)
    assert results[0][0].any() and results[0][2].any()


def test_a_train_is_shifted_by_whole_steps_and_lost_beyond_the_last_one() -> None:
    x = torch.tensor([[[1.0, 0, 1, 0]], [[0, 0, 0, 1]]]).transpose(0, 1)
    delayed = AxonalDelay(torch.tensor([1.7, 4.0]))(x)
    assert delayed.tolist() == [[[0, 1, 0, 1], [0, 0, 0, 0]]]


def test_delays_stay_within_0_and_62_steps() -> None:
    delay = AxonalDelay(torch.tensor([-3.0, 70.0]))
    delay(spikes(1, 2, 3))
    assert delay.delay.tolist() == [0, 62]


def test_dropout_silences_neurons_for_all_steps_and_scales_the_others() -> None:
    """A share within 5 standard deviations of p, which are 0.0047 each for 10 000 neurons."""
    dropout = NeuronDropout(0.3, torch.Generator().manual_seed(0))
    dropped = dropout(torch.ones(100, 4, 5, 5, 6))
    per_neuron = dropped.flatten(0, -2)
    assert torch.equal(per_neuron.amin(1), per_neuron.amax(1))
    assert set(per_neuron.unique().tolist()) == {0, torch.tensor(1 / 0.7).item()}
    assert (per_neuron[:, 0] == 0).float().mean().item() == pytest.approx(0.3, abs=0.024)


def test_dropout_draws_from_its_own_generator_and_in_training_only() -> None:
    x = spikes(4, 5, 6)
    before = torch.get_rng_state()
    first, second = (NeuronDropout(0.5, torch.Generator().manual_seed(seed))(x) for seed in (0, 0))
    assert torch.equal(first, second) and not torch.equal(first, x)
    assert torch.equal(torch.get_rng_state(), before)
    assert torch.equal(NeuronDropout(0.5, torch.Generator()).eval()(x), x)
