"""The window that slides: what it holds, what it promises, and how soon it finds a dead layer.

A layer that dies after 5,000 active samples is found (delta = 1e-3, looked at after every sample)
after these numbers of silent ones; with a window it depends on the place in its half at which the
layer dies, and the largest number is given:

    window        none   32    64    128   256   512
    beta = .05    350    14    19    26    38    58
    beta = .1     682    18    26    37    57    93
    beta = .3     2414   28    43    71    121   214
"""

import json
import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from optuna_snn.spikes.activity import LayerActivity
from optuna_snn.spikes.layer_report import LayerReport
from optuna_snn.spikes.limits import Limits
from optuna_snn.spikes.rules import SilenceRule
from optuna_snn.spikes.tally import Tally
from optuna_snn.spikes.window import Window
from tests.helpers import repeatable
from tests.spikes.stopping import fewest_silent, worst_stop_probability

DELTA = 1e-3

epochs = st.lists(st.lists(st.integers(0, 3), max_size=40), min_size=1, max_size=4)
sizes = st.sampled_from([2, 4, 6, 16])
warmups = st.sampled_from([0, 1, 7, 30])


def sequential(beta: float, delta: float = DELTA, min_samples: int = 16) -> SilenceRule:
    return SilenceRule("sequential", beta, delta, min_samples)


def share_of_half(h: int) -> float:
    return 6 / (math.pi * h) ** 2


def looks_of_half(size: int, h: int) -> range:
    """The numbers of samples that the window of half h has while it is judged."""
    return range(1, size // 2 + 1) if h == 1 else range(size // 2 + 1, size + 1)


def layer_of(window: int | None, beta: float = 0.1, min_samples: int = 16) -> LayerReport:
    limits = Limits(1, beta, "sequential", DELTA, min_samples, layers=["output"], window=window)
    return limits.first_report("output", 1)


def held(epochs: list[list[int]], size: int, warmup: int) -> tuple[int, list[int], list[int]]:
    """h, the samples of the window and those of its newest half, by lists of halves."""
    halves: list[tuple[int, list[int]]] = []
    n = 0
    for epoch, counts in enumerate(epochs, start=1):
        for count in counts:
            n += 1
            if n <= warmup:
                continue
            if not halves or halves[-1][0] != epoch or len(halves[-1][1]) == size // 2:
                halves.append((epoch, []))
            halves[-1][1].append(count)
    if not halves:
        return 1, [], []
    epoch, newest = halves[-1]
    before = halves[-2][1] if len(halves) > 1 and halves[-2][0] == epoch else []
    return len(halves), before + newest, newest


def tally_of(counts: list[int], alpha: int, max_spikes: int | None) -> Tally:
    return Tally().after(np.array(counts, dtype=float), alpha, max_spikes)


def activity_of(
    epochs: list[list[int]], cuts: list[int], size: int | None, warmup: int
) -> LayerActivity:
    """An activity that saw the samples in batches of `cuts`, again and again; alpha 2, most 2."""
    activity, sizes = LayerActivity(2, 2, Window(size)), iter(cuts * 200)
    for epoch, counts in enumerate(epochs, start=1):
        values = np.array(counts, dtype=float)
        while values.size:
            n = next(sizes)
            activity = activity.after(values[:n], epoch=epoch, warmup=warmup)
            values = values[n:]
    return activity


@repeatable
@given(epochs, st.lists(st.integers(1, 50), min_size=1, max_size=5), sizes, warmups)
def test_the_window_holds_the_half_before_and_the_newest_however_samples_are_batched(
    epochs: list[list[int]], cuts: list[int], size: int, warmup: int
) -> None:
    activity, one_by_one = (activity_of(epochs, c, size, warmup) for c in (cuts, [1]))
    assert replace(activity, trace=one_by_one.trace) == one_by_one  # that tells batches apart
    number, window, newest = held(epochs, size, warmup)
    assert activity.window.number == number
    assert activity.judged == tally_of(window, 2, 2)
    assert activity.window.newest == tally_of(newest, 2, 2)
    assert size // 2 <= len(window) <= size or len(window) == len(newest)


@repeatable
@given(epochs, st.integers(1, 50), st.none() | sizes, warmups)
def test_the_json_form_returns_the_same_window(
    epochs: list[list[int]], cut: int, size: int | None, warmup: int
) -> None:
    activity = activity_of(epochs, [cut], size, warmup)
    assert LayerActivity.from_json(json.loads(json.dumps(activity.to_json()))) == activity


@pytest.mark.parametrize("size", [16, 24])
@pytest.mark.parametrize("warmup", [0, 7])
def test_the_rule_is_asked_about_the_window_by_its_number(size: int, warmup: int) -> None:
    rng, rule = np.random.default_rng(size), sequential(0.3, min_samples=1)
    layer = layer_of(size, 0.3, min_samples=1)
    epochs: list[list[int]] = []
    answers = set()
    for epoch, silence in enumerate((0.6, 0.9, 0.7, 0.8), start=1):
        epochs.append([])
        for count in 9 * (rng.random(75) >= silence):
            epochs[-1].append(int(count))
            layer = layer.after(np.array([float(count)]), epoch=epoch, warmup=warmup)
            number, window, _ = held(epochs, size, warmup)
            expected = rule.is_silent(len(window), window.count(0), number)
            answers.add((expected, rule.is_silent(len(window), window.count(0), epoch)))
            assert layer.is_silent == expected
    # Both answers were seen, and the epoch's number would have given others.
    assert {(True, True), (False, False), (False, True)} <= answers


def test_without_a_size_the_window_is_the_epoch() -> None:
    activity = activity_of([[0] * 300, [3] * 200, [0] * 5], [7], None, warmup=0)
    assert (activity.window.number, activity.epoch) == (3, 3)
    assert (activity.judged.n_samples, activity.window.newest.n_samples) == (5, 0)


def test_an_epoch_without_a_judged_sample_uses_up_no_half() -> None:
    window = Window(4).after(np.zeros(0), epoch=5, alpha=1)
    assert window == Window(4)
    assert window.after(np.zeros(1), epoch=7, alpha=1).number == 1
    full = window.after(np.zeros(2), epoch=1, alpha=1)
    assert full.after(np.zeros(1), epoch=2, alpha=1).number == 2


@pytest.mark.parametrize("size", [32, 64, 256])
@pytest.mark.parametrize("beta", [0.05, 0.1, 0.3])
def test_the_windows_of_a_trial_together_spend_at_most_delta(beta: float, size: int) -> None:
    # Each window by itself against the worst stream that keeps to beta; together by their sum.
    rule, spent = sequential(beta), 0.0
    for h in [*range(1, 31), 100, 1000]:
        worst = worst_stop_probability(rule, looks_of_half(size, h), h)
        first_of_epoch = worst_stop_probability(rule, looks_of_half(size, 1), h)
        assert max(worst, first_of_epoch) <= DELTA * share_of_half(h)
        spent += max(worst, first_of_epoch)
    assert 0 < spent <= DELTA


def test_simulated_streams_of_many_windows_are_stopped_with_less_than_delta() -> None:
    # A delta of .5 gives the test power: some 7 % are stopped, and at 1.5 beta nearly all.
    size, n_halves, rule, rng = 64, 100, sequential(0.3, delta=0.5), np.random.default_rng(0)
    edges = [
        np.array(fewest_silent(rule, looks_of_half(size, h), h)) for h in range(1, n_halves + 1)
    ]

    def share_stopped(silence: float) -> float:
        silent = rng.random((1500, n_halves, size // 2)) < silence
        so_far = silent.cumsum(axis=2)
        so_far[:, 1:] += silent[:, :-1].sum(axis=2)[:, :, np.newaxis]
        return float((so_far >= edges).any(axis=(1, 2)).mean())

    assert 0.05 * 0.5 < share_stopped(0.3) < 0.5
    assert share_stopped(0.45) > 0.95


def silent_samples_until_stopped(window: int | None, n_active: int, beta: float = 0.1) -> int:
    layer = layer_of(window, beta).after(np.full(32 + n_active, 9.0), epoch=1, warmup=32)
    n = 0
    while not layer.is_silent:
        layer, n = layer.after(np.zeros(1), epoch=1, warmup=32), n + 1
    return n


@pytest.mark.parametrize(
    ("window", "n_silent"),
    [(32, (14, 18, 28)), (64, (19, 26, 43)), (128, (26, 37, 71)), (512, (58, 93, 214))],
)
def test_a_network_that_dies_after_5000_samples_is_found_within_the_window(
    window: int, n_silent: tuple[int, int, int]
) -> None:
    for beta, most in zip((0.05, 0.1, 0.3), n_silent, strict=True):
        places = range(0, window // 2, window // 32)
        found = [silent_samples_until_stopped(window, 5000 + p, beta) for p in places]
        assert max(found) == most <= window


@pytest.mark.parametrize(("beta", "n_silent"), [(0.05, 350), (0.1, 682), (0.3, 2414)])
def test_without_a_window_it_is_found_far_later(beta: float, n_silent: int) -> None:
    assert silent_samples_until_stopped(None, 5000, beta) == n_silent


@pytest.mark.parametrize(
    ("beta", "n_silent"), [(0.05, (24, 26, 29)), (0.1, (34, 37, 41)), (0.3, (66, 71, 75))]
)
def test_how_soon_depends_on_the_length_of_the_past_through_its_logarithm_alone(
    beta: float, n_silent: tuple[int, int, int]
) -> None:
    for n_active, most in zip((500, 5000, 50_000), n_silent, strict=True):
        places = range(0, 64, 4)
        found = [silent_samples_until_stopped(128, n_active + p, beta) for p in places]
        assert max(found) == most


def test_the_price_is_that_later_windows_ask_for_more_silent_samples() -> None:
    rule = sequential(0.1)
    fewest = [fewest_silent(rule, range(256, 257), h)[0] for h in (1, 10, 100, 1000)]
    assert fewest == [50, 56, 60, 65]  # of 256


@pytest.mark.parametrize(
    ("window", "rule", "complaint"),
    [
        (30, "sequential", "at least twice min_samples = 16, got 30"),
        (33, "sequential", "even and at least twice min_samples = 16, got 33"),
        (0, "sequential", "window must be an integer >= 1, got 0"),
        (64.0, "sequential", "window must be an integer >= 1, got 64.0"),
        (64, "paper", "window=64 needs rule='sequential', got rule='paper'.*Pass window=None"),
        (64, "record", "got rule='record'"),
    ],
)
def test_a_window_that_cannot_slide_is_refused(window: int, rule: str, complaint: str) -> None:
    with pytest.raises(ValueError, match=complaint):
        Limits(1, 0.1, rule, DELTA, 16, epoch_size=100, window=window)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "change",
    [
        {"window": 64},
        {"window": {"size": 3, "number": 1, "newest": [0, 2, 1]}},
        {"window": {"size": 4, "number": 0, "newest": [0, 2, 1]}},
        {"window": {"size": 4, "number": 2, "newest": [0, 2, 3]}},
        {"window": {"size": 4, "number": 2, "newest": [0, 3, 1]}},
        {"window": {"size": 8, "number": 2, "newest": [0, 2, 1]}},
        {"window": {"size": 4, "number": 2}},
    ],
)
def test_a_damaged_json_form_is_refused(change: dict[str, object]) -> None:
    stored = LayerActivity(2, None, Window(4)).after(np.full(3, 2.0), epoch=1, warmup=0).to_json()
    assert stored["window"] == {"size": 4, "number": 2, "newest": [0, 2, 1]}
    with pytest.raises(ValueError, match=r"window|tally"):
        LayerActivity.from_json(stored | change)
