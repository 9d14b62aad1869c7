"""The samples of a layer in the order of time, as tallies of ever longer segments.

A finished study can thereby be asked when another rule, with another warm-up, would have stopped
each of its networks (`replay`). There are checkpoints after 1, 2, ... 8 samples, then four times
in each doubling (10, 12, 14, 16, 20, ... 56, 64, 80, ...). A segment ends with the first batch
that reaches a checkpoint after its beginning, and where an epoch ends: the monitor was asked after
that batch, too. And it ends with the warm-up, if need be within a batch, so that the judged
samples stand apart. What is known of time is thereby exact early, where most stops are, and within
a quarter or a batch later. 60,000 samples of one epoch make 61 segments at most.

Segments stored by versions before this one ended at the checkpoints, also within batches.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

from optuna_snn.spikes.checks import is_count
from optuna_snn.spikes.tally import Counts, Tally

MAX_SEGMENTS = 256
"""A trace ends there: what is stored stays small however long a training is."""


@dataclass(frozen=True)
class Segment:
    """Samples that follow each other; all are of one epoch."""

    epoch: int
    tally: Tally


@dataclass(frozen=True)
class Trace:
    """Segments in the order of time; the last one may still grow."""

    segments: tuple[Segment, ...] = ()
    n_samples: int = 0

    def after(
        self,
        counts: Counts,
        *,
        epoch: int,
        alpha: int,
        max_spikes: int | None = None,
        warmup: int = 0,
    ) -> Trace:
        """Return the trace with a further batch of the epoch; counts: (n_samples,), in order.

        What does not fit into MAX_SEGMENTS segments is left out.
        warmup: samples of the trial that are not judged
        """
        n_unjudged = max(0, warmup - self.n_samples)
        trace = self
        for piece in (counts[:n_unjudged], counts[n_unjudged:]):
            if piece.size:
                trace = trace._after_piece(piece, epoch, alpha, max_spikes, warmup)
        return trace

    def _after_piece(
        self, counts: Counts, epoch: int, alpha: int, max_spikes: int | None, warmup: int
    ) -> Trace:
        """The trace with samples that belong to one segment."""
        kept, tally = self.segments, Tally()
        if kept and kept[-1].epoch == epoch and not self._is_at_an_end(warmup):
            kept, tally = kept[:-1], kept[-1].tally
        elif len(kept) == MAX_SEGMENTS:
            return self
        segment = Segment(epoch, tally.after(counts, alpha, max_spikes))
        return Trace((*kept, segment), self.n_samples + len(counts))

    def _is_at_an_end(self, warmup: int) -> bool:
        """Whether the last segment reached a checkpoint, or the end of the warm-up."""
        begin = self.n_samples - self.segments[-1].tally.n_samples
        return self.n_samples == warmup or self.n_samples >= _next_checkpoint(begin)

    def looks(self) -> Iterator[tuple[int, Segment]]:
        """Yield each segment with the samples that were seen when it ended."""
        n = 0
        for segment in self.segments:
            n += segment.tally.n_samples
            yield n, segment

    def to_json(self) -> list[list[Any]]:
        """Return [epoch, *tally] of each segment."""
        return [[s.epoch, *s.tally.to_json()] for s in self.segments]

    @staticmethod
    def from_json(value: object) -> Trace:
        """Return the trace that `to_json` wrote; ValueError for anything else."""
        if not isinstance(value, list) or len(value) > MAX_SEGMENTS:
            raise ValueError(
                f"a trace is a list of at most {MAX_SEGMENTS} segments: {value!r:.99}"
            )
        trace = Trace()
        for item in value:
            if not (isinstance(item, list) and item and is_count(item[0]) and item[0] >= 1):
                raise ValueError(f"a segment is a list [epoch >= 1, *tally], got {item!r:.99}")
            segment = Segment(item[0], Tally.from_json(item[1:]))
            if trace.segments and segment.epoch < trace.segments[-1].epoch:
                raise ValueError("the epochs of a trace never fall")
            trace = replace(
                trace,
                segments=(*trace.segments, segment),
                n_samples=trace.n_samples + segment.tally.n_samples,
            )
        return trace


def _next_checkpoint(n: int) -> int:
    """Return the first checkpoint after n samples."""
    step = 1 << max(0, n.bit_length() - 3)
    return (n // step + 1) * step
