"""Events of a dynamic vision sensor: the record, frames of them, and a filter of isolated ones.

A pixel of the sensor sends an event when the logarithm of its intensity has changed by a
threshold: ON for brighter, OFF for darker.

Departures from the paper's pipeline, tonic's Denoise(5000 us) and ToFrame(n_time_bins=100):
1. All events fall into a frame. tonic rounds the width of a time bin down to whole microseconds
   and drops the events after the last bin.
2. Frames may be made smaller than the sensor, a pixel of theirs standing for a block.
3. The first events of a recording are filtered like all others; tonic keeps those of the first
   filter_us of the clock.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

__all__ = ["Events", "denoise", "to_frames"]

N_POLARITIES = 2


@dataclass(frozen=True)
class Events:
    """The events of one recording.

    x, y:  (n_events,) columns and rows of the pixels, counted from 0
    is_on: (n_events,) bool, whether the pixel became brighter
    t_us:  (n_events,) int64, times in microseconds, never decreasing
    """

    x: NDArray[np.integer]
    y: NDArray[np.integer]
    is_on: NDArray[np.bool_]
    t_us: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.t_us)

    def take(self, chosen: NDArray[np.bool_] | NDArray[np.integer]) -> Events:
        """The events that a mask or indices choose."""
        return Events(self.x[chosen], self.y[chosen], self.is_on[chosen], self.t_us[chosen])

    def problem(self, sensor_side: int) -> str | None:
        """What no recording of a sensor of sensor_side x sensor_side pixels has; None if sound."""
        if len(self) == 0:
            return "it has no events"
        for name, values in (("x", self.x), ("y", self.y)):
            low, high = int(values.min()), int(values.max())
            if low < 0 or high >= sensor_side:
                return f"{name} must be within 0 and {sensor_side - 1}, but is in {low}..{high}"
        if np.any(np.diff(self.t_us) < 0):
            first = int(np.argmax(np.diff(self.t_us) < 0)) + 1
            return f"the times must not decrease, but do at event {first}"
        return None


def to_frames(events: Events, *, n_steps: int, sensor_side: int, side: int) -> NDArray[np.bool_]:
    """Cut the recording into n_steps frames of equal duration; departures 1 and 2.

    side: rows and columns of a frame, a divisor of sensor_side

    Returns (2, side, side, n_steps): whether there was an OFF (0) or an ON (1) event. Without
    events all is False.
    """
    frames = np.zeros((N_POLARITIES, side, side, n_steps), dtype=np.bool_)
    if len(events) == 0:
        return frames
    block = sensor_side // side
    elapsed = events.t_us - events.t_us[0]
    step = elapsed * n_steps // (elapsed[-1] + 1)
    column, row = events.x // block, events.y // block
    # One flat index costs a third of indexing with four arrays.
    flat = ((events.is_on * np.int64(side) + row) * side + column) * n_steps + step
    frames.reshape(-1)[flat] = True
    return frames


def denoise(events: Events, *, filter_us: int, sensor_side: int) -> Events:
    """Drop isolated events; departure 3.

    An event stays if one of the four pixels beside its own sent an event, of either polarity,
    less than filter_us before it.
    """
    n = max(len(events), 1)
    width = sensor_side + 2  # a border of pixels that never send: edges have no neighbours beyond
    pixel = (events.y.astype(np.int64) + 1) * width + events.x + 1
    # (pixel, rank in time) as one number. In sorted order, what precedes (q, r) is the last event
    # of pixel q before rank r, if it is of q at all. Looking up in that order, too, is five times
    # faster than in the order of time.
    keys = np.sort(pixel * n + np.arange(len(events)))
    pixel, rank = np.divmod(keys, n)
    is_kept = np.zeros(len(events), dtype=np.bool_)
    for offset in (-1, 1, -width, width):
        before = keys[np.searchsorted(keys, keys + offset * n) - 1]
        before_pixel, before_rank = np.divmod(before, n)
        is_theirs = before_pixel == pixel + offset
        is_recent = events.t_us[rank] - events.t_us[before_rank] < filter_us
        is_kept[rank[is_theirs & is_recent]] = True
    return events.take(is_kept)
