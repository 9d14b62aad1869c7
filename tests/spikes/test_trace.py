"""The course of a layer's samples: segments between checkpoints."""

import itertools
import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from optuna_snn.spikes.tally import Tally
from optuna_snn.spikes.trace import MAX_SEGMENTS, Trace
from tests.helpers import repeatable

CHECKPOINTS = [*range(1, 9), 10, 12, 14, 16, 20, 24, 28, 32, 40, 48, 56, 64, 80, 96, 112, 128]
batches_by_epoch = st.lists(st.lists(st.lists(st.integers(0, 40), max_size=50), max_size=5))


def trace_of(epochs: list[list[list[int]]], alpha: int = 3, warmup: int = 0) -> Trace:
    trace = Trace()
    for epoch, batches in enumerate(epochs, start=1):
        for batch in batches:
            counts = np.array(batch, dtype=float)
            trace = trace.after(counts, epoch=epoch, alpha=alpha, warmup=warmup)
    return trace


def ends(trace: Trace) -> list[int]:
    return [n for n, _ in trace.looks()]


def test_segments_end_at_every_sample_first_and_then_four_times_in_each_doubling() -> None:
    assert ends(trace_of([[[1]] * 128])) == CHECKPOINTS
    assert len(trace_of([[[1] * 16] * 3750]).segments) < 60


@pytest.mark.parametrize(
    ("batch", "expected"),
    [
        (16, [*range(16, 129, 16), 160, 192, 224, 256, 320]),
        (50, [50, 100, 150, 200, 250, 300]),
        (500, [500, 1000]),
    ],
)
def test_segments_end_with_the_first_batch_that_reaches_a_checkpoint(
    batch: int, expected: list[int]
) -> None:
    n_batches = expected[-1] // batch
    assert ends(trace_of([[[1] * batch] * n_batches])) == expected


def test_the_warm_up_ends_a_segment_also_within_a_batch() -> None:
    assert ends(trace_of([[[1] * 16] * 4], warmup=35)) == [16, 32, 35, 48, 64]
    assert ends(trace_of([[[1] * 16] * 4], warmup=48)) == [16, 32, 48, 64]
    assert ends(trace_of([[[1] * 30], [[1] * 30]], warmup=23)) == [23, 30, 60]


@repeatable
@given(batches_by_epoch, st.integers(0, 100))
def test_each_segment_holds_the_samples_of_whole_batches(
    epochs: list[list[list[int]]], warmup: int
) -> None:
    counts = [count for batches in epochs for batch in batches for count in batch]
    epoch_of = [i for i, e in enumerate(epochs, start=1) for batch in e for _ in batch]
    batch_ends = np.cumsum([len(batch) for batches in epochs for batch in batches]).tolist()
    trace, begin = trace_of(epochs, warmup=warmup), 0
    for end, segment in trace.looks():
        assert segment.tally == Tally().after(np.array(counts[begin:end], dtype=float), 3)
        assert set(epoch_of[begin:end]) == {segment.epoch}
        assert end in {*batch_ends, warmup}
        begin = end
    assert begin == len(counts)
    assert warmup in {0, *ends(trace)} or warmup > len(counts)
    # None is missing: with every batch that reaches a checkpoint a segment ends.
    for earlier, later in itertools.pairwise([0, *batch_ends]):
        start = warmup if earlier < warmup < later else earlier
        if any(start < point <= later for point in CHECKPOINTS):
            assert later in ends(trace)


def test_a_trace_ends_after_its_largest_number_of_segments() -> None:
    trace = trace_of([[[1]] for _ in range(MAX_SEGMENTS + 50)])
    assert (len(trace.segments), trace.n_samples) == (MAX_SEGMENTS, MAX_SEGMENTS)


@repeatable
@given(batches_by_epoch, st.integers(0, 100))
def test_the_json_form_returns_the_same_trace_which_goes_on_alike(
    epochs: list[list[list[int]]], warmup: int
) -> None:
    trace = trace_of(epochs, warmup=warmup)
    read = Trace.from_json(json.loads(json.dumps(trace.to_json())))
    assert read == trace
    more = np.arange(9.0)
    further = [t.after(more, epoch=len(epochs) + 1, alpha=3, warmup=warmup) for t in (trace, read)]
    assert further[0] == further[1]


@pytest.mark.parametrize(
    ("value", "complaint"),
    [
        (None, "list of at most"),
        ([[1, 0, 0, 1]] * (MAX_SEGMENTS + 1), "list of at most"),
        ([1], "segment"),
        ([[0, 0, 0, 1]], "segment"),
        ([[1, 5, 0, 1]], "silent"),
        ([[2, 0, 0, 1], [1, 0, 0, 1]], "never fall"),
    ],
)
def test_a_damaged_json_form_is_refused(value: object, complaint: str) -> None:
    with pytest.raises(ValueError, match=complaint):
        Trace.from_json(value)
