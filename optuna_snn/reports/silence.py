"""What the silence of a study's networks says about its search space."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from optuna.distributions import FloatDistribution, IntDistribution
from optuna.trial import FrozenTrial

from optuna_snn.reports.contents import Finding
from optuna_snn.spikes.report import SpikeReport
from optuna_snn.visualization.reading import Reading, n_of

__all__ = ["Trend", "silence_findings", "strongest_trend"]

MIN_TRIALS = 10
"""Trials with spikes below which nothing is said."""
SILENT_SHARE = 0.5
"""Part of the last RECENT trials that has to be silent, unless nothing is feasible at all."""
RECENT = 20
MIN_CORRELATION, MAX_P = 0.4, 0.01
"""Of a trend that is told: Spearman's coefficient, and its p-value times the parameters."""


@dataclass(frozen=True)
class Trend:
    """How the silent share goes with a parameter.

    correlation: Spearman's, positive where lower values mean less silence
    n:           trials
    edge:        the quarter of the trials on the less silent side lies beyond this value
    near, rest:  median silent share of that quarter, and of the other trials
    bound:       end of the parameter's range on that side
    """

    name: str
    correlation: float
    n: int
    edge: float
    near: float
    rest: float
    bound: float

    @property
    def is_downwards(self) -> bool:
        """Whether there is less silence at lower values."""
        return self.correlation > 0


def silence_findings(reading: Reading) -> list[Finding]:
    """What to do about silent networks, where there is no way out of them yet."""
    trials = [trial for trial in reading.counted if trial.number in reading.reports]
    if len(trials) < MIN_TRIALS:
        return []
    is_silent = [reading.kind(trial) == "silent" for trial in trials]
    has_way_out = bool(reading.best_first) or not reading.has_one_objective
    if has_way_out and np.mean(is_silent[-RECENT:]) < SILENT_SHARE:
        return []
    if not any(is_silent):
        return []
    n_silent = sum(is_silent)
    who = (
        f"All {n_silent} networks so far were silent"
        if n_silent == len(trials)
        else f"{n_silent} of {len(trials)} networks so far were silent"
    )
    shares = np.array([_silent_share(reading.reports[trial.number]) for trial in trials])
    if (shares == 1.0).all():
        return [
            Finding(
                f"{who}, and in each of them some layer was silent in every sample.",
                "The silent share does not tell which way to go: check that the input reaches "
                "that layer, and widen the ranges of what drives it.",
            )
        ]
    trend = strongest_trend(trials, shares)
    if trend is None:
        return []
    way, side = ("lower", "at most") if trend.is_downwards else ("higher", "at least")
    return [
        Finding(
            f"{who}; the silent share falls with {way} {trend.name} (Spearman "
            f"{trend.correlation:+.2f} over {n_of(trend.n, 'trial')}): median {trend.near:.0%} "
            f"where it is {side} {trend.edge:.3g}, {trend.rest:.0%} elsewhere.",
            f"Widen the range of {trend.name} {'downwards' if trend.is_downwards else 'upwards'}; "
            f"it ends at {trend.bound:g}.",
        )
    ]


def strongest_trend(trials: list[FrozenTrial], shares: NDArray[np.float64]) -> Trend | None:
    """The numeric parameter that goes with the silent share most closely; None if none does.

    shares: (n_trials,)
    """
    from scipy.stats import spearmanr

    names = sorted({name for trial in trials for name in trial.params})
    found: list[Trend] = []
    for name in names:
        has = [isinstance(t.distributions.get(name), FloatDistribution | IntDistribution)
               for t in trials]  # fmt: skip
        own = [trial for trial, is_own in zip(trials, has, strict=True) if is_own]
        x = np.array([float(trial.params[name]) for trial in own])
        y = shares[np.array(has, dtype=bool)]
        if len(own) < MIN_TRIALS or np.ptp(x) == 0.0 or np.ptp(y) == 0.0:
            continue  # where one does not vary there is no correlation
        result = spearmanr(x, y)
        correlation, p = float(result.statistic), float(result.pvalue)
        if abs(correlation) < MIN_CORRELATION or p * len(names) > MAX_P:
            continue
        found.append(_trend(name, correlation, own, x, y))
    return max(found, key=lambda trend: abs(trend.correlation), default=None)


def _trend(
    name: str,
    correlation: float,
    trials: list[FrozenTrial],
    x: NDArray[np.float64],
    y: NDArray[np.float64],
) -> Trend:
    is_downwards = correlation > 0
    edge = float(np.quantile(x, 0.25 if is_downwards else 0.75))
    is_near = x <= edge if is_downwards else x >= edge
    ends = [trial.distributions[name] for trial in trials]
    bounds = [
        end.low if is_downwards else end.high
        for end in ends
        if isinstance(end, FloatDistribution | IntDistribution)
    ]
    rest = y[~is_near] if (~is_near).any() else y
    return Trend(
        name,
        correlation,
        len(trials),
        edge,
        near=float(np.median(y[is_near])),
        rest=float(np.median(rest)),
        bound=min(bounds) if is_downwards else max(bounds),
    )


def _silent_share(report: SpikeReport) -> float:
    """Silent share of the layer that decides: the most silent, or the least where all have to be.

    Of the judged samples, or of all where none was judged.
    """
    shares = []
    for layer in report.layers.values():
        activity = layer.activity
        tally = activity.judged if activity.judged.n_samples else activity.seen
        if tally.n_samples:
            shares.append(tally.n_silent / tally.n_samples)
    return (min if report.over_layers == "all" else max)(shares, default=0.0)
