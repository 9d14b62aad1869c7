"""Asks after random histories: none raises, warns or leaves the range.

    python -m benchmarks.fuzz --histories 10000 --jobs 1

asks twice after each of the histories of seeds 0, 1, ..., the second time while the first trial
runs. What goes wrong is printed with its seed, and kept with what was covered in
`benchmarks/results/fuzz.json`, one entry per run. Python's warnings and the log records of others
count as failures; our own log records are counted.

    python -m benchmarks.fuzz --first SEED --histories 1 --results /dev/null

repeats one history and keeps nothing.
"""

from __future__ import annotations

import argparse
import json
import logging
import platform
import re
import sys
import time
import traceback
import warnings
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from importlib import import_module
from importlib.metadata import version
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import optuna
from optuna.distributions import BaseDistribution

from benchmarks.random_histories import random_history
from optuna_snn.history import read_tag

ROOT = Path(__file__).resolve().parents[1]
RESULTS = ROOT / "benchmarks" / "results" / "fuzz.json"
SAVED_EVERY = 200
"""Histories after which the results so far are kept; a log file gets a line as often."""
PACKAGES = ("optuna-snn", "optuna", "torch", "numpy", "scipy")


@dataclass(frozen=True)
class Answer:
    """What one ask gave."""

    chosen_by: str
    """By "model" or "initial design", also "after a restart"; "no tag": drawn alone, or given."""
    out_of_range: list[str]
    seconds: float


@dataclass(frozen=True)
class Finding:
    """What happened in the asks after one history."""

    seed: int
    kinds: list[str]
    answers: list[Answer]
    exceptions: list[str]
    """Tracebacks, also of warnings, and log records of others."""
    logged: list[str]
    """Functions of this package that logged a warning, once for each record."""

    @property
    def out_of_range(self) -> list[str]:
        """What is wrong with the answers."""
        return [sentence for answer in self.answers for sentence in answer.out_of_range]

    @property
    def slowest_s(self) -> float:
        """Seconds of the slower ask."""
        return max((answer.seconds for answer in self.answers), default=0.0)


def examine(seed: int) -> Finding:
    """Two asks after the history of `seed`. Raises nothing that the sampler raises."""
    kinds: list[str] = []
    answers: list[Answer] = []
    exceptions: list[str] = []
    with warnings.catch_warnings(), _listening() as records:
        warnings.simplefilter("error")
        warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
        try:
            made = random_history(seed)
            kinds += [kind for kind, is_so in made.kinds.items() if is_so]
            for space in made.spaces:
                answers.append(_ask(made.study, space))
        except Exception:  # an outermost loop: the seeds that follow are examined all the same
            exceptions.append(_without_folders(traceback.format_exc()))
    logged = []
    for record in records:
        if record.name.split(".")[0] == "optuna_snn":
            logged.append(f"{record.module}.{record.funcName}")
        else:
            exceptions.append(f"{record.name} logged: {record.getMessage()}")
    return Finding(seed, kinds, answers, exceptions, logged)


def out_of_range(params: Mapping[str, Any], space: Mapping[str, BaseDistribution]) -> list[str]:
    """A sentence for each parameter of the space that is missing or outside its bounds.

    A trial may have others beside: the retry of a dead trial has those of the dead one.
    """
    wrong = [f"{name} is missing" for name in sorted(space.keys() - params.keys())]
    for name in sorted(space.keys() & params.keys()):
        value, distribution = params[name], space[name]
        try:
            is_inside = distribution._contains(distribution.to_internal_repr(value))
        except ValueError:
            is_inside = False
        if not is_inside:
            wrong.append(f"{name} = {value!r} is not in {distribution}")
    return wrong


def summary(findings: Sequence[Finding], seconds: float) -> dict[str, Any]:
    """What a run found (at least one finding), in numbers, and all that went wrong."""
    slowest = max(findings, key=lambda f: f.slowest_s)
    return {
        "first_seed": findings[0].seed,
        "histories": len(findings),
        "asks": sum(len(f.answers) for f in findings),
        "exceptions": sum(bool(f.exceptions) for f in findings),
        "out_of_range": sum(bool(f.out_of_range) for f in findings),
        "failures": [
            {"seed": f.seed, "exceptions": f.exceptions, "out_of_range": f.out_of_range}
            for f in findings
            if f.exceptions or f.out_of_range
        ],
        "chosen_by": _counted(answer.chosen_by for f in findings for answer in f.answers),
        "kinds": _counted(kind for f in findings for kind in f.kinds),
        "logged": _counted(name for f in findings for name in f.logged),
        "slowest_ask": {"seed": slowest.seed, "seconds": round(slowest.slowest_s, 2)},
        "seconds": round(seconds),
        "versions": {p: version(p).partition("+")[0] for p in PACKAGES}
        | {"python": platform.python_version()},
    }


def fuzz(seeds: Sequence[int], n_jobs: int, save: Callable[[dict[str, Any]], None]) -> int:
    """Examine the seeds with a line of progress, and save now and then. Returns the failures."""
    started = time.perf_counter()
    findings: list[Finding] = []
    n_wrong = 0
    with _results(seeds, n_jobs) as results:
        for found in results:
            findings.append(found)
            if found.exceptions or found.out_of_range:
                n_wrong += 1
                print(f"\nseed {found.seed}:", *found.exceptions, *found.out_of_range, sep="\n")
            seconds = time.perf_counter() - started
            is_saved = len(findings) % SAVED_EVERY == 0 or len(findings) == len(seeds)
            if is_saved:
                save(summary(findings, seconds))
            if is_saved or sys.stdout.isatty():
                line = f"{len(findings)} of {len(seeds)} histories, {n_wrong} wrong"
                end = "\r" if sys.stdout.isatty() else "\n"
                print(f"{line}, {seconds:.0f} s", end=end, flush=True)
    print()
    return n_wrong


def _ask(study: optuna.Study, space: dict[str, BaseDistribution]) -> Answer:
    started = time.perf_counter()
    trial = study.ask(space)
    seconds = time.perf_counter() - started
    tag = read_tag(study.get_trials(deepcopy=False)[trial.number])
    if tag is None:
        chosen_by = "no tag"
    else:
        chosen_by = "initial design" if tag.tag.is_initial else "model"
        chosen_by += " after a restart" if tag.tag.epoch > 0 else ""
    return Answer(chosen_by, out_of_range(trial.params, space), seconds)


@contextmanager
def _listening() -> Iterator[list[logging.LogRecord]]:
    """Collect the warnings that anyone logs."""
    records: list[logging.LogRecord] = []
    handler = logging.Handler(logging.WARNING)
    handler.emit = records.append  # type: ignore[method-assign, assignment]
    loggers = [logging.getLogger(), logging.getLogger("optuna")]  # Optuna's do not propagate
    for logger in loggers:
        logger.addHandler(handler)
    try:
        yield records
    finally:
        for logger in loggers:
            logger.removeHandler(handler)


@contextmanager
def _results(seeds: Sequence[int], n_jobs: int) -> Iterator[Iterator[Finding]]:
    """Findings in the order of their seeds, from this process or from `n_jobs` others."""
    if n_jobs == 1:
        yield map(examine, seeds)
        return
    with ProcessPoolExecutor(n_jobs, get_context("spawn"), _prepare) as pool:
        yield pool.map(examine, seeds, chunksize=10)


def _prepare() -> None:
    """Load PyTorch, which would count as time of the first ask, and keep Optuna from chatting."""
    import_module("optuna_snn.scbo.suggest")
    optuna.logging.set_verbosity(optuna.logging.WARNING)


def _without_folders(text: str) -> str:
    """A traceback that is the same wherever things are installed."""
    return re.sub(r'(?<=File ").*?/site-packages/', "", text.replace(f"{ROOT}/", ""))


def _counted(names: Iterable[str]) -> dict[str, int]:
    return dict(sorted(Counter(names).items()))


def main() -> int:
    """Words to calls. Returns 1 if anything went wrong."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--histories", type=int, default=1000, help="how many (default: 1000)")
    parser.add_argument("--first", type=int, default=0, help="the first seed (default: 0)")
    parser.add_argument("--jobs", type=int, default=1, help="processes (default: 1)")
    parser.add_argument("--results", type=Path, default=RESULTS, help="what is kept")
    arguments = parser.parse_args()
    if arguments.histories < 1 or arguments.jobs < 1 or arguments.first < 0:
        parser.error("--histories and --jobs must be at least 1, --first at least 0")
    path = arguments.results
    kept = json.loads((path.read_text() if path.exists() else "") or "[]")

    def save(result: dict[str, Any]) -> None:
        path.write_text(json.dumps([*kept, result], indent=1) + "\n")

    _prepare()
    seeds = range(arguments.first, arguments.first + arguments.histories)
    return int(fuzz(seeds, arguments.jobs, save) > 0)


if __name__ == "__main__":
    sys.exit(main())
