import itertools
import math

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from scipy import integrate

from optuna_snn.spikes.rules import (
    RULE_NAMES,
    RuleName,
    SilenceRule,
    checked_rule,
    declining_share,
    log_e_value,
)

repeatable = settings(derandomize=True, deadline=None, database=None)
BETAS = (1e-3, 0.05, 0.1, 0.3, 0.5, 0.9)


def sequential(beta: float = 0.05, delta: float = 1e-3, min_samples: int = 1) -> SilenceRule:
    return SilenceRule("sequential", beta, delta, min_samples)


def integrated_log_e(n: int, k: int, beta: float) -> float:
    """Integrate the mixture numerically, scaled by its largest likelihood ratio."""

    def log_ratio(theta: float) -> float:
        silent = k * math.log(theta / beta) if k else 0.0
        firing = (n - k) * (math.log1p(-theta) - math.log1p(-beta)) if n > k else 0.0
        return silent + firing

    peak = min(max(k / n, beta), 1 - 1e-15)
    steps = np.geomspace(1e-3 / n, 1, 40)  # breakpoints close to the peak and far from it
    near = [x for x in (*(peak - steps), *(peak + steps)) if beta < x < 1 - 1e-15]
    pieces = [
        integrate.quad(lambda t: math.exp(log_ratio(t) - log_ratio(peak)), a, b)[0]
        for a, b in itertools.pairwise(sorted({beta, peak, 1 - 1e-15, *near}))
    ]
    return log_ratio(peak) + math.log(sum(pieces)) - math.log1p(-beta)


@pytest.mark.parametrize("beta", BETAS)
@pytest.mark.parametrize("n", [1, 2, 7, 50, 1000, 30_000])
def test_the_e_value_is_the_integral_of_likelihood_ratios(n: int, beta: float) -> None:
    shares = (0, 0.2 * beta, 0.9 * beta, beta, 1.1 * beta, (1 + beta) / 2, 1)
    for k in {round(share * n) for share in shares}:
        expected = integrated_log_e(n, k, beta)
        assert float(log_e_value(n, k, beta)) == pytest.approx(expected, rel=1e-8, abs=1e-7)


@pytest.mark.parametrize("beta", BETAS)
@pytest.mark.parametrize("n", [1, 30, 999, 10**6])
def test_the_e_value_has_its_closed_forms_at_both_ends(n: int, beta: float) -> None:
    # Worked by hand: k = 0 gives 1/(n+1); k = n gives (1 - beta^(n+1)) / ((1-beta)(n+1) beta^n).
    assert float(log_e_value(n, 0, beta)) == pytest.approx(-math.log(n + 1), rel=1e-8)
    all_silent = (
        math.log1p(-(beta ** (n + 1))) - n * math.log(beta) - math.log((1 - beta) * (n + 1))
    )
    assert float(log_e_value(n, n, beta)) == pytest.approx(all_silent, rel=1e-10)


@repeatable
@given(st.integers(0, 3000), st.floats(0, 1), st.sampled_from(BETAS))
def test_one_more_sample_leaves_the_e_value_unchanged_in_the_mean(
    n: int, share: float, beta: float
) -> None:
    # The martingale property itself: beta e(n+1, k+1) + (1 - beta) e(n+1, k) = e(n, k).
    k = round(share * n)
    after = np.logaddexp(
        math.log(beta) + log_e_value(n + 1, k + 1, beta),
        math.log1p(-beta) + log_e_value(n + 1, k, beta),
    )
    assert float(after) == pytest.approx(float(log_e_value(n, k, beta)), rel=1e-9, abs=1e-8)


@pytest.mark.parametrize("beta", BETAS)
@pytest.mark.parametrize("n", [100, 4000, 10**6])
def test_the_e_value_rises_with_the_silent_samples_and_stays_finite(n: int, beta: float) -> None:
    k = np.unique(np.linspace(0, n, 500).round())
    log_e = log_e_value(n, k, beta)
    assert np.isfinite(log_e).all()
    assert (np.diff(log_e) > 0).all()


def first_stops(rule: SilenceRule, n_max: int) -> list[int]:
    """Return for n = 0..n_max the fewest silent samples that stop (n + 1: none does)."""
    stops = [1]
    for n in range(1, n_max + 1):
        k = min(stops[-1], n + 1)  # the fewest never falls as n grows
        while k <= n and not rule.is_silent(n, k, epoch=1):
            k += 1
        stops.append(k)
    return stops


def stop_probability(p: float, stops: list[int]) -> float:
    """Return the exact probability of ever stopping, samples silent independently with p."""
    running = np.ones(1)  # running[k]: not stopped yet, k silent samples
    stopped = 0.0
    for first in stops[1:]:
        running = np.append(running * (1 - p), 0) + np.append(0, running * p)
        stopped += running[first:].sum()
        running[first:] = 0
    return stopped


@pytest.mark.parametrize("delta", [1e-3, 0.05])
@pytest.mark.parametrize("beta", [0.05, 0.1, 0.3])
def test_a_layer_at_beta_is_stopped_with_probability_at_most_delta(
    beta: float, delta: float
) -> None:
    stops = first_stops(sequential(beta, delta), n_max=2000)
    allowed = delta * declining_share(1)
    assert stop_probability(beta, stops) <= allowed
    assert stop_probability(beta, stops) > allowed / 10  # not by never stopping
    assert stop_probability(0.8 * beta, stops) < stop_probability(beta, stops)


def test_no_schedule_of_probabilities_up_to_beta_stops_more_often_than_delta() -> None:
    # Backward induction over every adversary that may pick each sample's probability in
    # [0, beta] knowing all samples before: the gain is linear in it, so 0 or beta is best.
    beta, delta, n_max = 0.1, 0.05, 400
    stops = first_stops(sequential(beta, delta), n_max)
    value = np.arange(n_max + 1) >= stops[n_max]
    for n in range(n_max - 1, -1, -1):
        silent, firing = value[1 : n + 2].astype(float), value[: n + 1].astype(float)
        value = np.maximum(firing, beta * silent + (1 - beta) * firing)
        value[np.arange(n + 1) >= stops[n]] = 1.0
    assert 0 < value[0] <= delta * declining_share(1)


def test_the_shares_of_epochs_sum_to_one() -> None:
    shares = [declining_share(i) for i in range(1, 100_001)]
    # The rest of the sum lies between 6/pi^2 times 1/100001 and 1/100000.
    assert 1 - 6.1e-6 < sum(shares) < 1 - 6.0e-6


def samples_to_find_dead(rule: SilenceRule, epoch: int) -> int:
    return next(n for n in range(1, 1000) if rule.is_silent(n, n, epoch))


@pytest.mark.parametrize("n_layers", [1, 2, 10])
@pytest.mark.parametrize("epoch", [1, 2, 100])
def test_a_dead_layer_is_found_within_sixteen_samples(n_layers: int, epoch: int) -> None:
    rule = SilenceRule("sequential", 0.05, 1e-3, min_samples=16, delta_share=1 / n_layers)
    assert samples_to_find_dead(rule, epoch) == 16


def test_without_a_minimum_few_samples_find_a_dead_layer() -> None:
    # e(n, n) at beta = .05: 139 for n = 2, 2105 for n = 3; the bound is pi^2/6 / 1e-3 = 1645.
    assert samples_to_find_dead(sequential(0.05), epoch=1) == 3
    assert samples_to_find_dead(sequential(0.05), epoch=100) == 7
    assert samples_to_find_dead(sequential(0.1), epoch=1) == 4
    assert samples_to_find_dead(sequential(0.3), epoch=1) == 8


def test_the_minimum_of_samples_is_kept() -> None:
    rule = sequential(min_samples=20)
    assert [rule.is_silent(n, n, epoch=1) for n in (3, 19, 20)] == [False, False, True]


@repeatable
@given(
    st.sampled_from(RULE_NAMES),
    st.integers(1, 500),
    st.floats(0, 1),
    st.floats(1e-6, 0.999) | st.sampled_from(BETAS),
    st.integers(1, 500),
    st.floats(1e-6, 1 - 1e-6),
)
@example("paper", 30, 0.1, 0.1, 30, 0.5)
@example("paper", 7, 3 / 7, 3 / 7, 7, 0.5)
@example("paper", 400, 0.3, 0.3, 10, 0.5)
def test_a_stop_always_means_a_violated_constraint(
    name: RuleName, n: int, share: float, beta: float, epoch_size: int, delta: float
) -> None:
    rule = SilenceRule(name, beta, delta, 1, epoch_size)
    k = round(share * n)
    if rule.is_silent(n, k, epoch=1):
        assert rule.excess(n, k) > 0


@repeatable
@given(st.integers(1, 400), st.floats(0, 1), st.integers(0, 99), st.integers(400, 900))
def test_the_papers_rule_stops_above_beta_times_the_epoch(
    n: int, share: float, beta_percent: int, epoch_size: int
) -> None:
    rule = SilenceRule("paper", beta_percent / 100, 1e-3, 16, epoch_size)
    k = round(share * n)
    assert rule.is_silent(n, k, epoch=1) == (100 * k > beta_percent * epoch_size)


def test_the_papers_rule_counts_an_overlong_epoch_by_its_samples() -> None:
    rule = SilenceRule("paper", 0.1, 1e-3, 16, epoch_size=100)
    assert not rule.is_silent(200, 20, epoch=1)
    assert rule.is_silent(200, 21, epoch=1)


def test_record_stops_nothing() -> None:
    rule = SilenceRule("record", 0.0, 1e-3, 1)
    assert not rule.is_silent(10**6, 10**6, epoch=1)
    assert rule.excess(10, 5) == 0.5


def test_an_empty_window_is_not_silent() -> None:
    assert not sequential().is_silent(0, 0, epoch=1)


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        ({"name": "sequental"}, "paper, sequential, record; got 'sequental'"),
        ({"name": None}, "paper, sequential, record"),
        ({"beta": -0.1}, "beta=-0.1"),
        ({"beta": 1.0}, "beta=1.0"),
        ({"beta": math.nan}, "beta=nan"),
        ({"beta": "0.1"}, "beta must be a number, got '0.1'"),
        ({"beta": 0}, "beta > 0.*'paper'"),
        ({"delta": 0}, "delta=0"),
        ({"delta": 1}, "delta=1"),
        ({"delta": None}, "delta must be a number"),
        ({"delta_share": 0}, "delta_share=0"),
        ({"min_samples": 0}, "min_samples must be an integer >= 1, got 0"),
        ({"min_samples": 2.5}, "min_samples must be an integer >= 1, got 2.5"),
        ({"epoch_size": 0}, "epoch_size must be an integer >= 1, got 0"),
        ({"name": "paper"}, "pass epoch_size"),
    ],
)
def test_options_out_of_range_are_refused(change: dict[str, object], complaint: str) -> None:
    valid = {"name": "sequential", "beta": 0.1, "delta": 1e-3, "min_samples": 16}
    with pytest.raises(ValueError, match=complaint):
        checked_rule(**(valid | change))  # type: ignore[arg-type]


def test_numbers_of_numpy_are_taken_as_plain_ones() -> None:
    rule = checked_rule("paper", np.float32(0.5), np.float64(0.01), np.int64(3), np.int32(9))
    assert rule == SilenceRule("paper", 0.5, 0.01, 3, 9)
    assert type(rule.beta) is float and type(rule.epoch_size) is int
