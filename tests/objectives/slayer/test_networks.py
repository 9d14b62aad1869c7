from dataclasses import replace

import numpy as np
import pytest
import torch

from optuna_snn.backends import MissingPackageError, lava_dl
from optuna_snn.objectives.slayer import networks as slayer_networks
from optuna_snn.objectives.slayer.config import SLAYERConfig
from optuna_snn.objectives.slayer.networks import SLAYERNetwork
from optuna_snn.objectives.slayer.plan import NetworkName, Shape, plan_network

CONFIG = SLAYERConfig(
    c1_filters=3,
    c1_k=4,
    c2_filters=2,
    c2_k=3,
    n_hidden=6,
    threshold=0.3,
    threshold_step=0.02,
    current_decay=0.5,
    voltage_decay=0.25,
    threshold_decay=0.125,
    refractory_decay=0.75,
    tau_grad=0.2,
    scale_grad=0.7,
    dropout=0.4,
)
SHAPES: dict[NetworkName, Shape] = {
    "dense": (1, 4, 3),
    "experiment_3": (1, 10, 10),
    "experiment_4": (2, 10, 9),
}


def build(
    network: NetworkName, config: SLAYERConfig = CONFIG, seed: int = 0, *, overlapping: bool = True
) -> SLAYERNetwork:
    shape = SHAPES[network]
    plan = plan_network(network, config, shape, n_classes=4, overlapping_pools=overlapping)
    return SLAYERNetwork(plan, config, shape, rng=np.random.default_rng(seed))


def lively_input(network: NetworkName) -> torch.Tensor:
    generator = torch.Generator().manual_seed(0)
    return (torch.rand(5, *SHAPES[network], 12, generator=generator) < 0.7).float()


@pytest.mark.parametrize("overlapping", [True, False])
@pytest.mark.parametrize("network", SHAPES)
def test_each_layer_fires_in_the_shape_that_was_planned(
    network: NetworkName, overlapping: bool
) -> None:
    config = replace(CONFIG, c2_k=2)
    model = build(network, config, overlapping=overlapping)
    fired = dict(model._spikes(lively_input(network)))
    plan = plan_network(
        network, config, SHAPES[network], n_classes=4, overlapping_pools=overlapping
    )
    assert list(fired) == list(model.layer_names) == [layer.name for layer in plan]
    for layer in plan:
        spikes = fired[layer.name]
        neurons = (layer.shape[0],) if layer.kind == "dense" else layer.shape
        assert spikes.shape == (5, *neurons, 12)
        assert set(spikes.unique().tolist()) <= {0, 1}
    assert fired[plan[0].name].any()


def test_every_parameter_of_the_neurons_reaches_all_layers() -> None:
    """SLAYER keeps decays times 4096; a threshold of 0.3 is nearest to 19 / 64 and 0.02 to 1."""
    for name, block in build("experiment_4").blocks.items():
        neuron = block.neuron
        assert neuron.threshold == 19 / 64
        assert neuron.threshold_step == 1 / 64
        assert neuron.tau_rho == pytest.approx(0.2 * 19 / 64)
        assert neuron.scale_rho == 0.7
        for decay in ("current_decay", "voltage_decay", "threshold_decay", "refractory_decay"):
            assert getattr(neuron, decay).item() == 4096 * getattr(CONFIG, decay)
        assert neuron.current_decay.requires_grad == (not name.startswith("pool"))


def test_thresholds_are_rounded_and_not_cut_off() -> None:
    """29.8 / 64 is nearest to 30 / 64; SLAYER itself would make it 29 / 64."""
    (hidden, _) = build("dense", replace(CONFIG, threshold=29.8 / 64)).blocks.values()
    assert hidden.neuron.threshold == 30 / 64


def test_dropout_and_delays_are_where_the_paper_has_them() -> None:
    axons = {
        name: [type(part).__name__ for part in parts]
        for name, parts in build("experiment_4").axons.items()
    }
    assert axons == {
        "pool1": [],
        "conv1": ["NeuronDropout", "AxonalDelay"],
        "pool2": [],
        "conv2": ["NeuronDropout", "AxonalDelay"],
        "pool3": [],
        "hidden": ["NeuronDropout"],
        "output": [],
    }


def test_no_two_layers_share_neurons_or_parameters() -> None:
    network = build("experiment_4")
    neurons = {id(block.neuron) for block in network.blocks.values()}
    assert len(neurons) == 7
    held = [id(p) for block in network.blocks.values() for p in block.parameters()]
    assert len(held) == len(set(held))


def test_the_generator_determines_the_network_and_torchs_own_stays_as_it_was() -> None:
    before = torch.get_rng_state()
    first, again, other = (build("experiment_3", seed=seed).state_dict() for seed in (0, 0, 1))
    assert torch.equal(torch.get_rng_state(), before)
    assert all(torch.equal(first[key], again[key]) for key in first)
    weights = [key for key in first if key.endswith(("weight", "delay"))]
    assert len(weights) == 5
    assert not any(torch.equal(first[key], other[key]) for key in weights)


def test_the_output_is_that_of_the_last_layer_and_counts_are_of_each_sample() -> None:
    network = build("experiment_3").eval()
    x = lively_input("experiment_3")
    output, counts = network.respond(x)
    assert torch.equal(network(x), output)
    for name, fired in network._spikes(x):
        assert counts[name].tolist() == [int(each.sum()) for each in fired]
    assert sum(counts["conv1"]) > 0


def test_dropped_spikes_are_counted_but_do_not_arrive() -> None:
    config = replace(CONFIG, dropout=0.999999)
    network = build("dense", config)
    _, counts = network.respond(lively_input("dense"))
    assert counts["hidden"].sum() > 0
    assert counts["output"].sum() == 0


def test_all_neurons_are_quickened(monkeypatch: pytest.MonkeyPatch) -> None:
    quickened: list[int] = []
    monkeypatch.setattr(slayer_networks, "quicken", lambda neuron: quickened.append(id(neuron)))
    network = build("experiment_4")
    assert quickened == [id(block.neuron) for block in network.blocks.values()]


def test_without_lava_dl_there_is_no_network(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse() -> None:
        raise MissingPackageError("lava-dl is not installed")

    monkeypatch.setattr(lava_dl, "load", refuse)
    with pytest.raises(MissingPackageError):
        build("dense")
