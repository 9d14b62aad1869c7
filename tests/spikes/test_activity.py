import json

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from optuna_snn.spikes.activity import LayerActivity, checked_alpha, checked_counts
from optuna_snn.spikes.tally import BIN_STARTS, N_BINS, Tally

repeatable = settings(derandomize=True, deadline=None, database=None)
some_counts = st.lists(
    st.integers(0, 40) | st.sampled_from(BIN_STARTS) | st.integers(0, 10**9), max_size=60
)
some_alphas = st.integers(1, 40) | st.sampled_from(BIN_STARTS[1:])


def tally_of(counts: list[int], alpha: int = 1) -> Tally:
    return Tally().after(np.array(counts, dtype=float), alpha)


@pytest.mark.parametrize("count", range(21))
def test_up_to_twenty_spikes_each_count_has_a_bin_of_its_own(count: int) -> None:
    assert tally_of([count]).histogram[count] == 1
    assert BIN_STARTS[count : count + 2] == (count, count + 1)


def test_above_twenty_the_bins_double_up_to_an_open_last_one() -> None:
    assert BIN_STARTS[21:26] == (21, 32, 64, 128, 256)
    assert tally_of([2**20, 10**12]).histogram[-1] == 2
    for i, start in enumerate(BIN_STARTS[1:], start=1):
        assert tally_of([start]).histogram[i] == 1
        assert tally_of([start - 1]).histogram[i - 1] == 1


@repeatable
@given(some_counts)
def test_the_histogram_agrees_with_numpys(counts: list[int]) -> None:
    expected, _ = np.histogram(counts, bins=[*BIN_STARTS, np.inf])
    assert tally_of(counts).histogram == tuple(expected)
    assert tally_of(counts).n_samples == len(counts)


@repeatable
@given(some_counts, some_alphas)
def test_silent_samples_are_those_with_fewer_than_alpha_spikes(
    counts: list[int], alpha: int
) -> None:
    n_silent = sum(count < alpha for count in counts)
    assert tally_of(counts, alpha).n_silent == n_silent
    answer = tally_of(counts, alpha=7).n_silent_under(alpha)  # the histogram knows no alpha
    assert answer == (n_silent if alpha in BIN_STARTS else None)


def test_beyond_the_last_bins_start_the_histogram_does_not_guess() -> None:
    assert tally_of([2**20]).n_silent_under(2**20) == 0
    assert tally_of([2**20]).n_silent_under(2**21) is None


@repeatable
@given(some_counts, some_counts, some_alphas, st.integers(0, 80))
def test_the_json_form_returns_the_same_activity(
    first: list[int], second: list[int], alpha: int, warmup: int
) -> None:
    activity = LayerActivity(alpha)
    for epoch, counts in enumerate((first, second), start=1):
        activity = activity.after(np.array(counts, dtype=float), epoch=epoch, warmup=warmup)
    assert LayerActivity.from_json(json.loads(json.dumps(activity.to_json()))) == activity


def test_the_json_form_of_a_long_run_is_short() -> None:
    counts = np.random.default_rng(0).poisson(300, size=60_000).astype(float)
    activity = LayerActivity(alpha=5).after(counts, epoch=1, warmup=32)
    assert len(json.dumps(activity.to_json())) < 1500


def valid_json() -> dict[str, object]:
    return LayerActivity(2).after(np.array([0.0, 1.0, 5.0]), epoch=1, warmup=1).to_json()


@pytest.mark.parametrize(
    ("key", "value", "complaint"),
    [
        ("alpha", 0, "alpha"),
        ("alpha", 1.5, "alpha"),
        ("alpha", True, "alpha"),
        ("epoch", 0, "epoch"),
        ("epoch", None, "epoch"),
        ("seen", None, "list"),
        ("seen", [1], "list"),
        ("seen", [0, 0, -1], "list"),
        ("seen", [0, 0, 1.0], "list"),
        ("seen", [0, N_BINS, 1], "bins"),
        ("judged", [3, 0, 1], "silent"),
        ("judged", [0, 0, 1], "alpha=2"),
        ("judged", [2, 0, 1, 1, 0, 0, 0, 0, 1], "judged"),
    ],
)
def test_a_damaged_json_form_is_refused(key: str, value: object, complaint: str) -> None:
    with pytest.raises(ValueError, match=complaint):
        LayerActivity.from_json(valid_json() | {key: value})


@repeatable
@given(st.lists(some_counts, max_size=6), some_alphas, st.integers(0, 100))
def test_the_size_of_batches_makes_no_difference(
    batches: list[list[int]], alpha: int, warmup: int
) -> None:
    activity = LayerActivity(alpha)
    for batch in batches:
        activity = activity.after(np.array(batch, dtype=float), epoch=1, warmup=warmup)
    stream = [count for batch in batches for count in batch]
    assert activity.seen == tally_of(stream, alpha)
    assert activity.judged == tally_of(stream[warmup:], alpha)


def test_a_later_epoch_starts_a_new_window_with_its_first_judged_sample() -> None:
    dead, alive = np.zeros(8), np.full(3, 9.0)
    first = LayerActivity(1).after(dead, epoch=1, warmup=2)
    assert (first.judged.n_samples, first.judged.n_silent) == (6, 6)
    begun = first.after(np.zeros(0), epoch=2, warmup=2)
    assert (begun.epoch, begun.judged) == (1, first.judged)
    second = begun.after(alive, epoch=2, warmup=2)
    assert (second.epoch, second.judged.n_samples, second.judged.n_silent) == (2, 3, 0)
    assert (second.seen.n_samples, second.seen.n_silent) == (11, 8)


def test_a_warm_up_longer_than_the_first_epoch_goes_on_in_the_second() -> None:
    first = LayerActivity(1).after(np.zeros(8), epoch=1, warmup=10)
    second = first.after(np.zeros(8), epoch=2, warmup=10)
    assert first.judged.n_samples == 0
    assert (second.epoch, second.judged.n_samples) == (2, 6)


@pytest.mark.parametrize(
    "counts",
    [
        [0, 3, 1],
        (0.0, 3.0, 1.0),
        np.array([0, 3, 1], dtype=np.uint8),
        np.array([0, 3, 1], dtype=np.float16),
        torch.tensor([0, 3, 1]),
        torch.tensor([0.0, 3.0, 1.0], requires_grad=True),
    ],
)
def test_counts_come_as_sequences_arrays_and_tensors(counts: object) -> None:
    np.testing.assert_array_equal(checked_counts(counts, "output"), [0.0, 3.0, 1.0])  # type: ignore[arg-type]


def test_a_boolean_is_a_count_of_one_spike() -> None:
    np.testing.assert_array_equal(checked_counts(torch.tensor([True, False]), "output"), [1, 0])


def test_no_samples_are_no_mistake() -> None:
    assert checked_counts([], "output").shape == (0,)


def test_the_callers_array_is_not_kept() -> None:
    mine = np.array([1.0, 2.0])
    checked = checked_counts(mine, "output")
    mine[0] = 99.0
    assert checked[0] == 1.0


@pytest.mark.parametrize(
    ("counts", "complaint"),
    [
        (5, r"shape \(\).*'output'"),
        (np.zeros((25, 16, 100)), r"shape \(25, 16, 100\).*spikes.sum\(0\).sum\(-1\)"),
        ([1.0, np.nan], "nan.*'output'"),
        ([1.0, np.inf], "inf.*'output'"),
        ([1.0, -2.0], "-2.0.*'output'"),
        ([1.0, 0.25], "0.25.*'output'.*not a rate"),
        (["one"], "dtype.*'output'"),
        ([1j], "dtype.*'output'"),
        ([[1, 2], [3]], "'output' cannot be read"),
        (torch.tensor([1.0], dtype=torch.bfloat16), "'output' cannot be read.*float32"),
    ],
)
def test_what_is_no_count_is_refused_with_the_way_out(counts: object, complaint: str) -> None:
    with pytest.raises(ValueError, match=complaint):
        checked_counts(counts, "output")  # type: ignore[arg-type]


@pytest.mark.parametrize("alpha", [3, 3.0, np.int64(3), np.float32(3)])
def test_alpha_may_be_any_whole_number(alpha: object) -> None:
    assert checked_alpha(alpha) == 3


@pytest.mark.parametrize("alpha", [0, -1, 1.5, float("nan"), float("inf"), "1", None])
def test_alpha_below_one_or_broken_is_refused(alpha: object) -> None:
    with pytest.raises(ValueError, match="alpha"):
        checked_alpha(alpha)
