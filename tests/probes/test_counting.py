"""Counting one tensor, against loops over NumPy arrays."""

import itertools

import numpy as np
import pytest
import torch

from optuna_snn.probes.counting import (
    COUNT_TOLERANCE,
    LAYOUTS,
    Axes,
    checked_axes,
    complaint,
    complaint_of_sums,
    count_spikes,
    n_samples_of,
    refuse_unreadable,
    rounded,
    to_host,
    total,
)

BATCH, TIME, NEURONS = 4, 7, (3, 2)

SHAPES: dict[Axes, tuple[int, ...]] = {
    "batch ...": (BATCH, *NEURONS),
    "time batch ...": (TIME, BATCH, *NEURONS),
    "batch time ...": (BATCH, TIME, *NEURONS),
    "batch ... time": (BATCH, *NEURONS, TIME),
}
DTYPES = [
    torch.float32,
    torch.float64,
    torch.float16,
    torch.bfloat16,
    torch.bool,
    torch.int64,
    torch.uint8,
]


def counted_by_hand(spikes: np.ndarray, axes: Axes) -> np.ndarray:
    """Walk over all values and add each to the sample that its index along "batch" names."""
    batch_axis = 1 if axes == "time batch ..." else 0
    counts = np.zeros(spikes.shape[batch_axis])
    for index in itertools.product(*map(range, spikes.shape)):
        counts[index[batch_axis]] += spikes[index]
    return counts


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@pytest.mark.parametrize("axes", LAYOUTS)
def test_each_sample_gets_its_own_spikes(axes: Axes, dtype: torch.dtype) -> None:
    rng = np.random.default_rng(0)
    # Samples fire at rates of their own, so that mistaking an axis is found out.
    spikes = rng.random(SHAPES[axes]) < 0.1
    if axes == "time batch ...":
        spikes[:, 2] = True
    else:
        spikes[2] = True
    emitted = torch.tensor(spikes).to(dtype)
    assert n_samples_of(emitted, axes, "hidden") == BATCH
    table, _ = to_host([count_spikes(emitted, axes)] * 2)
    assert table.shape == (2, BATCH + 2)
    for row in table:
        np.testing.assert_array_equal(row[:BATCH], counted_by_hand(spikes, axes))
        assert complaint(row[BATCH:]) is None


def test_many_spikes_in_half_precision_are_counted_exactly() -> None:
    spikes = torch.ones(2, 5001, dtype=torch.float16)
    assert count_spikes(spikes, "batch ...").counts.tolist() == [5001, 5001]


def test_counts_of_two_parts_add_up_and_one_bad_part_is_remembered() -> None:
    good, bad = torch.eye(3), torch.full((3, 3), 0.5)
    both = total([count_spikes(each, "batch ...") for each in (good, bad)])
    assert both.counts.tolist() == [2.5, 2.5, 2.5]
    assert complaint(both.bounds.numpy()) == "values like 0.5 or 0.5"
    twice = total([count_spikes(good, "batch ...")] * 2)
    assert twice.counts.tolist() == [2, 2, 2]
    assert complaint(twice.bounds.numpy()) is None


@pytest.mark.parametrize(
    ("value", "words"),
    [
        (0.5, "values like 0.5 or 0.5"),
        (0.25, "values like 0.25 or 0.75"),
        (2e-5, "values like 2e-05 or 1"),
        (1 - 2e-5, "values like 2.003e-05 or 1"),
        (1 + 2e-5, "values like -2.003e-05 or 1"),
        (2.0, "values like -1 or 2"),
        (-3.0, "values like -3 or 4"),
        (-2e-5, "values like -2e-05 or 1"),
        (float("inf"), "values like nan or inf"),
        (float("nan"), "values like nan or inf"),
    ],
)
@pytest.mark.parametrize("place", [(0, 0), (2, 1)])
def test_a_single_value_that_is_no_spike_is_found(
    value: float, words: str, place: tuple[int, int]
) -> None:
    spikes = torch.zeros(3, 40)
    spikes[1, 5:9] = 1
    spikes[place] = value
    assert complaint(count_spikes(spikes, "batch ...").bounds.numpy()) == words


def test_the_rounding_errors_of_straight_through_gradients_are_forgiven() -> None:
    x = torch.linspace(-80, 80, 30_000).reshape(3, -1)
    spikes = (x > 0).float()
    emitted = spikes + x - x.detach()
    assert (emitted != spikes).sum() > 100
    table, _ = to_host([count_spikes(emitted, "batch ...")])
    assert complaint(table[0, 3:]) is complaint_of_sums(table[0, :3]) is None
    np.testing.assert_array_equal(rounded(table[0, :3]), spikes.sum(1))


@pytest.mark.parametrize("total", [2.5, 0.2, 3.8, -1.0, -0.5, np.nan, np.inf])
def test_sums_that_are_no_counts_are_found(total: float) -> None:
    counts = np.array([0, 7, total, 3], dtype=np.float32)
    assert complaint_of_sums(counts) == f"values that sum to {total:.4g} in a sample"


@pytest.mark.parametrize("total", [0, 1e-3, -1e-3, 6.95, 2.0**20, 2.0**23 + 0.5, 2.0**30])
def test_sums_that_rounding_may_have_made_of_counts_are_counts(total: float) -> None:
    assert complaint_of_sums(np.array([1, total], dtype=np.float32)) is None


def test_the_rounding_errors_of_many_values_stay_well_below_what_their_sum_may_miss() -> None:
    x = 30 * torch.randn(1, 4_000_000, generator=torch.Generator().manual_seed(0))
    spikes = (x > 0).float()
    emitted = spikes + x - x.detach()
    assert (emitted != spikes).sum() > 100_000
    error = float(emitted.double().sum() - spikes.double().sum())
    assert abs(error) < COUNT_TOLERANCE / 10
    assert abs(float(count_spikes(emitted, "batch ...").counts - spikes.sum())) < COUNT_TOLERANCE


@pytest.mark.parametrize(
    ("emitted", "complaint"),
    [
        (torch.zeros(2, 3).to_sparse(), r"torch.sparse_coo; .*Return it dense"),
        (torch.zeros(2, 3, dtype=torch.complex64), r"torch.complex64; .*that emits zeros"),
    ],
)
def test_sparse_and_complex_tensors_are_refused_with_the_way_out(
    emitted: torch.Tensor, complaint: str
) -> None:
    with pytest.raises(ValueError, match=f"'hidden' emitted a tensor of {complaint}.*update"):
        refuse_unreadable(emitted, "hidden")


def test_graded_integers_are_no_spikes() -> None:
    spikes = torch.tensor([[0, 1], [3, 0]])
    assert complaint(count_spikes(spikes, "batch ...").bounds.numpy()) == "values like -2 or 3"


def test_all_zeros_and_all_ones_are_spikes() -> None:
    for spikes in (torch.zeros(2, 3), torch.ones(2, 3), torch.zeros(0, 3)):
        assert complaint(count_spikes(spikes, "batch ...").bounds.numpy()) is None


@pytest.mark.parametrize("axes", LAYOUTS)
def test_too_few_axes_are_refused_with_the_shape_and_the_way_out(axes: Axes) -> None:
    n_needed = len(SHAPES[axes]) - 1  # one axis of neurons
    n_samples_of(torch.zeros((2,) * n_needed), axes, "hidden")
    with pytest.raises(ValueError, match=r"'hidden' emitted.*unsqueeze.*axes="):
        n_samples_of(torch.zeros((2,) * (n_needed - 1)), axes, "hidden")


@pytest.mark.parametrize("axes", ["batch", "time batch", "batch  ...", "T B", 0, None, ()])
def test_axes_that_are_no_layout_are_refused(axes: object) -> None:
    with pytest.raises(ValueError, match=r"axes of layer 'hidden' must be one of 'batch \.\.\.'"):
        checked_axes(axes, "hidden")
