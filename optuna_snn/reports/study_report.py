"""A stored study as a report. Nothing is written to the study."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from statistics import median

from optuna_snn.reports.contents import Column, Fact, Report, Table
from optuna_snn.reports.findings import findings
from optuna_snn.reports.stopped import stopped_table
from optuna_snn.reports.workers import workers_table
from optuna_snn.search_trace import Ask, trace_of
from optuna_snn.visualization.reading import Reading, n_of
from optuna_snn.workers.display.progress import ProgressReader
from optuna_snn.workers.display.words import KIND_STYLES, saved_words

__all__ = ["N_BEST", "study_report"]

N_BEST = 5


def study_report(
    reading: Reading,
    *,
    heartbeat_ages: Mapping[int, float] | None = None,
    now: datetime | None = None,
    top: int = N_BEST,
) -> Report:
    """The report of a study.

    Args:
        reading: the study.
        heartbeat_ages: seconds since the last heartbeat of running trials, by number
            (`WorkerStorage.heartbeat_ages`); None where the storage knows none.
        now: local time, as trials have it; None is the present.
        top: best feasible trials to show.

    Raises:
        ValueError: top is less than 1.
    """
    if top < 1:
        raise ValueError(f"--top must be 1 or more, got {top}.")
    now = now or datetime.now()
    ages = heartbeat_ages or {}
    asks = trace_of(reading.trials)
    return Report(
        study_name=reading.study_name,
        facts=_facts(reading),
        tables=[
            _best_table(reading, top),
            stopped_table(reading),
            workers_table(reading, ages, now),
        ],
        search=_search(reading, asks),
        findings=findings(reading, asks, ages),
    )


def _facts(reading: Reading) -> list[Fact]:
    counts = [
        f"{reading.n_by_kind[kind]} {kind}" for kind in KIND_STYLES if reading.n_by_kind[kind]
    ]
    facts = [Fact("trials", ", ".join(counts) or "none yet")]
    if reading.has_one_objective:
        facts.append(Fact("objective", f"{reading.directions[0]} {reading.metric_name}"))
    else:
        facts.append(Fact("objectives", ", ".join(reading.directions)))
    names = sorted(reading.constraint_names)
    facts.append(Fact("constraints", ", ".join(names) or "none"))
    progress = ProgressReader("maximize" if reading.is_maximized else "minimize")
    finished = [t for t in reading.trials if t.number in reading.reports]
    if reading.has_one_objective and (saved := saved_words(progress.read(finished))) != "-":
        facts.append(Fact("saved by early stopping", saved))
    if reading.unreadable:
        facts.append(Fact("left out", reading.unreadable_note()[0]))
    return facts


def _best_table(reading: Reading, top: int) -> Table:
    title = "Best feasible trials"
    best = reading.best_first[:top]
    if not best:
        return Table(title, note=_why_no_best(reading))
    rows = []
    for trial in best:
        params = ", ".join(f"{name}={_param(value)}" for name, value in trial.params.items())
        # The constraint that is nearest to being violated.
        nearest = max(trial.constraints.items(), key=lambda item: item[1], default=None)
        rows.append(
            [
                f"{trial.number}",
                f"{reading.value(trial):.4g}",
                "-" if nearest is None else f"{nearest[1]:.3g} ({nearest[0]})",
                params,
            ]
        )
    columns = [
        Column("trial", is_number=True),
        Column(reading.metric_name, is_number=True),
        Column("nearest constraint"),
        Column("parameters"),
    ]
    n_more = len(reading.best_first) - len(best)
    return Table(
        title, columns, rows, f"and {n_of(n_more, 'other feasible trial')}" * (n_more > 0)
    )


def _why_no_best(reading: Reading) -> str:
    if not reading.has_one_objective:
        return f"A study of {len(reading.directions)} objectives has no single best trial."
    n = reading.n_by_kind["complete"]
    if not n:
        return "No trial is complete yet."
    return f"No feasible trial yet: of {n_of(n, 'complete trial')}, none keeps all constraints."


def _search(reading: Reading, asks: list[Ask]) -> list[Fact]:
    if not asks:
        return [Fact("trust region", "none: no trial was chosen by SCBOSampler")]
    last = asks[-1]
    n_initial = sum(ask.is_initial and ask.epoch == last.epoch for ask in asks)
    if last.is_initial:
        facts = [
            Fact("trust region", f"not yet: {n_of(n_initial, 'trial')} of the initial design")
        ]
    else:
        longest = max(ask.length for ask in asks if ask.epoch == last.epoch)
        words = f"length {last.length:.3g} of each range at trial {last.number}"
        words += f", at most {longest:.3g} since {_since(last.epoch)}"
        facts = [Fact("trust region", words)]
        center = "no trial yet" if last.center is None else f"trial {last.center}"
        facts.append(Fact("its centre", center))
    facts.append(Fact("restarts", f"{last.epoch}"))
    if best := reading.best_first[:1]:
        n_since = sum(trial.number > best[0].number for trial in reading.counted)
        words = f"trial {best[0].number}, {n_of(n_since, 'finished trial')} ago"
        facts.append(Fact("last improvement", words if n_since else f"trial {best[0].number}"))
    seconds = median(ask.ask_seconds for ask in asks)
    facts.append(Fact("time of an ask", f"{seconds:.2g} s (median)"))
    return facts


def _since(epoch: int) -> str:
    return f"restart {epoch}" if epoch else "the beginning"


def _param(value: object) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)
