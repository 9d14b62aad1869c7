"""Rules that call a layer silent from n samples of which k were silent.

The paper's rule and constraint: Firmin, Boulet, Talbi, "Parallel hyperparameter optimization of
spiking neural networks", arXiv 2403.00450, as their code has it (`NonSpikingPercentageStopping`).
The sequential rule: Ville's inequality for a mixture of likelihood ratios. The proof is short and
stands in `SilenceRule` and `log_e_value`.

Glossary
    n, k      samples in the judged window, and how many of them were silent (or saturated)
    beta      silent share that is tolerated; 0 <= beta < 1
    theta     a silence probability above beta
    e         e-value: evidence against "silence probability at most beta"; 1 is none
    delta     probability with which a layer that keeps to beta may be stopped all the same

Departures from the paper
    1. The constraint is k/n - beta, not k/N - beta with N the samples of a full epoch: that one
       is, for a stopped network, beta plus a little that depends on the check interval alone.
    2. Under the paper's rule N is at least n, so that a stop always means a violated constraint.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal, assert_never, get_args

import numpy as np
from numpy.typing import ArrayLike, NDArray

from optuna_snn.spikes.checks import checked_integer, checked_real

RuleName = Literal["paper", "sequential", "record"]
RULE_NAMES: tuple[RuleName, ...] = get_args(RuleName)

# Below this the upper tail of the beta distribution is too near to underflow for its logarithm.
SMALLEST_TAIL = 1e-280


@dataclass(frozen=True)
class SilenceRule:
    """When one layer is called silent.

    name:        "sequential": e >= 1 / (delta * delta_share * declining_share(epoch)) and
                 n >= min_samples;
                 "paper": k > beta * N, N the epoch's size (or n where that is larger);
                 "record": never
    beta:        silent share that is tolerated
    delta:       permitted error of a network, over all layers and epochs ("sequential" only)
    delta_share: the part of delta that one question about a layer may spend, 0 < delta_share <= 1
    min_samples: samples before which nothing is stopped ("sequential" only)
    epoch_size:  N ("paper" only)

    Promise of "sequential": if every judged sample is silent with probability at most beta given
    all samples before it, `is_silent` is ever true, at any look in any epoch, with probability at
    most delta * delta_share. For then one more sample multiplies a likelihood ratio by at most 1
    in the mean, so each epoch's e-value is a non-negative supermartingale that starts at 1, and by
    Ville's inequality it ever reaches 1/d with probability at most d; the epochs' d sum to that.
    Where the window slides, each of its halves opens such a window of its own (`Window`), and is
    counted in the place of the epoch: the same holds, at any look in any of them. The same holds
    again for saturated samples in the place of silent ones.

    Raises ValueError for beta, delta and delta_share out of range, and for "paper" without N.
    """

    name: RuleName
    beta: float
    delta: float
    min_samples: int
    epoch_size: int | None = None
    delta_share: float = 1.0

    def __post_init__(self) -> None:
        if not 0 <= self.beta < 1:
            raise ValueError(f"Need 0 <= beta < 1, got beta={self.beta!r}.")
        if self.name == "sequential" and self.beta == 0:
            raise ValueError(
                "rule='sequential' needs beta > 0, got beta=0: at 0 a single silent sample "
                "decides, which is rule='paper'."
            )
        if not 0 < self.delta < 1:
            raise ValueError(f"Need 0 < delta < 1, got delta={self.delta!r}.")
        if not 0 < self.delta_share <= 1:
            raise ValueError(f"Need 0 < delta_share <= 1, got delta_share={self.delta_share!r}.")
        if self.epoch_size is None and self.name == "paper":
            raise ValueError(
                "rule='paper' compares the silent samples with beta * epoch_size: "
                "pass epoch_size, the training samples of one epoch."
            )

    def excess(self, n_samples: int, n_silent: int) -> float:
        """Return silent share - beta, the layer's constraint; n_samples must not be 0."""
        return n_silent / n_samples - self.beta

    def is_silent(self, n_samples: int, n_silent: int, epoch: int) -> bool:
        """Say whether the layer is silent, judged by the samples of one window.

        Asked with its saturated samples, it says whether the layer is saturated. True only where
        `excess` is positive.
        epoch: number of the window in the trial, counted from 1: its epoch, or its half
        """
        # Where the share keeps to beta every likelihood ratio, and so e, is at most 1. An epoch of
        # more than N samples is thereby judged by its own n (departure 2).
        if n_samples == 0 or self.excess(n_samples, n_silent) <= 0:
            return False
        match self.name:
            case "record":
                return False
            case "paper":
                assert self.epoch_size is not None  # held by __post_init__
                return self.excess(self.epoch_size, n_silent) > 0
            case "sequential":
                bound = -math.log(self.delta * self.delta_share * declining_share(epoch))
                return n_samples >= self.min_samples and bool(
                    log_e_value(n_samples, n_silent, self.beta) >= bound
                )
            case _:
                assert_never(self.name)


def checked_rule(
    name: object,
    beta: object,
    delta: object,
    min_samples: object,
    epoch_size: object = None,
    delta_share: object = 1.0,
) -> SilenceRule:
    """Return the rule that a user or a stored report describes; ValueError if a value is wrong."""
    return SilenceRule(
        name=checked_rule_name(name),
        beta=checked_real("beta", beta),
        delta=checked_real("delta", delta),
        min_samples=checked_integer("min_samples", min_samples, at_least=1),
        epoch_size=None
        if epoch_size is None
        else checked_integer("epoch_size", epoch_size, at_least=1),
        delta_share=checked_real("delta_share", delta_share),
    )


def checked_rule_name(name: object) -> RuleName:
    """Return the name of a rule; ValueError, naming the rules, if it is none."""
    for known in RULE_NAMES:
        if name == known:
            return known
    raise ValueError(f"rule must be one of {', '.join(RULE_NAMES)}; got {name!r}.")


def share_sd(n_samples: int, n_silent: int) -> float:
    """Return the standard deviation of a silent share that n_silent of n_samples tell of.

    That of its posterior under a uniform prior, Beta(k + 1, n - k + 1), so that it is positive for
    a dead layer as well. Samples that are silent together tell less than that.
    """
    a, b = n_silent + 1, n_samples - n_silent + 1
    return math.sqrt(a * b / (a + b + 1)) / (a + b)


def declining_share(position: int) -> float:
    """Return 6 / (pi^2 position^2): shares of an error over positions 1, 2, ... that sum to 1.

    Used over epochs, and over layers whose number is not known ahead. Chosen over 2^-position
    because the price of being late stays small: in epoch 100 of beta = 0.05 a dead layer needs
    four more samples than in the first, not two dozen.
    """
    return 6 / (math.pi * position) ** 2


def log_e_value(n_samples: ArrayLike, n_silent: ArrayLike, beta: float) -> NDArray[np.float64]:
    """Return the logarithm of the evidence that the silence probability exceeds beta.

        e = 1/(1 - beta) * integral over theta from beta to 1 of
            (theta/beta)^k * ((1 - theta)/(1 - beta))^(n - k)

    that is, the likelihood ratio against beta with theta drawn uniformly above beta. It depends on
    the order of the samples through n and k alone.
    n_samples, n_silent: equal shapes or broadcastable, 0 <= n_silent <= n_samples
    beta: 0 < beta < 1
    """
    from scipy import special  # not at the top: it would double the time to import the package

    n, k = np.broadcast_arrays(
        np.asarray(n_samples, dtype=np.float64), np.asarray(n_silent, dtype=np.float64)
    )
    a, b = k + 1, n - k + 1
    tail = special.betaincc(a, b, beta)
    is_safe = tail > SMALLEST_TAIL
    log_integral = special.betaln(a, b) + np.log(np.where(is_safe, tail, 1.0))
    log_e: NDArray[np.float64] = np.array(
        log_integral - k * math.log(beta) - b * math.log1p(-beta)
    )
    if not is_safe.all():
        log_e[~is_safe] = _log_e_value_far_below(n[~is_safe], k[~is_safe], beta)
    return log_e


def _log_e_value_far_below(
    n: NDArray[np.float64], k: NDArray[np.float64], beta: float
) -> NDArray[np.float64]:
    """Return log e where the silent share is far below beta and the tail underflows.

    Integrating by parts, again and again, gives a series in which the powers of beta cancel:
        e = beta / (n - k + 1) * F(n + 2, 1; n - k + 2; 1 - beta), F Gauss's hypergeometric.
    Its terms are positive and fall at least geometrically there.
    """
    term = np.ones_like(n)
    total = np.ones_like(n)
    step = 0
    while np.any(term > np.finfo(np.float64).eps * total):
        term = term * ((n + 2 + step) / (n - k + 2 + step) * (1 - beta))
        total = total + term
        step += 1
    result: NDArray[np.float64] = np.log(beta * total / (n - k + 1))
    return result
