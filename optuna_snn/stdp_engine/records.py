"""The records of the engine: named tuples of arrays and numbers, which compiled code can read.

Glossary
    n_samples, n_inputs, n   of what is presented, of the network; n neurons in each layer
    b                        samples that are shown at once and share weights and thresholds
    e, i                     excitatory, inhibitory

Numbers of a rule are float32, since a float64 beside float32 arrays would widen every product.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

Float32s = NDArray[np.float32]
Int32s = NDArray[np.int32]
Int64s = NDArray[np.int64]
Seeds = NDArray[np.uint64]
Generators = NDArray[np.uint64]
"""(b, 4): the state of a generator of random numbers for each sample."""

__all__ = [
    "Activity",
    "DistanceActivity",
    "DistanceRules",
    "LearnedState",
    "Presented",
    "Recorded",
    "Rules",
    "SpikeLists",
    "at_rest",
    "distance_at_rest",
    "make_distance_rules",
    "make_rules",
]


class Rules(NamedTuple):
    """The parameters of a network as its step uses them: mV, whole steps, factors per step."""

    e_rest_mv: np.float32
    e_thresh_mv: np.float32
    e_reset_mv: np.float32
    e_decay: np.float32
    e_refrac_steps: np.int32
    theta_plus_mv: np.float32
    theta_decay: np.float32
    i_rest_mv: np.float32
    i_thresh_mv: np.float32
    i_reset_mv: np.float32
    i_decay: np.float32
    i_refrac_steps: np.int32
    strength_exc_mv: np.float32
    strength_inh_mv: np.float32
    trace_decay: np.float32
    nu_pre: np.float32
    nu_post: np.float32
    norm: np.float32


class DistanceRules(NamedTuple):
    """The same of the network with inhibition by distance.

    reset_steps: everything but what was learnt is at rest again after so many steps
    """

    e_rest_mv: np.float32
    e_thresh_mv: np.float32
    e_reset_mv: np.float32
    e_decay: np.float32
    e_refrac_steps: np.int32
    theta_plus_mv: np.float32
    theta_decay: np.float32
    i_rest_mv: np.float32
    i_thresh_mv: np.float32
    i_reset_mv: np.float32
    i_decay: np.float32
    i_refrac_steps: np.int32
    strength_exc_mv: np.float32
    strength_inh_mv: np.float32
    in_trace_decay: np.float32
    e_trace_decay: np.float32
    nu_pre: np.float32
    nu_post: np.float32
    norm: np.float32
    reset_steps: np.int32


class LearnedState(NamedTuple):
    """What outlives a sample.

    weights:  (n_inputs, n) of the plastic connection, input by input
    theta_mv: (n,) what each excitatory neuron's threshold has adapted by
    """

    weights: Float32s
    theta_mv: Float32s


class SpikeLists(NamedTuple):
    """Input spikes, one entry per spike: by sample, then step, then input.

    first:  (n_samples, n_steps + 1); the spikes of sample s in step t are
            inputs[first[s, t] : first[s, t + 1]]
    inputs: (n_spikes,)
    """

    first: Int64s
    inputs: Int32s


class Activity(NamedTuple):
    """What the samples that are shown at once have going; a new sample starts from rest.

    v_e, v_i:       (b, n) membrane potentials
    open_e, open_i: (b, n) the step from which a neuron takes input, 0 or below: at once
    trace_e:        (b, n) 1 when a neuron fires, then falling; of the winners below alone not 0
    winner:         (b,) the excitatory neuron that fired in the last step, or -1
    fired_i:        (b, n) 1 where an inhibitory neuron fired in the last step, else 0
    n_fired_i:      (b,) their number
    last_in:        (b, n_inputs) the last step in which an input fired; before the first: -1
    inputs, n_inputs:   (b, n_inputs) and (b,): the inputs that have fired, in the order of their
                    first spikes
    winners, n_winners: (b, n) and (b,): the same of excitatory neurons
    """

    v_e: Float32s
    v_i: Float32s
    open_e: Int32s
    open_i: Int32s
    trace_e: Float32s
    winner: Int32s
    fired_i: Float32s
    n_fired_i: Int32s
    last_in: Int32s
    inputs: Int32s
    n_inputs: Int32s
    winners: Int32s
    n_winners: Int32s


class DistanceActivity(NamedTuple):
    """The same of the network with inhibition by distance.

    v_e, v_i:           (b, n) membrane potentials
    open_e, open_i:     (b, n) the step from which a neuron takes input, 0 or below: at once
    trace_in, trace_e:  (b, n_inputs) and (b, n) 1 at a spike, then falling
    fired_e, fired_i:   (b, n) 1 where a neuron fired in the last step, else 0
    """

    v_e: Float32s
    v_i: Float32s
    open_e: Int32s
    open_i: Int32s
    trace_in: Float32s
    trace_e: Float32s
    fired_e: Float32s
    fired_i: Float32s


class Presented(NamedTuple):
    """What the layers fired, and how near they came to it.

    winners:        (n_samples, n_steps) the excitatory neuron that fired in a step, or -1
    n_inhibitory:   (n_samples,) spikes of the inhibitory layer
    peaks:          (n_samples, 2) largest (v - rest) / (threshold - rest) after a step, of the
                    excitatory and of the inhibitory layer; a threshold that is not above rest
                    counts as reached. None where they were not read
    """

    winners: Int32s
    n_inhibitory: Int64s
    peaks: Float32s | None

    @property
    def n_excitatory(self) -> Int64s:
        """(n_samples,) spikes of the excitatory layer."""
        counts: Int64s = (self.winners >= 0).sum(axis=1, dtype=np.int64)
        return counts


class Recorded(NamedTuple):
    """Which neurons fired in which steps.

    excitatory, inhibitory: (n_samples, n_steps, n)
    """

    excitatory: NDArray[np.bool_]
    inhibitory: NDArray[np.bool_]


def make_rules(numbers: Mapping[str, float]) -> Rules:
    """The rules of these numbers, which are rounded to float32, and steps to whole ones."""
    return Rules(**_rounded(numbers, Rules._fields))


def make_distance_rules(numbers: Mapping[str, float]) -> DistanceRules:
    """As `make_rules`."""
    return DistanceRules(**_rounded(numbers, DistanceRules._fields))


def _rounded(numbers: Mapping[str, float], names: Iterable[str]) -> dict[str, Any]:
    return {
        name: (np.int32 if name.endswith("_steps") else np.float32)(numbers[name])
        for name in names
    }


def at_rest(rules: Rules, n_at_once: int, *, n_inputs: int, n: int) -> Activity:
    """The activity in which samples begin."""
    return Activity(
        v_e=np.full((n_at_once, n), rules.e_rest_mv),
        v_i=np.full((n_at_once, n), rules.i_rest_mv),
        open_e=np.zeros((n_at_once, n), np.int32),
        open_i=np.zeros((n_at_once, n), np.int32),
        trace_e=np.zeros((n_at_once, n), np.float32),
        winner=np.full(n_at_once, -1, np.int32),
        fired_i=np.zeros((n_at_once, n), np.float32),
        n_fired_i=np.zeros(n_at_once, np.int32),
        last_in=np.full((n_at_once, n_inputs), -1, np.int32),
        inputs=np.zeros((n_at_once, n_inputs), np.int32),
        n_inputs=np.zeros(n_at_once, np.int32),
        winners=np.zeros((n_at_once, n), np.int32),
        n_winners=np.zeros(n_at_once, np.int32),
    )


def distance_at_rest(
    rules: DistanceRules, n_at_once: int, *, n_inputs: int, n: int
) -> DistanceActivity:
    """The activity in which samples begin."""
    return DistanceActivity(
        v_e=np.full((n_at_once, n), rules.e_rest_mv),
        v_i=np.full((n_at_once, n), rules.i_rest_mv),
        open_e=np.zeros((n_at_once, n), np.int32),
        open_i=np.zeros((n_at_once, n), np.int32),
        trace_in=np.zeros((n_at_once, n_inputs), np.float32),
        trace_e=np.zeros((n_at_once, n), np.float32),
        fired_e=np.zeros((n_at_once, n), np.float32),
        fired_i=np.zeros((n_at_once, n), np.float32),
    )
