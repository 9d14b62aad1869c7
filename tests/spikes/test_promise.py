"""What the sequential rule promises, over 60,000 samples, and where the promise ends.

Covered: every sample is silent with probability at most beta given all samples before it. Whatever
the dependence of such a stream, the exact worst one bounds it, and that one is independent samples
at beta: of a delta of 1e-3 it spends .14 at beta = .05, .20 at .1 and .34 at .3 in the first
epoch, looked at after every sample; .08, .09 and .17 after batches of 16. The epoch may spend .61.

Not covered:
    1. Batches whose samples are silent together: see `test_promise_batches`.
    2. A network that is silent first and wakes up after the warm-up, or whose silent samples come
       together for another reason (classes in order): the share over the epoch does not count.
    3. A shuffled epoch with a share of just beta: few silent samples so far make later ones more
       probable. In the cases computed here it is stopped less often than the worst stream.
"""

import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy import stats

from optuna_snn.spikes.layer_report import LayerReport
from optuna_snn.spikes.limits import Limits
from optuna_snn.spikes.report import SpikeReport
from optuna_snn.spikes.rules import SilenceRule
from tests.helpers import repeatable
from tests.spikes.stopping import (
    Array,
    fewest_silent,
    shuffled_stop_probability,
    stops,
    worst_stop_probability,
)

Counts = NDArray[np.int64]

N = 60_000
BATCH = 16
EVERY_SAMPLE = range(1, N + 1)
EVERY_BATCH = range(BATCH, N + 1, BATCH)
BETAS = (0.05, 0.1, 0.3)
DELTA = 1e-3


def sequential(beta: float, delta: float = DELTA) -> SilenceRule:
    return SilenceRule("sequential", beta, delta, min_samples=16)


def share_of_epoch(epoch: int) -> float:
    return 6 / (math.pi * epoch) ** 2


def independent(beta: float) -> Array:
    law: Array = stats.binom.pmf(range(BATCH + 1), BATCH, beta)
    return law


@pytest.mark.parametrize(("beta", "part"), [(0.05, 0.1382), (0.1, 0.1961), (0.3, 0.3416)])
def test_the_worst_stream_is_stopped_with_less_than_delta(beta: float, part: float) -> None:
    # What is left over of .61 is lost where a sample takes e not to its bound but beyond.
    worst = worst_stop_probability(sequential(beta), EVERY_SAMPLE)
    assert worst <= DELTA * share_of_epoch(1)
    assert worst == pytest.approx(part * DELTA, rel=1e-3)


@pytest.mark.parametrize(("beta", "part"), [(0.05, 0.0781), (0.1, 0.0902), (0.3, 0.1698)])
def test_looks_after_batches_stop_no_more_and_independent_samples_are_the_worst(
    beta: float, part: float
) -> None:
    rule = sequential(beta)
    worst = worst_stop_probability(rule, EVERY_BATCH)
    assert worst == pytest.approx(part * DELTA, rel=2e-3)
    assert worst < worst_stop_probability(rule, range(1, 2001))
    # Forward and backward over the same walks, and no adversary gains by staying below beta.
    assert stops(independent(beta), rule, EVERY_BATCH).sum() == pytest.approx(worst, rel=1e-9)


def test_a_network_that_wakes_up_after_the_warm_up_is_stopped_all_the_same() -> None:
    report = Limits(1, 0.05, "sequential", DELTA, 16).first_report("output", 1)
    late = np.repeat([0.0, 7.0], [32 + 16, N - 48])  # a share of .0003, all of it at first
    assert report.after(late[:48], epoch=1, warmup=32).is_silent
    assert not report.after(late, epoch=1, warmup=32).is_silent  # nobody trains on to see this
    assert not report.after(late[:96], epoch=1, warmup=48).is_silent


@pytest.mark.parametrize(
    ("beta", "n", "part"), [(0.05, 10_000, 0.1042), (0.1, 1000, 0.0757), (0.3, 1000, 0.1496)]
)
def test_a_shuffled_epoch_with_a_share_of_beta_is_stopped_less_often_than_a_random_one(
    beta: float, n: int, part: float
) -> None:
    looks = range(1, n + 1)
    probability = shuffled_stop_probability(sequential(beta), round(beta * n), looks)
    assert probability == pytest.approx(part * DELTA, rel=2e-3)
    assert probability < worst_stop_probability(sequential(beta), looks)


@pytest.mark.parametrize("layers", [["a"], ["a", "b", "c"], None])
def test_layers_and_epochs_together_spend_at_most_delta(layers: list[str] | None) -> None:
    limits = Limits(1, 0.1, "sequential", DELTA, min_samples=16, layers=layers)
    spent = 0.0
    for position, name in enumerate(layers or ["a", "b", "c"], start=1):
        rule = limits.first_report(name, position).rule
        part = 1 / len(layers) if layers else share_of_epoch(position)  # the same series
        for epoch in (1, 2, 3, 10):
            worst = worst_stop_probability(rule, range(1, 1001), epoch)
            allowed = DELTA * part * share_of_epoch(epoch)
            assert 0.1 * allowed < worst <= allowed
            spent += worst
    assert spent <= DELTA


def highest_plausible(n_stopped: int, n_streams: int) -> float:
    """Upper limit of a probability, by Clopper and Pearson; wrong once in a thousand times."""
    limit: float = stats.beta.ppf(0.999, n_stopped + 1, n_streams - n_stopped)
    return limit


def ever_stopped(counts: Counts, rule: SilenceRule, epoch: int = 1) -> NDArray[np.bool_]:
    """Which streams the rule stops; counts: silent samples of a batch, (n_streams, n_batches)."""
    says_yes = np.cumsum(counts, axis=1) >= fewest_silent(rule, EVERY_BATCH, epoch)
    return np.asarray(says_yes.any(axis=1))


def test_simulated_exchangeable_streams_are_stopped_with_less_than_delta() -> None:
    # Each stream has a probability of its own, at most beta; a delta of .2 gives the test power:
    # some 2 % are stopped, and those at 1.1 beta nearly all (the last line).
    rule, rng = sequential(0.3, delta=0.2), np.random.default_rng(0)
    own = 0.3 * (1 - 0.1 * rng.beta(1, 4, size=(1000, 1)))
    counts = rng.binomial(BATCH, own, size=(1000, len(EVERY_BATCH)))
    n_stopped = int(ever_stopped(counts, rule).sum())
    assert n_stopped > 0.05 * 0.2 * 1000
    assert highest_plausible(n_stopped, 1000) <= 0.2 * share_of_epoch(1)
    assert ever_stopped(rng.binomial(BATCH, 0.33, size=(50, 3750)), rule).mean() > 0.9


def test_simulated_networks_of_three_layers_in_three_epochs_are_stopped_with_less_than_delta() -> (
    None
):
    # At most one layer is silent in a sample, so that the layers hardly ever stop together.
    limits = Limits(1, 0.3, "sequential", 0.2, min_samples=16, layers=["a", "b", "c"])
    rule, rng = limits.first_report("a", 1).rule, np.random.default_rng(1)
    is_stopped = np.zeros(500, dtype=bool)
    for epoch in (1, 2, 3):
        firing = np.full((500, len(EVERY_BATCH)), BATCH)
        for silence in (0.3, 0.3 / 0.7, 0.3 / 0.4):  # given that no layer before was silent
            counts = rng.binomial(firing, silence)
            firing -= counts
            is_stopped |= ever_stopped(counts, rule, epoch)
    assert is_stopped.mean() > 0.1 * 0.2
    assert highest_plausible(int(is_stopped.sum()), 500) <= 0.2


@repeatable
@given(st.integers(0, 2**32 - 1), st.sampled_from([1, 7, 16]), st.sampled_from([0.08, 0.2, 0.5]))
def test_reports_stop_where_these_tables_say(seed: int, batch: int, share: float) -> None:
    # The way of the monitor: layers appear, the warm-up is left out, each epoch is a new window.
    rng = np.random.default_rng(seed)
    limits, report = Limits(1, 0.1, "sequential", 0.05, 16), SpikeReport("sequential", 32)
    layers: dict[str, LayerReport] = {}
    for epoch, n_batches in ((1, 20), (2, 9)):
        k, n = np.zeros(2, dtype=int), -32 if epoch == 1 else 0
        for _ in range(n_batches):
            is_silent = rng.random((2, batch)) < share
            for j, name in enumerate(["a", "b"]):
                known = layers.get(name) or limits.first_report(name, j + 1)
                layers[name] = known.after(1.0 - is_silent[j], epoch=epoch, warmup=32)
            n_warm = max(0, min(batch, -n))
            n, k = n + batch, k + is_silent[:, n_warm:].sum(axis=1)
            if n <= 0:
                continue
            rules = [layer.rule for layer in layers.values()]
            edges = [fewest_silent(rule, range(1, 321), epoch)[n - 1] for rule in rules]
            expected = tuple(
                name for name, is_over in zip("ab", k >= edges, strict=True) if is_over
            )
            assert replace(report, layers=layers).stopped_layers == expected
