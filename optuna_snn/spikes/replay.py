"""What another rule would have done with a network whose spikes were recorded.

Glossary
    look      the end of a segment of a layer's trace, at which the other rule is asked: that of
              some of the batches after which the monitor was asked
    censored  a training that ended before its time: what would have come after is not known

What is answered is what is identified. A rule that stops a network at a look, stops it whatever
came later. A rule that stops it at none of them is taken to have kept it, if the training ran to
its end; of a training that was stopped, that is not known. Where an alpha lies within a bin of the
histogram the silent samples are known as a range, and the answer is one only if both of its ends
give the same.

Silence is all that is asked about. A network that was stopped because it was saturated is censored
like any other that was stopped; its layers keep the part of delta that silence had. Every epoch is
judged as a whole: a trace is too coarse to tell what a sliding window held, and where the monitor
had one, what it did is not what is answered.

With over_layers="all" the layers are taken to have been counted in step, as their looks are.

Since a rule is asked at the looks alone, it stops up to a look later than it would have, and an
e-value that rises above its bound and falls again between two looks is missed: a network that was
silent for a while, late in an epoch, may have been stopped there and count as kept. A warm-up that
is not the monitor's and ends between two looks is taken to end at the later one. The end of the
monitor's own is no look while training goes on, for it may lie within a batch.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from heapq import merge
from itertools import groupby

from optuna_snn.spikes.activity import checked_alpha
from optuna_snn.spikes.checks import checked_integer
from optuna_snn.spikes.layer_report import LayerReport
from optuna_snn.spikes.report import OverLayers, SpikeReport, checked_over_layers
from optuna_snn.spikes.rules import RuleName, SilenceRule, checked_rule
from optuna_snn.spikes.tally import Tally


@dataclass(frozen=True)
class Settings:
    """A rule to ask; None keeps what the monitor of the trial had. `SpikeMonitor` explains them.

    Raises ValueError for what the monitor would refuse; when it is asked, for what it would refuse
    together with the other options of a trial.
    """

    alpha: int | None = None
    beta: float | None = None
    rule: RuleName | None = None
    delta: float | None = None
    warmup: int | None = None
    min_samples: int | None = None
    epoch_size: int | None = None
    over_layers: OverLayers | None = None

    def __post_init__(self) -> None:
        if self.over_layers is not None:
            checked_over_layers(self.over_layers)
        if self.alpha is not None:
            checked_alpha(self.alpha)
        if self.warmup is not None:
            checked_integer("warmup", self.warmup, at_least=0)
        checked_rule(  # with any value that is allowed in the place of one that the trial has
            name="record" if self.rule is None else self.rule,
            beta=0.5 if self.beta is None else self.beta,
            delta=0.5 if self.delta is None else self.delta,
            min_samples=1 if self.min_samples is None else self.min_samples,
            epoch_size=1 if self.epoch_size is None else self.epoch_size,
        )

    def rule_for(self, layer: LayerReport, report: SpikeReport) -> SilenceRule:
        """The rule for one layer of a report."""
        had = layer.rule
        return checked_rule(
            name=had.name if self.rule is None else self.rule,
            beta=had.beta if self.beta is None else self.beta,
            delta=had.delta if self.delta is None else self.delta,
            min_samples=had.min_samples if self.min_samples is None else self.min_samples,
            epoch_size=had.epoch_size if self.epoch_size is None else self.epoch_size,
            delta_share=self._delta_share(layer, report),
        )

    def _delta_share(self, layer: LayerReport, report: SpikeReport) -> float:
        """What the layer may spend: as run, or as if the layers of the report had been declared.

        `Limits` has the same arithmetic.
        """
        if self.over_layers in (None, report.over_layers):
            return layer.rule.delta_share
        layers = [layer] if self.over_layers == "any" else [*report.layers.values()]
        n_questions = 1 if all(each.max_spikes is None for each in layers) else 2
        return 1 / n_questions / (len(report.layers) if self.over_layers == "any" else 1)


@dataclass(frozen=True)
class Verdict:
    """What a rule would have done with one network."""

    is_stopped: bool | None
    """None where that is not known."""
    n_samples: int | None
    """Samples the network would have processed, up to a look too many; None where unknown."""
    layer: str | None = None
    """The layer that would have stopped it first; None where all of them together do."""
    is_cut: bool = False
    """Whether it is unknown for that alone: the network was trained on after its trace had ended.
    """


def replayed(report: SpikeReport, settings: Settings, *, is_censored: bool) -> Verdict:
    """Ask the rule of `settings` about a network.

    is_censored: whether training ended before its time (stopped, failed, or still running).
    """
    over_layers = report.over_layers if settings.over_layers is None else settings.over_layers
    n_needed = 1 if over_layers == "any" else len(report.layers)
    looks = merge(*(_looks(name, settings, report) for name in report.layers), key=_time)
    certain, possible = set[str](), set[str]()  # layers that are silent, at their latest looks
    first_possible = None
    for n_seen, group in groupby(looks, key=_time):
        now = list(group)
        asked = {look.layer for look in now}
        possible = possible - asked | {look.layer for look in now if look.is_possible}
        certain = certain - asked | {look.layer for look in now if look.is_certain}
        if first_possible is None and len(possible) >= n_needed:
            first_possible = n_seen
        if len(certain) >= n_needed:
            if first_possible != n_seen:
                return Verdict(True, None)
            first = next(name for name in report.layers if name in certain)
            return Verdict(True, n_seen, first if over_layers == "any" else None)
    activities = [layer.activity for layer in report.layers.values()]
    is_whole = all(each.trace.n_samples == each.seen.n_samples for each in activities)
    if first_possible is not None or is_censored or not is_whole:
        is_cut = first_possible is None and not is_censored
        return Verdict(None, None, is_cut=is_cut)
    return Verdict(False, report.samples_seen)


@dataclass(frozen=True)
class _Look:
    """Whether a layer is silent after n_seen samples: for certain, and possibly."""

    n_seen: int
    layer: str
    is_certain: bool
    is_possible: bool


def _time(look: _Look) -> int:
    return look.n_seen


def _looks(name: str, settings: Settings, report: SpikeReport) -> Iterator[_Look]:
    layer = report.layers[name]
    rule = settings.rule_for(layer, report)
    alpha = layer.alpha if settings.alpha is None else settings.alpha
    for n_seen, epoch, window in _windows(layer, report, settings):
        fewest, most = _silent_range(window, alpha, layer.alpha)
        is_possible = rule.is_silent(window.n_samples, most, epoch)
        is_certain = is_possible and (
            fewest == most or rule.is_silent(window.n_samples, fewest, epoch)
        )
        yield _Look(n_seen, name, is_certain, is_possible)


def _windows(
    layer: LayerReport, report: SpikeReport, settings: Settings
) -> Iterator[tuple[int, int, Tally]]:
    """Yield samples seen, epoch and judged window at each look, and last the window at the end."""
    warmup = report.warmup if settings.warmup is None else settings.warmup
    n_all = layer.activity.seen.n_samples
    window, epoch, is_warm = Tally(), 0, warmup == 0
    for n_seen, segment in layer.activity.trace.looks():
        if is_warm:
            window = window + segment.tally if segment.epoch == epoch else segment.tally
            epoch = segment.epoch
            if n_seen != report.warmup or n_seen == n_all:
                yield n_seen, epoch, window
        is_warm = n_seen >= warmup
    is_as_judged = warmup == report.warmup and not report.is_judged_whole
    if is_as_judged and layer.activity.window.size is None:
        # Exact also where the trace is too short, or was stored before warm-ups ended a segment.
        yield n_all, layer.activity.epoch, layer.activity.judged


def _silent_range(window: Tally, alpha: int, counted_alpha: int) -> tuple[int, int]:
    if alpha == counted_alpha:
        return window.n_silent, window.n_silent
    return window.n_silent_range(alpha)
