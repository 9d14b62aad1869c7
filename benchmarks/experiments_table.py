"""The table of `benchmarks.experiments`: medians and quartiles over the seeds of each search."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from statistics import fmean

from benchmarks.experiments_kept import Combination, Search
from benchmarks.runs import quartiles

__all__ = ["Setting", "groups", "table"]

Setting = tuple[str, str, int]
"""Scale, space and trials of a search: what searches must share to be compared."""
SAMPLERS = ("scbo", "tpe", "random")
RULES = ("sequential", "paper", "record")


def groups(
    searches: Sequence[Search], experiment: int
) -> Mapping[Setting, Mapping[tuple[str, str], list[Search]]]:
    """Setting -> (sampler, rule) -> its searches by seed, of one experiment."""
    found: dict[Setting, dict[tuple[str, str], list[Search]]] = {}
    for each in sorted(searches, key=lambda s: _order(s.combination)):
        c = each.combination
        if c.experiment == experiment:
            compared = found.setdefault((c.scale, c.space, c.n_trials), {})
            compared.setdefault((c.sampler, c.rule), []).append(each)
    return found


def table(searches: Sequence[Search], experiment: int) -> str:
    """Markdown: one row for each sampler and rule; a search without a feasible trial counts as 0.

    The accuracy "at equal time" is that of the trials which ended within the seconds of the
    shortest search it is compared with.
    """
    rows = [
        "| scale | evaluations | sampler | rule | seeds | best validation accuracy, % "
        "| at equal time, % | test accuracy when trained again, % | ± over trainings "
        "| silent, % | silent, last third, % | training samples saved, % | seconds saved, % "
        "| seconds | in the sampler, % |",
        "|" + "---|" * 15,
    ]
    for (scale, space, n_trials), compared in groups(searches, experiment).items():
        shortest = min(s.trials.elapsed_seconds[-1] for own in compared.values() for s in own)
        name = scale if space == "released" else f"{scale}, {space}"
        for (sampler, rule), own in compared.items():
            ran = sorted({s.trials.n for s in own})
            shown = f"{n_trials}" if ran == [n_trials] else f"{ran[0]} to {ran[-1]} of {n_trials}"
            cells = [name, shown, sampler, rule, str(len(own)), *_cells(own, shortest)]
            rows.append("| " + " | ".join(cells) + " |")
    return "\n".join(rows)


def _cells(own: Sequence[Search], shortest: float) -> list[str]:
    trials = [s.trials for s in own]
    return [
        _spread([100 * t.best_so_far[-1] for t in trials]),
        _spread([100 * t.best_within(shortest) for t in trials]),
        _spread([100 * s.test_accuracy for s in own]),
        f"{fmean(100 * s.retrained[0].spread if s.retrained else 0.0 for s in own):.1f}",
        _spread([100 * fmean(t.is_silent) for t in trials]),
        _spread([100 * fmean(t.is_silent[-max(1, t.n // 3) :]) for t in trials]),
        _spread([100 * t.share_of_samples_saved for t in trials]),
        _spread([100 * t.share_of_seconds_saved for t in trials]),
        _spread([t.elapsed_seconds[-1] for t in trials], digits=0),
        _spread([100 * sum(t.sampler_seconds) / t.elapsed_seconds[-1] for t in trials]),
    ]


def _spread(values: Sequence[float], digits: int = 1) -> str:
    """Median [quartiles]."""
    low, median, high = quartiles(values)
    return f"{median:.{digits}f} [{low:.{digits}f}, {high:.{digits}f}]"


def _order(c: Combination) -> tuple[str, str, int, int, int, int]:
    """The order of the table: settings, then rules, then samplers, then seeds."""
    return c.scale, c.space, c.n_trials, RULES.index(c.rule), SAMPLERS.index(c.sampler), c.seed
