"""The samples of a layer in the order of time, as tallies of ever longer segments.

A finished study can thereby be asked when another rule, with another warm-up, would have stopped
each of its networks (`replay`). Segments end at checkpoints: after 1, 2, ... 8 samples, then four
times in each doubling (10, 12, 14, 16, 20, ... 56, 64, 80, ...), and where an epoch ends. What is
known of time is thereby exact early, where most stops are, and within a quarter later. 60,000
samples of one epoch make 61 segments.
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
    """Samples between two checkpoints; all are of one epoch."""

    epoch: int
    tally: Tally


@dataclass(frozen=True)
class Trace:
    """Segments in the order of time; the last one may still grow."""

    segments: tuple[Segment, ...] = ()
    n_samples: int = 0

    def after(
        self, counts: Counts, *, epoch: int, alpha: int, max_spikes: int | None = None
    ) -> Trace:
        """Return the trace with further samples of the epoch; counts: (n_samples,), in order.

        Samples beyond the last of MAX_SEGMENTS segments are left out.
        """
        segments, n = list(self.segments), self.n_samples
        start = 0
        while start < len(counts):
            is_new = not segments or segments[-1].epoch != epoch or _is_checkpoint(n)
            if is_new and len(segments) == MAX_SEGMENTS:
                break
            end = min(len(counts), start + _next_checkpoint(n) - n)
            tally = Tally() if is_new else segments.pop().tally
            segments.append(Segment(epoch, tally.after(counts[start:end], alpha, max_spikes)))
            n += end - start
            start = end
        return Trace(tuple(segments), n)

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


def _is_checkpoint(n: int) -> bool:
    """Say whether a segment ends after n samples."""
    return n % (1 << max(0, n.bit_length() - 3)) == 0
