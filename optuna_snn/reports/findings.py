"""What to try next, where the data of a study speak; nothing where they do not.

Every finding names its numbers. The limits below were set by judgement, so that chance alone
seldom passes them: a finding costs its reader a new study.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence

from optuna.distributions import FloatDistribution, IntDistribution
from optuna.trial import FrozenTrial, TrialState

from optuna_snn.reports.contents import Finding
from optuna_snn.reports.silence import silence_findings
from optuna_snn.search_trace import Ask
from optuna_snn.visualization.reading import Reading, n_of
from optuna_snn.workers.display.words import clock
from optuna_snn.workers.failures import fail_reason

__all__ = ["findings"]

MIN_FAILED, FAILED_SHARE = 3, 0.1
"""Failed trials that are told: so many, and so large a part of the finished ones."""
MIN_FEASIBLE, N_TOP, EDGE = 20, 5, 0.05
"""Best feasible trials, of so many at least, that have to lie within this part of a range."""
MIN_VALUES = 20
"""Values of a parameter below which its outermost ones are no edge."""
MIN_OVERRUN, OVERRUN_SHARE = 3, 0.1
"""Complete trials that their rule had found silent: so many, and so large a part."""
MIN_SINCE = 30
"""Finished trials since the best one after which a restarted search is told to stand still."""
DEAD_S = 300.0
"""Seconds without a heartbeat, five of the default grace periods."""


def findings(
    reading: Reading, asks: Sequence[Ask], heartbeat_ages: Mapping[int, float]
) -> list[Finding]:
    """What the trials show and what follows, the most urgent first."""
    found = [
        *_dead_workers(reading, heartbeat_ages),
        *_failures(reading),
        *silence_findings(reading),
        *_overruns(reading),
        *_edges(reading),
        *_standstill(reading, asks),
    ]
    return found


def _dead_workers(reading: Reading, ages: Mapping[int, float]) -> list[Finding]:
    dead = {
        trial.number: ages[trial.number]
        for trial in reading.trials
        if trial.state == TrialState.RUNNING and ages.get(trial.number, 0.0) > DEAD_S
    }
    if not dead:
        return []
    numbers = ", ".join(map(str, dead))
    return [
        Finding(
            f"{n_of(len(dead), 'running trial')} ({numbers}) without a heartbeat for "
            f"{clock(min(dead.values()))} or longer.",
            "The worker is probably dead; optuna-snn run queues its trial again.",
        )
    ]


def _failures(reading: Reading) -> list[Finding]:
    failed = [trial for trial in reading.trials if trial.state == TrialState.FAIL]
    n_finished = len(reading.counted) + len(failed)
    if len(failed) < MIN_FAILED or len(failed) < FAILED_SHARE * n_finished:
        return []
    (reason, n), *_ = Counter(fail_reason(trial) for trial in failed).most_common(1)
    return [
        Finding(
            f"{len(failed)} of {n_of(n_finished, 'finished trial')} failed, {n} of them so: "
            f"{reason}.",
            "Failed trials teach the search nothing; mend the cause first.",
        )
    ]


def _overruns(reading: Reading) -> list[Finding]:
    complete = [t for t in reading.counted if t.state == TrialState.COMPLETE]
    over = [
        trial
        for trial in complete
        if (report := reading.reports.get(trial.number)) is not None
        and report.is_stopped
        and not report.is_judged_whole
    ]
    if len(over) < MIN_OVERRUN or len(over) < OVERRUN_SHARE * len(complete):
        return []
    return [
        Finding(
            f"{len(over)} of {n_of(len(complete), 'complete trial')} were trained on though "
            "their rule had found the network silent or saturated.",
            "Stop them: raise optuna.TrialPruned when trial.should_prune() says so, with "
            "SpikeActivityPruner as the study's pruner.",
        )
    ]


def _edges(reading: Reading) -> list[Finding]:
    """Parameters of which all of the best feasible trials lie at one end of the range."""
    best = reading.best_first
    if len(best) < MIN_FEASIBLE:
        return []
    top = best[:N_TOP]
    found = []
    for name in top[0].params:
        places = [_place(trial, name) for trial in top]
        if any(place is None for place in places):
            continue
        known = [place for place in places if place is not None]
        values = [trial.params[name] for trial in top]
        distribution = top[0].distributions[name]
        assert isinstance(distribution, FloatDistribution | IntDistribution)  # it has a place
        words = f"{min(values):.4g} to {max(values):.4g}"
        span = f"{distribution.low:g} to {distribution.high:g}"
        for is_at_end, end, way in (
            (max(known) <= EDGE, "lower", "downwards"),
            (min(known) >= 1.0 - EDGE, "upper", "upwards"),
        ):
            if is_at_end:
                found.append(
                    Finding(
                        f"The {N_TOP} best of {len(best)} feasible trials all have {name} at the "
                        f"{end} end of its range: {words}, of {span}.",
                        f"Widen the range of {name} {way}, if the network allows it.",
                    )
                )
    return found


def _place(trial: FrozenTrial, name: str) -> float | None:
    """Where the value lies in its range, 0 to 1, on the scale of the search; None if in none."""
    distribution = trial.distributions.get(name)
    if not isinstance(distribution, FloatDistribution | IntDistribution):
        return None
    low, high, value = distribution.low, distribution.high, trial.params[name]
    if distribution.step is not None and (high - low) / distribution.step + 1 < MIN_VALUES:
        return None
    if not high > low:
        return None
    if distribution.log:
        low, high, value = math.log(low), math.log(high), math.log(value)
    return float((value - low) / (high - low))


def _standstill(reading: Reading, asks: Sequence[Ask]) -> list[Finding]:
    """A search that has restarted and not found anything better since."""
    if not asks or not asks[-1].epoch or not reading.best_first:
        return []
    best = reading.best_first[0]
    epoch_of_best = next((ask.epoch for ask in asks if ask.number >= best.number), asks[-1].epoch)
    n_since = sum(trial.number > best.number for trial in reading.counted)
    if epoch_of_best == asks[-1].epoch or n_since < MIN_SINCE:
        return []
    return [
        Finding(
            f"The search restarted {n_of(asks[-1].epoch, 'time')}; the best trial, {best.number}, "
            f"dates from before the last restart, and {n_of(n_since, 'finished trial')} since "
            "brought nothing better.",
            "Further trials promise little; optuna-snn retrain tells what the best are worth.",
        )
    ]
