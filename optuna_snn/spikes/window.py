"""The window that a rule judges: the samples of an epoch, or the last ones where it slides.

A sliding window of w samples advances in halves of w/2. The halves are numbered h = 1, 2, ... over
the whole trial; while half h fills, the window is half h - 1 and what there is of half h, so that
it holds the last w/2 to w samples. An epoch starts a new half, with nothing before it.

Each half thereby has a window of its own, which has a fixed start and then only grows. That is
what the sequential rule needs to be valid at every look (`SilenceRule`), with h in the place of
the epoch. Two things follow:
    A layer that keeps to beta throughout is stopped with its part of delta at most, for the errors
    of all windows sum to that.
    A layer that falls silent is found within a number of samples that depends on w, and not on how
    active it was before: what it fired more than w samples ago does not count any more. The length
    of its past counts through 2 ln h alone, by which the evidence that is asked for has grown. A
    window must be long enough to show it: a dead layer makes log e about w ln(1/beta) - ln w.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field, replace
from typing import Any

from optuna_snn.spikes.checks import is_count
from optuna_snn.spikes.gaps import Gaps, sum_of_silent
from optuna_snn.spikes.tally import Counts, Tally


@dataclass(frozen=True)
class Window:
    """The samples that a rule judges.

    size:   w, the samples of a full sliding window, even; None judges an epoch as a whole
    epoch:  the epoch, counted from 1, that the samples belong to
    number: of the window in the trial, counted from 1: the epoch, or h where the window slides
    judged: all samples of the window
    newest: those of half h; empty where the window does not slide
    judged_gap, newest_gap: sums of the gaps of their silent samples; 0 where none are known
    """

    size: int | None = None
    epoch: int = 1
    number: int = 1
    judged: Tally = field(default_factory=Tally)
    newest: Tally = field(default_factory=Tally)
    judged_gap: float = 0.0
    newest_gap: float = 0.0

    def after(
        self,
        counts: Counts,
        *,
        epoch: int,
        alpha: int,
        max_spikes: int | None = None,
        gaps: Gaps | None = None,
    ) -> Window:
        """Return the window after further samples of an epoch, in order.

        counts, gaps: (n_samples,)
        Without a sample it stays as it is, also in a later epoch.
        """
        if counts.size == 0:
            return self
        window = self if epoch == self.epoch else self._opened(epoch)
        if window.size is None:
            return replace(
                window,
                judged=window.judged.after(counts, alpha, max_spikes),
                judged_gap=window.judged_gap + sum_of_silent(gaps, counts < alpha),
            )
        half = window.size // 2
        while counts.size:
            if window.newest.n_samples == half:
                window = window._advanced()
            room = half - window.newest.n_samples
            now, gaps_now = counts[:room], None if gaps is None else gaps[:room]
            gap = sum_of_silent(gaps_now, now < alpha)
            window = replace(
                window,
                judged=window.judged.after(now, alpha, max_spikes),
                newest=window.newest.after(now, alpha, max_spikes),
                judged_gap=window.judged_gap + gap,
                newest_gap=window.newest_gap + gap,
            )
            counts, gaps = counts[room:], None if gaps is None else gaps[room:]
        return window

    def _advanced(self) -> Window:
        """The window of the next half, which begins."""
        return replace(
            self,
            number=self.number + 1,
            judged=self.newest,
            newest=Tally(),
            judged_gap=self.newest_gap,
            newest_gap=0.0,
        )

    def _opened(self, epoch: int) -> Window:
        """The empty window of a later epoch; a half without a sample has not been used up."""
        if self.size is None:
            return Window(epoch=epoch, number=epoch)
        return Window(self.size, epoch, self.number + (self.newest.n_samples > 0))

    def to_json(self) -> dict[str, Any]:
        """Return the window as JSON values."""
        sliding = {"size": self.size, "number": self.number, "newest": self.newest.to_json()}
        return {
            "epoch": self.epoch,
            "judged": self.judged.to_json(),
            "window": None if self.size is None else sliding,
            "gaps": [self.judged_gap, self.newest_gap],
        }

    @staticmethod
    def from_json(value: dict[str, Any]) -> Window:
        """Return the window that `to_json` wrote; ValueError for anything else.

        What was stored before windows could slide has no entry "window", and without gaps none
        "gaps".
        """
        return Window._counted_from_json(value)._with_gaps(value.get("gaps"))

    @staticmethod
    def _counted_from_json(value: dict[str, Any]) -> Window:
        epoch, judged, sliding = value.get("epoch"), value.get("judged"), value.get("window")
        if not (is_count(epoch) and epoch >= 1):
            raise ValueError(f"epoch must be an integer >= 1, got {epoch!r}")
        if sliding is None:
            return Window(epoch=epoch, number=epoch, judged=Tally.from_json(judged))
        if not isinstance(sliding, dict):
            raise ValueError(f"window must be a mapping or null, got {sliding!r:.99}")
        size, number = sliding.get("size"), sliding.get("number")
        if not (is_count(size) and size >= 2 and size % 2 == 0 and is_count(number) and number):
            raise ValueError(
                "a window has an even size >= 2 and a number >= 1, "
                f"got size {size!r} and number {number!r}"
            )
        window = Window(
            size, epoch, number, Tally.from_json(judged), Tally.from_json(sliding.get("newest"))
        )
        n_newest, n_judged = window.newest.n_samples, window.judged.n_samples
        if not window.newest.is_part_of(window.judged) or not (
            n_newest <= size // 2 and n_judged - n_newest in (0, size // 2)
        ):
            raise ValueError(
                f"{n_judged} judged samples, {n_newest} of them in the newest half, do not fit "
                f"a window of size {size}"
            )
        return window

    def _with_gaps(self, gaps: object) -> Window:
        """The window with the sums of gaps that were stored, or without if there are none."""
        if gaps is None:
            return self
        if not (isinstance(gaps, list) and len(gaps) == 2 and all(map(_is_sum, gaps))):
            raise ValueError(f"gaps must be null or two sums >= 0, got {gaps!r:.99}")
        judged_gap, newest_gap = map(float, gaps)
        pairs = ((judged_gap, self.judged), (newest_gap, self.newest))
        if newest_gap > judged_gap or any(gap > tally.n_silent for gap, tally in pairs):
            raise ValueError(f"gaps of {gaps!r} do not fit the silent samples of the window")
        return replace(self, judged_gap=judged_gap, newest_gap=newest_gap)


def _is_sum(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value < math.inf
