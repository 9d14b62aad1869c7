"""A search by many workers on a clock that only counts: a run takes as long as its suggestions.

The workers share one study in memory, and each has a sampler object of its own, so that nothing
is common but the storage.
"""

from __future__ import annotations

import heapq
import json
import math
import time
from collections.abc import Iterator, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import optuna

from benchmarks.authors_rule import TOLERANCE, Result, authors_rule, replayed_lengths
from benchmarks.problems import Array, Problem
from benchmarks.runs import Run, at_checkpoints

RULES = ("ours", "authors", "alone")
"""Of the trust region, ours or the authors'; or ours, each worker choosing as one alone would."""
DURATION_SIGMA = 0.5
"""Of the logarithm of the evaluation times, whose median is 1."""
N_COMPARISONS = 5
"""Moments of a run at which the states of all samplers are compared; the end is one more."""


class Event(NamedTuple):
    """A worker begins or ends an evaluation; evaluations are numbered as they begin."""

    time: float
    worker: int
    number: int
    is_end: bool


@dataclass(frozen=True)
class AsyncRun(Run):
    """A run of W workers: `best`, `ask_seconds` as of a `Run`, in the order of completion."""

    rule: str
    n_workers: int
    makespan: float
    """Virtual time until the last evaluation ended; one evaluation takes about 1."""
    n_initial: int
    """Trials of initial designs. Beyond n_startup_trials where workers wait for results."""
    best_after_design: float
    """Best feasible value after n_startup_trials evaluations; the first one, where none is yet."""
    n_duplicates: int
    """Suggested points that had been suggested before."""
    n_disagreements: int
    """Tags and cached states that differ from the state folded afresh; 0 if all is well."""
    lengths: list[float]
    """Side of the box after each completion."""
    replayed: list[float]
    """The same, had the authors' rule been applied to these results."""


def virtual_order(durations: Sequence[float], n_workers: int) -> Iterator[Event]:
    """What happens when, if every worker begins a new evaluation as soon as it ends one.

    durations: of the evaluations, numbered as they begin. All of them end.
    """
    running: list[tuple[float, int, int]] = []
    n_begun = min(n_workers, len(durations))
    for number in range(n_begun):
        yield Event(0.0, number, number, is_end=False)
        heapq.heappush(running, (durations[number], number, number))
    while running:
        now, number, worker = heapq.heappop(running)
        yield Event(now, worker, number, is_end=True)
        if n_begun < len(durations):
            yield Event(now, worker, n_begun, is_end=False)
            heapq.heappush(running, (now + durations[n_begun], n_begun, worker))
            n_begun += 1


def run(name: str, problem: Problem, seed: int) -> AsyncRun:
    """The search called RULE-wWORKERS, in this process, with one thread."""
    import torch

    torch.set_num_threads(1)
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    return search(*parsed(name), problem, seed)


def search(rule: str, n_workers: int, problem: Problem, seed: int) -> AsyncRun:
    """One study. Evaluation times follow from the seed, and are the same for all W and rules."""
    times = np.random.default_rng(2000 + seed).lognormal(0.0, DURATION_SIGMA, problem.budget)
    events = list(virtual_order(times.tolist(), n_workers))
    studies = _studies(rule, n_workers, problem, seed)
    with authors_rule() if rule == "authors" else nullcontext():
        course = _followed(events, studies, problem)
    best = _improvements(course.results)
    points = {tuple(t.params[name] for name in problem.space) for t in studies[0].trials}
    return AsyncRun(
        sampler=f"{rule}-w{n_workers}",
        problem=problem.name,
        seed=seed,
        budget=problem.budget,
        best=best,
        ask_seconds=at_checkpoints(course.elapsed),
        feasible=sum(r.violation == 0.0 for r in course.results) / problem.budget,
        rule=rule,
        n_workers=n_workers,
        makespan=round(events[-1].time, 3),
        n_initial=sum(r.is_initial for r in course.results),
        best_after_design=_after_design(best, problem.n_startup_trials),
        n_duplicates=problem.budget - len(points),
        n_disagreements=course.n_disagreements,
        lengths=course.lengths,
        replayed=replayed_lengths(course.results),
    )


class _Course(NamedTuple):
    """What the events of a search brought, in the order of completion."""

    results: list[Result]
    lengths: list[float]
    elapsed: Array
    """Seconds of ask and tell between one completion and the next (budget,)."""
    n_disagreements: int


def _followed(
    events: Sequence[Event], studies: Sequence[optuna.Study], problem: Problem
) -> _Course:
    from optuna_snn.history import read_state, read_tag, read_trials

    settings = studies[0].sampler._settings  # type: ignore[attr-defined]
    state = read_state(studies[0], settings)
    running: dict[int, optuna.Trial] = {}
    course = _Course([], [], np.zeros(problem.budget), 0)
    n_disagreements = 0
    for event in events:
        study, n_done = studies[event.worker], len(course.results)
        if not event.is_end:
            started = time.perf_counter()
            running[event.number] = study.ask(dict(problem.space))
            course.elapsed[n_done] += time.perf_counter() - started
            stored = read_tag(read_trials(study)[event.number])
            if stored is not None:
                n_disagreements += _region(stored.tag) != _region(state.region)
            continue
        trial = running.pop(event.number)
        result, seconds = _told(study, trial, problem)
        course.elapsed[n_done] += seconds
        course.results.append(result)
        state = read_state(study, settings)
        course.lengths.append(state.region.length)
        if _is_compared(n_done + 1, problem.budget):
            n_disagreements += sum(_cached(s, problem) != state for s in studies)
    return course._replace(n_disagreements=n_disagreements)


def _told(study: optuna.Study, trial: optuna.Trial, problem: Problem) -> tuple[Result, float]:
    """The result of a trial, which the study knows now, and the seconds that it took to tell."""
    from optuna_snn.history import read_tag, read_trials

    value, constraints = problem.evaluate(trial.params)
    for j, c in enumerate(constraints):
        trial.set_constraint(f"c{j:02d}", float(c))
    started = time.perf_counter()
    study.tell(trial, value)
    seconds = time.perf_counter() - started
    stored = read_tag(read_trials(study)[trial.number])
    return Result(-value, constraints, stored is None or stored.tag.is_initial), seconds


def _is_compared(n_done: int, budget: int) -> bool:
    """Whether all samplers' states are compared now: N_COMPARISONS times, and at the end."""
    at = [budget * (k + 1) // (N_COMPARISONS + 1) for k in range(N_COMPARISONS + 1)]
    return n_done in at


def _studies(rule: str, n_workers: int, problem: Problem, seed: int) -> list[optuna.Study]:
    """One shared study as each worker sees it, with a sampler of its own."""
    from optuna_snn import SCBOSampler
    from optuna_snn.scbo.options import DEFAULT, Options

    options: dict[str, Any] = {"seed": seed, "n_startup_trials": problem.n_startup_trials}
    if rule == "authors":
        options |= {"success_tolerance": TOLERANCE, "failure_tolerance": TOLERANCE}
    elif rule == "alone":
        alone = {"n_parallel_draws": 1, "max_parallel_points": DEFAULT.max_local_points}
        options |= {"options": Options(parallel_all_share=0.0, **alone)}
    storage = optuna.storages.InMemoryStorage()
    optuna.create_study(storage=storage, study_name=problem.name)
    return [
        optuna.load_study(study_name=problem.name, storage=storage, sampler=SCBOSampler(**options))
        for _ in range(n_workers)
    ]


def _region(region: Any) -> tuple[int, int, float]:
    """What a tag and a region have in common."""
    return region.epoch, region.generation, region.length


def _cached(study: optuna.Study, problem: Problem) -> Any:
    """The state that the sampler of this worker folds from its own cache."""
    trial = study.get_trials(deepcopy=False)[-1]
    return study.sampler._history.read(study, trial, dict(problem.space)).state  # type: ignore[attr-defined]


def _improvements(results: Sequence[Result]) -> list[tuple[int, float]]:
    """(evaluations, best feasible value, minimised) at each improvement."""
    best: list[tuple[int, float]] = []
    for n, result in enumerate(results, start=1):
        if result.violation == 0.0 and (not best or -result.value < best[-1][1]):
            best.append((n, float(-result.value)))
    return best


def _after_design(best: Sequence[tuple[int, float]], n_startup_trials: int) -> float:
    if not best:
        return math.inf
    return min((v for n, v in best if n <= n_startup_trials), default=best[0][1])


def parsed(name: str) -> tuple[str, int]:
    """Rule and number of workers of a search called RULE-wWORKERS; ValueError for others."""
    rule, _, n_workers = name.partition("-w")
    if rule not in RULES or not n_workers.isdigit() or int(n_workers) < 1:
        raise ValueError(
            f"A search is called RULE-wWORKERS, with a rule of {RULES}; got {name!r}."
        )
    return rule, int(n_workers)


def read_async_runs(path: Path) -> list[AsyncRun]:
    """The finished runs of a file; none while it does not exist."""
    lines = path.read_text().splitlines() if path.exists() else []
    return [AsyncRun(**json.loads(line)) for line in lines]
