"""What another rule would have done with a network whose spikes were recorded.

Glossary
    look      a checkpoint of a layer's trace, at which the other rule is asked
    censored  a training that ended before its time: what would have come after is not known

What is answered is what is identified. A rule that stops a network at a look, stops it whatever
came later. A rule that stops it at none of them would have kept it, if the training ran to its
end; of a training that was stopped, that is not known. Where an alpha lies within a bin of the
histogram the silent samples are known as a range, and the answer is one only if both of its ends
give the same.

Since a rule is asked at the looks alone, it stops up to a look later than it would have, and an
e-value that rises above its bound and falls again between two looks is missed. A warm-up that
ends between two looks is taken to end at the later one.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from optuna_snn.spikes.activity import checked_alpha
from optuna_snn.spikes.checks import checked_integer
from optuna_snn.spikes.report import LayerReport, SpikeReport
from optuna_snn.spikes.rules import RuleName, SilenceRule, checked_rule
from optuna_snn.spikes.tally import Tally


@dataclass(frozen=True)
class Settings:
    """A rule to ask; None keeps what the monitor of the trial had. `SpikeMonitor` explains them.

    Raises ValueError, here or when it is asked, for what the monitor would refuse.
    """

    alpha: int | None = None
    beta: float | None = None
    rule: RuleName | None = None
    delta: float | None = None
    warmup: int | None = None
    min_samples: int | None = None
    epoch_size: int | None = None

    def __post_init__(self) -> None:
        if self.alpha is not None:
            checked_alpha(self.alpha)
        if self.warmup is not None:
            checked_integer("warmup", self.warmup, at_least=0)

    def rule_for(self, layer: LayerReport) -> SilenceRule:
        """The rule for one layer of a report."""
        had = layer.rule
        return checked_rule(
            name=had.name if self.rule is None else self.rule,
            beta=had.beta if self.beta is None else self.beta,
            delta=had.delta if self.delta is None else self.delta,
            min_samples=had.min_samples if self.min_samples is None else self.min_samples,
            epoch_size=had.epoch_size if self.epoch_size is None else self.epoch_size,
            delta_share=had.delta_share,
        )


@dataclass(frozen=True)
class Verdict:
    """What a rule would have done with one network."""

    is_stopped: bool | None
    """None where that is not known."""
    n_samples: int | None
    """Samples the network would have processed, at most a look too many; None where unknown."""
    layer: str | None = None
    """The layer that would have stopped it first."""


def replayed(report: SpikeReport, settings: Settings, *, is_censored: bool) -> Verdict:
    """Ask the rule of `settings` about a network.

    is_censored: whether training ended before its time (stopped, failed, or still running).
    """
    stops = {name: _first_stop(layer, settings, report) for name, layer in report.layers.items()}
    certain = {name: stop.certain for name, stop in stops.items() if stop.certain is not None}
    possible = [stop.possible for stop in stops.values() if stop.possible is not None]
    if certain:
        layer = min(certain, key=lambda name: certain[name])
        is_exact = min(possible) == certain[layer]
        return Verdict(True, certain[layer] if is_exact else None, layer if is_exact else None)
    is_whole = all(stop.is_whole for stop in stops.values())
    if possible or is_censored or not is_whole:
        return Verdict(None, None)
    return Verdict(False, report.samples_seen)


@dataclass(frozen=True)
class _Stop:
    """Samples at a layer's first look that stops it: for certain, and possibly; None for none."""

    certain: int | None
    possible: int | None
    is_whole: bool
    """Whether the trace holds all samples."""


def _first_stop(layer: LayerReport, settings: Settings, report: SpikeReport) -> _Stop:
    rule, activity = settings.rule_for(layer), layer.activity
    alpha = layer.alpha if settings.alpha is None else settings.alpha
    is_whole = activity.trace.n_samples == activity.seen.n_samples
    possible = None
    for n_seen, epoch, window in _windows(layer, report, settings):
        fewest, most = _silent_range(window, alpha, layer.alpha)
        if possible is None and rule.is_silent(window.n_samples, most, epoch):
            possible = n_seen
        if rule.is_silent(window.n_samples, fewest, epoch):
            return _Stop(n_seen, possible, is_whole)
    return _Stop(None, possible, is_whole)


def _windows(
    layer: LayerReport, report: SpikeReport, settings: Settings
) -> Iterator[tuple[int, int, Tally]]:
    """Yield samples seen, epoch and judged window at each look, and last the window at the end."""
    warmup = report.warmup if settings.warmup is None else settings.warmup
    window, epoch, is_warm = Tally(), 0, warmup == 0
    for n_seen, segment in layer.activity.trace.looks():
        if is_warm:
            window = window + segment.tally if segment.epoch == epoch else segment.tally
            epoch = segment.epoch
            yield n_seen, epoch, window
        is_warm = n_seen >= warmup
    if warmup == report.warmup:
        # What the monitor judged is exact, whether its warm-up ends at a look or between two.
        yield layer.activity.seen.n_samples, layer.activity.epoch, layer.activity.judged


def _silent_range(window: Tally, alpha: int, counted_alpha: int) -> tuple[int, int]:
    if alpha == counted_alpha:
        return window.n_silent, window.n_silent
    return window.n_silent_range(alpha)
