"""How soon the sequential rule finds a layer whose silent share p is above beta.

Laplace's method at n samples with a silent share q gives, with KL(q) = q ln(q/beta) +
(1 - q) ln((1 - q)/(1 - beta)),

    log e = n KL(q) - ln(n (1 - beta)^2 / (2 pi q (1 - q))) / 2 + smaller terms

and n KL(q) is n KL(p) + 1/2 in the mean. So the rule, which asks for log e >= ln(1/d), is expected
to stop at the n that solves

    n = (ln(1/d) + ln(n (1 - beta)^2 / (2 pi p (1 - p))) / 2 - 1/2) / KL(p)           (expected n)

ln(1/d) / KL(p) is what p known in advance would cost, the second logarithm the price of not
knowing it. Beside it stands chance: one sample adds r = ln(p (1 - beta) / (beta (1 - p))) more to
log e if it is silent, so log e strays by sd = r sqrt(n p (1 - p)), and n by about sd / KL(p).

With d = 6/pi^2 * 1e-3 (one layer, delta = 1e-3, first epoch), looked at after every sample, from
the sums over all walks below:

    beta   p            ln(1/d)/KL   expected n   mean      median   95 %     99 %
    .05    .1  = 2 b    359          496          500       470      976      1238
    .05    .06 = 1.2 b  7464         12172        12104     11548    21844    26985
    .1     .2  = 2 b    167          213          216       201      428      543
    .1     .12 = 1.2 b  3522         5375         5337      5076     9802     12174
    .3     .6  = 2 b    39           43           45        42       86       108
    .3     .36 = 1.2 b  894          1196         1187      1122     2246     2816

In an epoch of 1000 samples a share of 1.2 beta is thus found in 0.3, 1.5 and 41 % of the networks:
an epoch's evidence is not carried into the next. In looks after batches of 16 the share of 1.2
beta is found some 0.6 % to 4 % later in the mean, that of 2 beta by 11 to 24 samples.
"""

import math

import numpy as np
import pytest
from scipy import stats

from optuna_snn.spikes.limits import Limits
from optuna_snn.spikes.report import SpikeReport
from optuna_snn.spikes.rules import SilenceRule
from tests.spikes.stopping import stops

WARMUP = 32
"""As the demo has it; the figures below are of what comes after it."""


def samples_seen_at_stop(
    n_layers: int | None,
    batch: int,
    beta: float = 0.05,
    n_epochs_before: int = 0,
    n_firing: int = 0,
) -> int:
    """Samples after which a network with a dead layer, its last, is stopped.

    n_layers: declared; None: the layer is the fifth to appear
    n_epochs_before: epochs of 64 samples in which the layer still fired
    n_firing: samples of the last epoch in which it still fired
    """
    names = [f"layer{i}" for i in range(n_layers or 5)]
    limits = Limits(1, beta, "sequential", 1e-3, 16, layers=names if n_layers else None)
    layers = {name: limits.first_report(name, i) for i, name in enumerate(names, start=1)}
    for epoch in range(1, n_epochs_before + 2):
        n_alive = 64 if epoch <= n_epochs_before else n_firing
        fired = np.full(n_alive, 9.0)
        layers = {
            name: layer.after(fired, epoch=epoch, warmup=WARMUP) for name, layer in layers.items()
        }
    while not SpikeReport("sequential", WARMUP, layers=layers).is_silent:
        layers = {
            name: layer.after(
                np.full(batch, 0.0 if name == names[-1] else 9.0), epoch=epoch, warmup=WARMUP
            )
            for name, layer in layers.items()
        }
    report = SpikeReport("sequential", WARMUP, layers=layers)
    assert report.stopped_layers == (names[-1],)
    return report.samples_seen


@pytest.mark.parametrize("n_layers", [1, 2, 20, None])
@pytest.mark.parametrize("beta", [0.01, 0.05, 0.1, 0.3])
def test_a_dead_layer_is_stopped_sixteen_samples_after_the_warm_up(
    n_layers: int | None, beta: float
) -> None:
    assert samples_seen_at_stop(n_layers, 1, beta) == WARMUP + 16
    assert samples_seen_at_stop(n_layers, 16, beta) == WARMUP + 16
    assert samples_seen_at_stop(n_layers, 20, beta) == 60  # the first look with 16 judged


@pytest.mark.parametrize("n_epochs_before", [1, 9, 99])
def test_a_layer_that_is_dead_in_a_later_epoch_is_stopped_after_its_first_sixteen_samples(
    n_epochs_before: int,
) -> None:
    assert samples_seen_at_stop(3, 1, 0.05, n_epochs_before) == n_epochs_before * 64 + 16


@pytest.mark.parametrize(("n_firing", "n_silent"), [(100, 20), (1000, 92), (10_000, 649)])
def test_a_layer_that_dies_in_the_middle_of_an_epoch_is_found_later(
    n_firing: int, n_silent: int
) -> None:
    # The window is the epoch: the share has to rise above beta = .05 first, n_firing / 19.
    assert samples_seen_at_stop(1, 1, 0.05, 0, WARMUP + n_firing) - WARMUP - n_firing == n_silent


def kl(p: float, beta: float) -> float:
    return p * math.log(p / beta) + (1 - p) * math.log((1 - p) / (1 - beta))


def expected_n(p: float, beta: float, d: float) -> float:
    n = 1.0
    for _ in range(50):  # converges: near the solution the right side's slope is 1 / (2 n KL)
        spread = math.log(max(1.0, n * (1 - beta) ** 2 / (2 * math.pi * p * (1 - p))))
        n = (math.log(1 / d) + spread / 2 - 0.5) / kl(p, beta)
    return n


@pytest.mark.parametrize(
    ("beta", "p", "leading", "expected", "mean", "quantiles"),
    [
        (0.05, 0.10, 359, 496, 500.4, (470, 976, 1238)),
        (0.05, 0.06, 7464, 12172, 12103.9, (11548, 21844, 26985)),
        (0.10, 0.20, 167, 213, 216.2, (201, 428, 543)),
        (0.10, 0.12, 3522, 5375, 5337.3, (5076, 9802, 12174)),
        (0.30, 0.60, 39, 43, 45.1, (42, 86, 108)),
        (0.30, 0.36, 894, 1196, 1186.5, (1122, 2246, 2816)),
    ],
)
def test_shares_of_two_beta_and_of_a_fifth_above_beta_are_found_as_derived(
    beta: float,
    p: float,
    leading: int,
    expected: int,
    mean: float,
    quantiles: tuple[int, int, int],
) -> None:
    d = 1e-3 * 6 / math.pi**2
    assert math.log(1 / d) / kl(p, beta) == pytest.approx(leading, abs=0.5)
    assert expected_n(p, beta, d) == pytest.approx(expected, abs=0.5)
    looks = range(1, 60_001)
    rule = SilenceRule("sequential", beta, 1e-3, min_samples=16)
    stopped = stops(np.array([1 - p, p]), rule, looks, enough=1 - 1e-7)
    assert stopped @ looks == pytest.approx(mean, rel=1e-3)
    assert mean == pytest.approx(expected, rel=0.05)
    found = np.searchsorted(np.cumsum(stopped), [0.5, 0.95, 0.99]) + 1
    assert tuple(found) == quantiles


@pytest.mark.parametrize(
    ("beta", "p", "mean", "quantiles"),
    [
        (0.05, 0.10, 524.8, (496, 1008, 1264)),
        (0.05, 0.06, 12198.0, (11648, 21920, 27072)),
        (0.10, 0.20, 235.3, (224, 448, 560)),
        (0.10, 0.12, 5409.5, (5136, 9872, 12224)),
        (0.30, 0.60, 56.3, (48, 96, 128)),
        (0.30, 0.36, 1228.1, (1152, 2288, 2848)),
    ],
)
def test_looks_after_batches_of_sixteen_find_them_little_later(
    beta: float, p: float, mean: float, quantiles: tuple[int, int, int]
) -> None:
    looks = range(16, 60_001, 16)
    rule = SilenceRule("sequential", beta, 1e-3, min_samples=16)
    stopped = stops(stats.binom.pmf(range(17), 16, p), rule, looks, enough=1 - 1e-7)
    assert stopped @ looks == pytest.approx(mean, rel=1e-3)
    found = 16 * (np.searchsorted(np.cumsum(stopped), [0.5, 0.95, 0.99]) + 1)
    assert tuple(found) == quantiles
