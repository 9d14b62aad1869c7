"""The network of Diehl & Cook in the compiled engine, as the STDP objective asks for it."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray

from optuna_snn import stdp_engine
from optuna_snn.objectives.decoders import SpikeTrains
from optuna_snn.objectives.encoding import spikes_per_step
from optuna_snn.objectives.stdp.diehl_cook import (
    DT_MS,
    LARGEST_INITIAL_WEIGHT,
    TC_TRACE_MS,
    DiehlCookConfig,
)
from optuna_snn.objectives.stdp.networks import Fired, checked_learned
from optuna_snn.spikes.gaps import gaps_of
from optuna_snn.stdp_engine import LearnedState, Rules

__all__ = ["CompiledLearning", "CompiledNetwork", "rules_of"]

CHUNK = 200
"""Samples whose input spikes are in memory at once, or a batch: some megabytes."""

LAYERS = ("excitatory", "inhibitory")


class CompiledLearning:
    """What a network in the compiled engine has learnt.

    Args:
        shape: inputs, excitatory neurons.
        norm: sum of each neuron's weights.
        rng: source of the initial weights, uniform on [0, 0.3) before they are normalised.
    """

    def __init__(self, shape: tuple[int, int], *, norm: float, rng: np.random.Generator) -> None:
        weights = LARGEST_INITIAL_WEIGHT * rng.random(shape, np.float32)
        self._learned = LearnedState(
            stdp_engine.scaled(weights, norm), np.zeros(shape[1], np.float32)
        )

    @property
    def learned(self) -> LearnedState:
        """What outlives a sample, copied."""
        return LearnedState(*(each.copy() for each in self._learned))

    def restore(self, learned: LearnedState) -> None:
        """Go on from what was learnt elsewhere; ValueError for arrays of other shapes."""
        self._learned = checked_learned(learned, *self._learned.weights.shape)


class CompiledNetwork(CompiledLearning):
    """A `Network` in the compiled engine, on the CPU and in one thread.

    What it learns from given input spikes is what `DiehlCookNetwork` learns from them. It draws
    its input spikes, and the one of several excitatory neurons at their threshold that fires, by a
    generator of its own; the initial weights are those of `DiehlCookNetwork` for the same rng.

    Args:
        config: its parameters.
        n_inputs: inputs, for images their pixels.
        rng: source of the initial weights, uniform on [0, 0.3) before they are normalised.

    Raises MissingPackageError if Numba is not installed.
    """

    def __init__(
        self, config: DiehlCookConfig, *, n_inputs: int, rng: np.random.Generator
    ) -> None:
        self._rules = rules_of(config)
        super().__init__((n_inputs, config.map_size), norm=config.norm, rng=rng)

    def learn(
        self,
        rates_hz: NDArray[np.floating],
        *,
        n_steps: int,
        batch_size: int,
        rng: np.random.Generator,
        reads_membranes: bool = False,
    ) -> Fired:
        """See `Network`."""
        n_at_once = batch_size * max(1, CHUNK // batch_size)
        parts = []
        for rates in np.split(rates_hz, range(n_at_once, len(rates_hz), n_at_once)):
            spikes, seeds = _drawn(rates, n_steps, rng)
            self._learned, presented = stdp_engine.learn(
                self._rules,
                self._learned,
                spikes,
                batch_size=batch_size,
                seeds=seeds,
                reads_peaks=reads_membranes,
            )
            parts.append(presented)
        both = (
            np.concatenate([part.n_excitatory for part in parts]),
            np.concatenate([part.n_inhibitory for part in parts]),
        )
        counts = dict(zip(LAYERS, both, strict=True))
        if not reads_membranes:
            return Fired(counts)
        peaks = np.concatenate([part.peaks for part in parts if part.peaks is not None]).T
        gaps = {
            name: gaps_of(peak, counts[name]) for name, peak in zip(LAYERS, peaks, strict=True)
        }
        return Fired(counts, gaps)

    def respond(
        self, rates_hz: NDArray[np.floating], *, n_steps: int, rng: np.random.Generator
    ) -> SpikeTrains:
        """See `Network`."""
        parts = []
        for rates in np.split(rates_hz, range(CHUNK, len(rates_hz), CHUNK)):
            spikes, seeds = _drawn(rates, n_steps, rng)
            winners = stdp_engine.respond(self._rules, self._learned, spikes, seeds=seeds).winners
            sample, step = np.nonzero(winners >= 0)
            neuron = winners[sample, step].astype(np.int64)
            n = len(self._learned.theta_mv)
            parts.append(SpikeTrains(sample, step, neuron, n_samples=len(rates), n_neurons=n))
        return SpikeTrains.concatenate(parts)

    def record(
        self, rates_hz: NDArray[np.floating], *, n_steps: int, rng: np.random.Generator
    ) -> dict[str, NDArray[np.bool_]]:
        """See `Network`."""
        spikes, seeds = _drawn(rates_hz, n_steps, rng)
        fired = stdp_engine.record(self._rules, self._learned, spikes, seeds=seeds)
        return dict(zip(LAYERS, fired, strict=True))


def rules_of(config: DiehlCookConfig) -> Rules:
    """The parameters of a network as the engine takes them."""
    return stdp_engine.make_rules(
        {
            "e_rest_mv": config.e_rest_mv,
            "e_thresh_mv": config.e_thresh_mv,
            "e_reset_mv": config.e_reset_mv,
            "e_decay": _decay(config.e_tc_decay_ms),
            "e_refrac_steps": config.e_refrac_ms,
            "theta_plus_mv": config.theta_plus_mv,
            "theta_decay": _decay(config.tc_theta_decay_ms),
            "i_rest_mv": config.i_rest_mv,
            "i_thresh_mv": config.i_thresh_mv,
            "i_reset_mv": config.i_reset_mv,
            "i_decay": _decay(config.i_tc_decay_ms),
            "i_refrac_steps": config.i_refrac_ms,
            "strength_exc_mv": config.strength_exc_mv,
            "strength_inh_mv": config.strength_inh_mv,
            "trace_decay": _decay(TC_TRACE_MS),
            "nu_pre": config.nu_pre,
            "nu_post": config.nu_post,
            "norm": config.norm,
        }
    )


def _decay(tc_ms: float) -> float:
    """The factor of one step, by torch: its rounding differs from the C library's by a bit."""
    return float(torch.exp(-torch.tensor(DT_MS) / torch.tensor(float(tc_ms))))


def _drawn(
    rates_hz: NDArray[np.floating], n_steps: int, rng: np.random.Generator
) -> tuple[stdp_engine.SpikeLists, NDArray[np.uint64]]:
    """Input spikes of these rates, and the seeds of the samples.

    As each sample has a seed of its own, it is the same however many are drawn at once.
    """
    seeds = rng.integers(2**64, size=len(rates_hz), dtype=np.uint64)
    probabilities = spikes_per_step(rates_hz, n_steps, DT_MS)
    return stdp_engine.draw_spikes(probabilities, n_steps=n_steps, seeds=seeds), seeds
