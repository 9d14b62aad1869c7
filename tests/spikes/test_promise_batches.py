"""What becomes of the promise of the sequential rule when the samples of a batch are alike.

Looks after whole batches ask less of a stream than looks after every sample. What matters is the
number K of silent samples in a batch of B, given the batches before: for each theta > beta, the
factor that the batch contributes to the likelihood ratio must have

    mean of (theta/beta)^K ((1 - theta)/(1 - beta))^(B - K) <= 1                     (condition B)

It holds if every sample keeps to beta given all samples before it, however alike they are; and if
K has a mean of at most beta B and varies no more than with independent samples.

It does not hold for batches that are silent together: each sample keeps to beta given the batches
before, but not given the samples of its own batch. How large the error becomes over 60,000 samples
at delta = 1e-3, beta = .1, looked at after batches of 16, where the silence probability of a batch
is drawn from a beta distribution with mean beta:

    correlation of two samples of a batch    0      .01    .03    .1     .3     1
    standard deviation of that probability   0      .030   .052   .095   .16    .30
    probability of a stop / delta            .09    .44    3.1    49     303    704

The slack of the rule thus pays for (B - 1) * correlation up to .15 or so, and no more; of networks
whose batches are all silent or all firing, 7 in 10 are stopped although their share is beta.
"""

from collections.abc import Callable, Sequence

import numpy as np
import pytest
from scipy import stats

from optuna_snn.spikes.rules import SilenceRule
from tests.spikes.stopping import Array, stops

N = 60_000
BATCH = 16
BETAS = (0.05, 0.1, 0.3)
DELTA = 1e-3
FIRST_EPOCH = 6 / np.pi**2


def sequential(beta: float) -> SilenceRule:
    return SilenceRule("sequential", beta, DELTA, min_samples=16)


def looks(batch: int) -> range:
    return range(batch, N + 1, batch)


def independent(beta: float) -> Array:
    law: Array = stats.binom.pmf(range(BATCH + 1), BATCH, beta)
    return law


def below_beta_by_turns(beta: float) -> Array:
    """Half of the batches, drawn by lot, have no silent sample."""
    return 0.5 * independent(beta) + 0.5 * independent(0.0)


def sticky(beta: float) -> Array:
    """Silence follows on silence with probability beta, on firing with 0.6 beta."""
    fired, silent = np.eye(2, BATCH + 1)[0], np.zeros(BATCH + 1)  # by the last sample, [k so far]
    for _ in range(BATCH):
        more = 0.6 * beta * fired + beta * silent
        fired, silent = fired + silent - more, np.append(0.0, more[:-1])
    return np.asarray(fired + silent)


def balanced(beta: float) -> Array:
    """Each batch is drawn without replacement from 20 batches' worth of samples.

    Not every sample keeps to beta given those before it.
    """
    n_pool = 20 * BATCH
    law: Array = stats.hypergeom.pmf(range(BATCH + 1), n_pool, round(beta * n_pool), BATCH)
    return law


def alike(beta: float, correlation: float, batch: int) -> Array:
    """Each batch has a silence probability of its own, in the mean beta."""
    if correlation == 1:
        return np.array([1 - beta, *[0.0] * (batch - 1), beta])
    a, b = (p * (1 / correlation - 1) for p in (beta, 1 - beta))
    law: Array = stats.betabinom.pmf(range(batch + 1), batch, a, b)
    return law


def largest_mean_factor(law: Array, beta: float) -> float:
    """The left side of condition B, at its largest."""
    theta = np.linspace(beta, 1, 200)[1:, np.newaxis]
    k = np.arange(law.size)
    factors = (theta / beta) ** k * ((1 - theta) / (1 - beta)) ** k[::-1]
    return float((factors @ law).max())


@pytest.mark.parametrize("beta", BETAS)
@pytest.mark.parametrize("law", [independent, below_beta_by_turns, sticky, balanced])
def test_the_promise_holds_where_batches_meet_condition_b(
    law: Callable[[float], Array], beta: float
) -> None:
    assert largest_mean_factor(law(beta), beta) <= 1 + 1e-9
    probability = stops(law(beta), sequential(beta), looks(BATCH)).sum()
    assert 0 < probability <= DELTA * FIRST_EPOCH


@pytest.mark.parametrize(
    ("batch", "correlation", "parts"),
    [
        (4, 0.1, (1.65, 1.7, 2.4)),
        (16, 0.01, (0.45, 0.44, 0.63)),
        (16, 0.03, (3.3, 3.1, 3.7)),
        (16, 0.1, (48, 49, 55)),
        (16, 0.3, (280, 303, 350)),
        (16, 1.0, (650, 704, 770)),
        (64, 0.003, (0.27, 0.34, 0.42)),
        (64, 0.01, (3.6, 4.0, 4.4)),
    ],
)
def test_batches_that_are_silent_together_break_the_promise(
    batch: int, correlation: float, parts: Sequence[float]
) -> None:
    # parts: probability of a stop / delta, for each of BETAS; above 1 the promise is broken.
    for beta, part in zip(BETAS, parts, strict=True):
        law = alike(beta, correlation, batch)
        assert law @ np.arange(batch + 1) == pytest.approx(batch * beta)
        assert largest_mean_factor(law, beta) > 1
        probability = stops(law, sequential(beta), looks(batch)).sum()
        assert probability / DELTA == pytest.approx(part, rel=0.03)
