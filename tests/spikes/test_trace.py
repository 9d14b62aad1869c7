"""The course of a layer's samples: segments between checkpoints."""

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


def trace_of(epochs: list[list[list[int]]], alpha: int = 3) -> Trace:
    trace = Trace()
    for epoch, batches in enumerate(epochs, start=1):
        for batch in batches:
            trace = trace.after(np.array(batch, dtype=float), epoch=epoch, alpha=alpha)
    return trace


def test_segments_end_at_every_sample_first_and_then_four_times_in_each_doubling() -> None:
    ends = [n for n, _ in trace_of([[[1] * 128]]).looks()]
    assert ends == CHECKPOINTS
    assert len(trace_of([[[1] * 60_000]]).segments) == 60


@repeatable
@given(batches_by_epoch)
def test_each_look_knows_the_samples_before_it_whatever_the_batches(
    epochs: list[list[list[int]]],
) -> None:
    streams = [[count for batch in batches for count in batch] for batches in epochs]
    counts = [count for stream in streams for count in stream]
    epoch_of = [i for i, stream in enumerate(streams, start=1) for _ in stream]
    begin = 0
    for end, segment in trace_of(epochs).looks():
        assert segment.tally == Tally().after(np.array(counts[begin:end], dtype=float), 3)
        assert set(epoch_of[begin:end]) == {segment.epoch}
        begin = end
    assert begin == len(counts)
    ends = {n for n, _ in trace_of(epochs).looks()}
    lasts = set(np.cumsum([len(stream) for stream in streams]).tolist())
    assert ends | {0} == {n for n in CHECKPOINTS if n <= begin} | {
        n for n in ends if n > CHECKPOINTS[-1]
    } | lasts | {0}


def test_a_trace_ends_after_its_largest_number_of_segments() -> None:
    trace = trace_of([[[1]] for _ in range(MAX_SEGMENTS + 50)])
    assert (len(trace.segments), trace.n_samples) == (MAX_SEGMENTS, MAX_SEGMENTS)


@repeatable
@given(batches_by_epoch)
def test_the_json_form_returns_the_same_trace(epochs: list[list[list[int]]]) -> None:
    trace = trace_of(epochs)
    assert Trace.from_json(json.loads(json.dumps(trace.to_json()))) == trace


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
