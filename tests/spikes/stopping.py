"""Exact probabilities that `SilenceRule.is_silent` ever says yes, and of when it does.

The rule sees a stream through n and k alone, and at a given n it says yes from some k on. So a
stream is a walk of k with an absorbing edge, whose law is a sum over its states.

Glossary
    looks    the n at which the rule is asked; the samples between two looks are a batch
    fewest   at each look the fewest silent samples for a yes; n + 1 where none suffice
    law      law[j]: probability that j samples of a batch are silent, (batch size + 1,)
    going    going[i]: probability that the stream goes on and has had low + i silent samples
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache

import numpy as np
from numpy.typing import NDArray

from optuna_snn.spikes.rules import SilenceRule

Array = NDArray[np.float64]

NEGLIGIBLE = 1e-25
"""Probability of the states that are dropped in one go; they count as stopped in the end."""


@cache
def fewest_silent(rule: SilenceRule, looks: range, epoch: int = 1) -> Sequence[int]:
    """`fewest`; made by asking the rule, and nothing but the rule."""
    fewest = []
    least = 1  # what an earlier look asked for: it never falls as n grows
    for n in looks:
        k = least
        while k <= n and not rule.is_silent(n, k, epoch):
            k += 1
        least = k if k <= n else least
        fewest.append(k)
    return tuple(fewest)


def worst_stop_probability(rule: SilenceRule, looks: range, epoch: int = 1) -> float:
    """The largest probability of a yes among all streams that the promise covers.

    Backward over n for all k: before each sample an adversary, who knows all samples so far, picks
    the probability that it is silent, at most beta. Its gain is linear in that probability, so 0
    or beta is best.
    """
    edges = dict(zip(looks, fewest_silent(rule, looks, epoch), strict=True))
    value = np.append(np.zeros(edges[looks[-1]]), 1.0)  # value[k]; from the last k on all are 1
    for n in range(looks[-1] - 1, -1, -1):
        firing, silent = value, np.append(value[1:], 1.0)
        value = np.maximum(firing, rule.beta * silent + (1 - rule.beta) * firing)
        if n in edges:
            value = value[: edges[n] + 1]
            value[edges[n] :] = 1.0
    return float(value[0])


def stops(law: Array, rule: SilenceRule, looks: range, enough: float = 1.0) -> Array:
    """Probability of the first yes at each look, batches being independent; (n_looks,).

    Stops counting when a yes has come with probability `enough`. What was too improbable to
    follow counts as a yes at the last look.
    """
    going, low, lost = np.ones(1), 0, 0.0
    stopped = np.zeros(len(looks))
    for i, edge in enumerate(fewest_silent(rule, looks)):
        going = np.convolve(going, law)
        room = max(0, edge - low)
        stopped[i] = going[room:].sum()
        going = going[:room]
        if i % 16 == 0:
            n_dropped = int(np.searchsorted(np.cumsum(going), NEGLIGIBLE))
            lost += going[:n_dropped].sum()
            going, low = going[n_dropped:], low + n_dropped
            if going.sum() <= 1 - enough:
                break
    stopped[-1] += lost
    return stopped


def shuffled_stop_probability(rule: SilenceRule, n_silent: int, looks: range) -> float:
    """The probability of a yes in an epoch of looks[-1] samples, n_silent of them, shuffled."""
    edges = dict(zip(looks, fewest_silent(rule, looks), strict=True))
    going = np.ones(1)
    stopped = 0.0
    for n in range(looks[-1]):
        silent = going * ((n_silent - np.arange(going.size)).clip(min=0) / (looks[-1] - n))
        going = np.append(going - silent, 0.0) + np.append(0.0, silent)
        edge = edges.get(n + 1, going.size)
        stopped += going[edge:].sum()
        going = going[:edge]
    return float(stopped)
