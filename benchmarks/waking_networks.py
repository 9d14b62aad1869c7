"""Networks whose first samples may be silent and whose later ones fire, since they learn.

    made      a layer of leaky integrate-and-fire neurons, each of which strengthens its weight by
              a fixed step after every sample in which it was silent: when it wakes is known
    STDP      the network of Diehl & Cook in BindsNET, as `optuna_snn.objectives` trains it
    SLAYER    784-64-10 in lava-dl, as `studies/examples` trains it, by gradients

The real ones learn the digits. Their configurations are drawn from a search space: of the STDP
ones a quarter from that of the demo, where nearly all are silent for good, and the others on
purpose at the edge: the threshold is 0.9 to 2.3 times the potential to which the mean digit drives
a neuron, learning is fast, and thresholds adapt slowly. SLAYER networks wake up without such help.
Batches of another size train the same configurations.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import optuna
import torch
from numpy.typing import NDArray
from optuna.distributions import BaseDistribution, FloatDistribution, IntDistribution
from torch import nn

from optuna_snn.backends import lava_dl
from optuna_snn.objectives import split_digits
from optuna_snn.objectives.datasets import Samples
from optuna_snn.objectives.stdp.setup import STDPSetup
from optuna_snn.objectives.stdp.spaces import STDP_DIGITS, STDPConfig, stdp_config
from optuna_snn.objectives.stdp.training import train_stdp
from optuna_snn.probes.layers import find_layers
from optuna_snn.probes.watching import Watch

SEED = 0
Counts = Mapping[str, NDArray[Any]]
"""Layer -> (n_samples,) spikes of each sample of a batch."""
Params = Mapping[str, float]


@dataclass(frozen=True)
class Batch:
    """What a network fired in a batch, and for how many samples it then named the digit.

    n_correct: None for a network that learns without labels
    """

    counts: Counts
    n_correct: int | None = None


@dataclass(frozen=True)
class HomeostaticLayer:
    """Leaky integrate-and-fire neurons that get the same constant input in every sample.

    In each step v becomes decay * v + weight; a neuron with v >= threshold fires, and v is 0. A
    neuron without a spike in a sample of `n_steps` has its weight raised by `growth` after it.

    weights: (n_neurons,)
    """

    weights: NDArray[np.float64]
    growth: float
    threshold: float = 1.0
    decay: float = 0.9
    n_steps: int = 20

    @property
    def critical_weight(self) -> float:
        """The weight from which a neuron fires: without a spike, v is largest at the end."""
        return self.threshold * (1 - self.decay) / (1 - self.decay**self.n_steps)

    @property
    def n_silent(self) -> float:
        """Samples until the layer's first spike; infinite if it never comes."""
        missing = self.critical_weight - float(self.weights.max())
        if missing <= 0:
            return 0
        return math.ceil(missing / self.growth) if self.growth > 0 else math.inf

    def spikes(self) -> int:
        """Spikes of the layer in one sample."""
        return int(self._spikes().sum())

    def after_sample(self) -> HomeostaticLayer:
        """The layer after one more sample."""
        grown = np.where(self._spikes() == 0, self.weights + self.growth, self.weights)
        return replace(self, weights=grown)

    def _spikes(self) -> NDArray[np.int64]:
        v, n_spikes = np.zeros_like(self.weights), np.zeros(self.weights.shape, dtype=np.int64)
        for _ in range(self.n_steps):
            v = self.decay * v + self.weights
            fires = v >= self.threshold
            n_spikes += fires
            v = np.where(fires, 0.0, v)
        return n_spikes


@dataclass(frozen=True)
class Kind:
    """Networks of one way of learning.

    batch:     samples between two looks, and for the real ones between two updates
    n_samples: that each network is trained on
    drawn:     the configurations
    train:     (number, configuration, batch, n_samples) -> its batches
    """

    name: str
    batch: int
    n_samples: int
    layers: tuple[str, ...]
    drawn: Callable[[], list[dict[str, float]]]
    train: Callable[[int, Params, int, int], Iterator[Batch]]


def draw(space: Mapping[str, BaseDistribution], n: int) -> list[dict[str, float]]:
    """The first n random points of a space, always the same."""
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    study = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=SEED))
    return [study.ask(dict(space)).params for _ in range(n)]


MADE = {
    "first_weight": FloatDistribution(0.2, 1.1),
    "n_growing": FloatDistribution(4, 800, log=True),
}
"""Weight in units of the critical one; samples in which it grows by as much as the latter."""
N_DEAD = 20


def made_configurations() -> list[dict[str, float]]:
    """Some are dead for good."""
    living = draw(MADE, 100 - N_DEAD)
    return living + [{"first_weight": 0.5, "n_growing": math.inf}] * N_DEAD


def made_layer(params: Params) -> HomeostaticLayer:
    """Eight neurons, of which the last is the first to wake."""
    critical = HomeostaticLayer(np.zeros(1), growth=0).critical_weight
    weights = params["first_weight"] * critical * np.linspace(0.5, 1, 8)
    return HomeostaticLayer(weights, growth=critical / params["n_growing"])


def train_made(number: int, params: Params, batch: int, n_samples: int) -> Iterator[Batch]:
    """Sample by sample."""
    layer = made_layer(params)
    for _ in range(n_samples):
        yield Batch({"layer": np.array([layer.spikes()])})
        layer = layer.after_sample()


N_STEPS = 100
INTENSITY_HZ = 128.0
REST_MV = -65.0
STDP_WIDE = {name: each for name, each in STDP_DIGITS.items() if name != "decoder"}
STDP_EDGE: Mapping[str, BaseDistribution] = {
    "map_size": IntDistribution(20, 100, log=True),
    "nu_pre": FloatDistribution(1e-6, 1e-3, log=True),
    "nu_post": FloatDistribution(5e-3, 5e-2, log=True),
    "strength_exc": FloatDistribution(30, 500, log=True),
    "strength_inh": FloatDistribution(1, 500, log=True),
    "norm": FloatDistribution(20, 200, log=True),
    "e_tc_decay": FloatDistribution(20, 500, log=True),
    "threshold_per_drive": FloatDistribution(0.9, 2.3),
    "theta_per_drive": FloatDistribution(1e-5, 1e-3, log=True),
}
"""`threshold_per_drive`, `theta_per_drive`: threshold above rest and its adaptation per spike, in
units of `mean_drive_mv`."""


def stdp_configurations() -> list[dict[str, float]]:
    """A quarter from the wide space."""
    return draw(STDP_WIDE, 8) + draw(STDP_EDGE, 24)


def stdp_config_of(params: Params, mean_intensity: float) -> STDPConfig:
    """The network of a point of either space."""
    known = {name: value for name, value in params.items() if not name.endswith("_per_drive")}
    if "threshold_per_drive" in params:
        drive_mv = mean_drive_mv(params, mean_intensity)
        known["e_thresh"] = REST_MV + params["threshold_per_drive"] * drive_mv
        known["theta_plus"] = params["theta_per_drive"] * drive_mv
    return stdp_config(known)


def mean_drive_mv(params: Params, mean_intensity: float) -> float:
    """Where the mean digit drives an excitatory neuron to in the time that it is shown.

    norm is the sum of the weights of the neuron, so that norm * mean_intensity * rate is what
    they add each step while they are random.
    """
    tau_ms = params["e_tc_decay"]
    per_ms = params["norm"] * mean_intensity * INTENSITY_HZ / 1000
    return per_ms * tau_ms * (1 - math.exp(-N_STEPS / tau_ms))


def train_diehl_cook(number: int, params: Params, batch: int, n_samples: int) -> Iterator[Batch]:
    """One epoch of digits."""
    digits = digits_of(n_samples)
    setup = STDPSetup(n_steps=N_STEPS, intensity_hz=INTENSITY_HZ, batch_size=batch)
    config = stdp_config_of(params, float(digits.images.mean()))
    for trained in train_stdp(config, digits, setup, np.random.default_rng([SEED, number])):
        yield Batch(trained.counts)


N_PIXELS, N_SLAYER_STEPS = 28 * 28, 16
SLAYER: Mapping[str, BaseDistribution] = {
    "current": FloatDistribution(0.01, 1),
    "voltage": FloatDistribution(0.01, 1),
    "threshold": FloatDistribution(0.1, 100, log=True),
    "weight_scale": FloatDistribution(0.3, 3, log=True),
    "lr": FloatDistribution(1e-4, 0.1, log=True),
}


def slayer_network(params: Params) -> nn.Sequential:
    """Two blocks, with random weights of torch's global generator."""
    dense = lava_dl.load().block.cuba.Dense
    cuba = {
        "threshold": params["threshold"],
        "tau_grad": 0.1 * params["threshold"],
        "scale_grad": 3,
        "current_decay": params["current"],
        "voltage_decay": params["voltage"],
    }
    scale = params["weight_scale"]
    return nn.Sequential(
        dense(cuba, N_PIXELS, 64, weight_scale=scale), dense(cuba, 64, 10, weight_scale=scale)
    )


def train_slayer(number: int, params: Params, batch: int, n_samples: int) -> Iterator[Batch]:
    """One epoch of digits, with Adam. Torch's global generator is left as it was."""
    digits = digits_of(n_samples)
    images, labels = torch.tensor(digits.images), torch.tensor(digits.labels)
    generator = torch.Generator().manual_seed(number)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(number)
        model = slayer_network(params)
    adam = torch.optim.Adam(model.parameters(), params["lr"])
    loss = lava_dl.load().loss.SpikeRate(true_rate=0.5, false_rate=0.03, reduction="sum")
    watch = Watch(find_layers(model, {"hidden": "0", "output": "1"}))
    for start in range(0, n_samples, batch):
        pixels = images[start : start + batch, :, None]
        adam.zero_grad()
        draws = torch.rand(len(pixels), N_PIXELS, N_SLAYER_STEPS, generator=generator)
        spikes = model((draws < pixels).float())
        named = spikes.detach().sum(2).argmax(1)
        loss(spikes, labels[start : start + batch]).backward()
        adam.step()
        n_correct = int((named == labels[start : start + batch]).sum())
        yield Batch(watch.take(), n_correct)


def digits_of(n_samples: int) -> Samples:
    """Digits to train on."""
    return split_digits(n_train=n_samples, n_validation=1, n_test=1, seed=SEED).train


def slayer_configurations() -> list[dict[str, float]]:
    """All from one space."""
    return draw(SLAYER, 60)


STDP_LAYERS = ("excitatory", "inhibitory")
SLAYER_LAYERS = ("hidden", "output")
KINDS: Sequence[Kind] = (
    Kind("made", 1, 1024, ("layer",), made_configurations, train_made),
    Kind("STDP", 1, 480, STDP_LAYERS, stdp_configurations, train_diehl_cook),
    Kind("STDP", 16, 960, STDP_LAYERS, stdp_configurations, train_diehl_cook),
    Kind("SLAYER", 8, 4000, SLAYER_LAYERS, slayer_configurations, train_slayer),
    Kind("SLAYER", 32, 4000, SLAYER_LAYERS, slayer_configurations, train_slayer),
)
