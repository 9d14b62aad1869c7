"""The network of Diehl & Cook (2015), simulated by BindsNET: parameters, training, response.

    input -> excitatory     all to all, plastic (pair-based STDP), normalised
    excitatory -> inhibitory    one to one, strength_exc
    inhibitory -> excitatory    to all others, -strength_inh

Excitatory neurons have an adaptive threshold e_thresh + theta: each spike in training adds
theta_plus, and theta decays with tc_theta_decay. At most one excitatory neuron of a sample fires
in a step: BindsNET draws it from those at threshold (all of them are reset and adapt). One step is
1 ms; a spike reaches the next layer in the step after.

Samples of a batch share weights and thresholds, and their updates are summed: a larger batch
learns something else unless the learning rates fall with it.

`compiled.CompiledNetwork` is the same network without BindsNET, much faster.

Departures from BindsNET's `DiehlAndCook2015`:
    1. Every parameter of the first experiment of Firmin et al. can be set; six cannot there.
    2. The weights are normalised before the first batch as they are after each one.
    3. All randomness comes from the generator that is passed in. BindsNET draws from torch's
       global generator; it is seeded for each batch and put back after it.

[Diehl & Cook 2015]  doi 10.3389/fncom.2015.00099
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from optuna_snn.backends import bindsnet
from optuna_snn.objectives.global_generator import seeded_global_generator
from optuna_snn.objectives.stdp.networks import checked_learned
from optuna_snn.probes.membranes import PeakRecorder, bindsnet_membrane
from optuna_snn.spikes.checks import checked_integer, checked_real
from optuna_snn.spikes.gaps import gaps_of
from optuna_snn.stdp_engine import LearnedState

__all__ = [
    "DiehlCookConfig",
    "DiehlCookNetwork",
    "LayerSpikes",
    "connected",
    "excitatory_layer",
]

DT_MS = 1.0
TC_TRACE_MS = 20.0
"""Decay of the spike traces that STDP reads; BindsNET's value, not tuned by the paper either."""
LARGEST_INITIAL_WEIGHT = 0.3
WEIGHT_RANGE = (0.0, 1.0)

POSITIVE = ("norm", "e_tc_decay_ms", "i_tc_decay_ms", "tc_theta_decay_ms")
NOT_NEGATIVE = ("nu_pre", "nu_post", "strength_exc_mv", "strength_inh_mv", "theta_plus_mv")


@dataclass(frozen=True)
class DiehlCookConfig:
    """The parameters of a network; "e" is excitatory, "i" inhibitory.

    The names are those of the paper with the unit appended. The defaults learn digits in batches
    of 16: they are BindsNET's but for learning rates, norm, theta_plus and a stronger inhibition.

    map_size:       excitatory neurons, and as many inhibitory ones
    nu_pre, nu_post: change of a weight per presynaptic (down) and postsynaptic (up) spike,
                    times the trace of the other side, which is 1 just after its spike
    strength_exc_mv, strength_inh_mv: jump of the membrane potential per spike
    norm:           sum of the input weights of an excitatory neuron
    e_reset_mv, i_reset_mv: potential after a spike; fixed in the paper
    e_refrac_ms, i_refrac_ms: whole steps without input after a spike

    Raises ValueError for a value out of range. A resting potential above the threshold is allowed:
    such a network is saturated, which a search has to find out.
    """

    map_size: int = 100
    nu_pre: float = 1e-5
    nu_post: float = 1e-3
    strength_exc_mv: float = 22.5
    strength_inh_mv: float = 120.0
    norm: float = 30.0
    e_thresh_mv: float = -52.0
    e_rest_mv: float = -65.0
    e_reset_mv: float = -60.0
    e_refrac_ms: int = 5
    e_tc_decay_ms: float = 100.0
    theta_plus_mv: float = 0.1
    tc_theta_decay_ms: float = 1e7
    i_thresh_mv: float = -40.0
    i_rest_mv: float = -60.0
    i_reset_mv: float = -45.0
    i_refrac_ms: int = 2
    i_tc_decay_ms: float = 10.0

    def __post_init__(self) -> None:
        checked_integer("map_size", self.map_size, at_least=1)
        checked_integer("e_refrac_ms", self.e_refrac_ms, at_least=0)
        checked_integer("i_refrac_ms", self.i_refrac_ms, at_least=0)
        for field in fields(self):
            value = checked_real(field.name, getattr(self, field.name))
            if not math.isfinite(value):
                raise ValueError(f"{field.name} must be finite, got {value!r}.")
            if field.name in POSITIVE and value <= 0:
                raise ValueError(f"{field.name} must be > 0, got {value!r}.")
            if field.name in NOT_NEGATIVE and value < 0:
                raise ValueError(f"{field.name} must be >= 0, got {value!r}.")
        if self.nu_pre == self.nu_post == 0:
            raise ValueError("nu_pre and nu_post are both 0: such a network never learns.")


@dataclass(frozen=True)
class LayerSpikes:
    """What the layers of a network fired in a batch.

    excitatory, inhibitory: (n_steps, n_samples, n_neurons) bool
    depolarisation: layer -> (n_samples,) of `probes.membranes`; None where it was not read
    """

    excitatory: NDArray[np.bool_]
    inhibitory: NDArray[np.bool_]
    depolarisation: Mapping[str, NDArray[np.float32]] | None = None

    @property
    def counts(self) -> dict[str, NDArray[np.int64]]:
        """Layer -> (n_samples,) spikes of each sample, all neurons and steps together."""
        return {
            "excitatory": self.excitatory.sum(axis=(0, 2)),
            "inhibitory": self.inhibitory.sum(axis=(0, 2)),
        }

    @property
    def gaps(self) -> dict[str, NDArray[np.float64]] | None:
        """Layer -> (n_samples,) how far it stayed from firing; None where it was not read."""
        if self.depolarisation is None:
            return None
        counts = self.counts
        return {name: gaps_of(d, counts[name]) for name, d in self.depolarisation.items()}


class DiehlCookNetwork:
    """A network in BindsNET. Every batch starts from rest, with the weights and thresholds so far.

    Args:
        config: its parameters.
        n_inputs: inputs, for images their pixels.
        rng: source of the initial weights, uniform on [0, 0.3) before they are normalised.
        device: where torch simulates it.

    Raises MissingPackageError if BindsNET is not installed.
    """

    def __init__(
        self,
        config: DiehlCookConfig,
        *,
        n_inputs: int,
        rng: np.random.Generator,
        device: torch.device | str = "cpu",
    ) -> None:
        self._device = torch.device(device)
        weights = rng.random((n_inputs, config.map_size), dtype=np.float32)
        with torch.inference_mode():
            self._network = self._build(config, torch.from_numpy(LARGEST_INITIAL_WEIGHT * weights))
            self._network.to(self._device)
            self._plastic = self._network.connections["input", "excitatory"]
            self._plastic.normalize()
        self._layers = self._network.layers

    @property
    def weights(self) -> NDArray[np.float32]:
        """(n_inputs, map_size): a copy of the plastic weights."""
        weights: NDArray[np.float32] = self._plastic.pipeline[0].value.cpu().numpy().copy()
        return weights

    @property
    def thresholds_mv(self) -> NDArray[np.float32]:
        """(map_size,): the excitatory thresholds as they have adapted so far."""
        layer = self._layers["excitatory"]
        thresholds: NDArray[np.float32] = (layer.thresh + layer.theta).cpu().numpy()
        return thresholds

    @property
    def learned(self) -> LearnedState:
        """What outlives a sample, copied."""
        theta = self._layers["excitatory"].theta
        return LearnedState(self.weights, theta.cpu().numpy().copy())

    def restore(self, learned: LearnedState) -> None:
        """Go on from what was learnt elsewhere; ValueError for arrays of other shapes."""
        weights, theta = self._plastic.pipeline[0].value, self._layers["excitatory"].theta
        checked = checked_learned(learned, *weights.shape)
        with torch.inference_mode():
            weights.copy_(torch.from_numpy(checked.weights))
            theta.copy_(torch.from_numpy(checked.theta_mv))

    def _build(self, config: DiehlCookConfig, weights: torch.Tensor) -> Any:
        """The network in BindsNET; weights: (n_inputs, map_size), not normalised yet."""
        return built_network(config, weights)

    def _further_monitors(self) -> dict[str, Any]:
        """Monitors of BindsNET for one batch, called after each step and after all others."""
        return {}

    def learn(
        self,
        spikes: NDArray[np.bool_],
        rng: np.random.Generator,
        *,
        reads_membranes: bool = False,
    ) -> LayerSpikes:
        """Present input spikes (n_steps, n_samples, n_inputs) with learning on.

        reads_membranes: whether the depolarisation is read as well, which changes nothing else
        """
        return self._present(spikes, rng, is_learning=True, reads_membranes=reads_membranes)

    def respond(self, spikes: NDArray[np.bool_], rng: np.random.Generator) -> LayerSpikes:
        """Present input spikes with learning off: weights and thresholds stay as they are."""
        return self._present(spikes, rng, is_learning=False)

    def _present(
        self,
        spikes: NDArray[np.bool_],
        rng: np.random.Generator,
        *,
        is_learning: bool,
        reads_membranes: bool = False,
    ) -> LayerSpikes:
        n_steps, n_samples, _ = spikes.shape
        recorders = {
            name: _SpikeRecorder(self._layers[name], n_steps, n_samples)
            for name in ("excitatory", "inhibitory")
        }
        peaks = {
            name: PeakRecorder(bindsnet_membrane(self._layers[name]))
            for name in recorders
            if reads_membranes
        }
        self._network.monitors = {
            **recorders,
            **{f"{name} peak": each for name, each in peaks.items()},
            **self._further_monitors(),
        }
        self._network.train(is_learning)
        inputs = torch.tensor(spikes, device=self._device)  # a copy: BindsNET clears its last step
        seed = int(rng.integers(2**63))
        with torch.inference_mode(), seeded_global_generator(seed, self._device):
            self._network.run({"input": inputs}, time=n_steps)
            self._network.reset_state_variables()
            depolarisation = {name: each.taken_on_host() for name, each in peaks.items()}
        self._network.monitors = recorders
        return LayerSpikes(
            **{name: each.spikes.cpu().numpy() for name, each in recorders.items()},
            depolarisation=depolarisation if reads_membranes else None,
        )


class _SpikeRecorder:
    """A monitor for BindsNET that keeps the spikes of one layer and nothing else.

    BindsNET's own allocates a tensor per step and joins them at the end.
    """

    def __init__(self, layer: Any, n_steps: int, n_samples: int) -> None:
        self.spikes = torch.zeros(
            (n_steps, n_samples, layer.n), dtype=torch.bool, device=layer.s.device
        )
        self._layer = layer
        self._step = 0

    def record(self) -> None:
        self.spikes[self._step] = self._layer.s
        self._step += 1

    def reset_state_variables(self) -> None:
        """BindsNET calls this when a batch of another size begins, and after each batch."""


def built_network(config: DiehlCookConfig, weights: torch.Tensor) -> Any:
    """The network of Diehl & Cook in BindsNET; weights: (n_inputs, map_size), not normalised."""
    kind = bindsnet.load().nodes.DiehlAndCookNodes
    excitatory = excitatory_layer(kind, config, tc_trace_ms=TC_TRACE_MS)
    to_others = -config.strength_inh_mv * (1 - torch.eye(config.map_size))
    return connected(config, weights, excitatory, inhibition=to_others)


def excitatory_layer(kind: Any, config: DiehlCookConfig, *, tc_trace_ms: float) -> Any:
    """Neurons of BindsNET of that kind, whose thresholds adapt, with the config's parameters."""
    return kind(
        n=config.map_size,
        traces=True,
        tc_trace=tc_trace_ms,
        thresh=float(config.e_thresh_mv),
        rest=float(config.e_rest_mv),
        reset=float(config.e_reset_mv),
        refrac=config.e_refrac_ms,
        tc_decay=float(config.e_tc_decay_ms),
        theta_plus=float(config.theta_plus_mv),
        tc_theta_decay=float(config.tc_theta_decay_ms),
    )


def connected(
    config: DiehlCookConfig, weights: torch.Tensor, excitatory: Any, *, inhibition: torch.Tensor
) -> Any:
    """A BindsNET network with the layers input, excitatory and inhibitory.

    weights:    (n_inputs, map_size), not normalised yet
    inhibition: (map_size, map_size) weights from inhibitory neurons to excitatory ones
    """
    engine = bindsnet.load()
    n_inputs, n = weights.shape
    layers = {
        "input": engine.nodes.Input(n=n_inputs, traces=True, tc_trace=TC_TRACE_MS),
        "excitatory": excitatory,
        "inhibitory": engine.nodes.LIFNodes(
            n=n,
            thresh=config.i_thresh_mv,
            rest=config.i_rest_mv,
            reset=config.i_reset_mv,
            refrac=config.i_refrac_ms,
            tc_decay=config.i_tc_decay_ms,
        ),
    }
    plasticity = {
        "norm": config.norm,
        "range": WEIGHT_RANGE,
        "learning_rule": engine.MCC_learning.PostPre,
        "nu": (config.nu_pre, config.nu_post),
        "reduction": torch.sum,
    }
    weight = engine.topology_features.Weight
    features = {
        ("input", "excitatory"): weight("plastic", weights, **plasticity),
        ("excitatory", "inhibitory"): weight("one_to_one", config.strength_exc_mv * torch.eye(n)),
        ("inhibitory", "excitatory"): weight("inhibition", inhibition),
    }
    network = engine.network.Network(dt=DT_MS)
    for name, layer in layers.items():
        network.add_layer(layer, name=name)
    for (source, target), feature in features.items():
        connection = engine.topology.MulticompartmentConnection(
            layers[source], layers[target], device="cpu", pipeline=[feature]
        )
        network.add_connection(connection, source=source, target=target)
    return network
