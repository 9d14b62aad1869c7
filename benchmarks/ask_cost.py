"""What one ask costs: CPU seconds on one thread, beside GPSampler, and as a study grows.

    python -m benchmarks.ask_cost

measures everything anew, keeps it in `benchmarks/results/ask_cost.jsonl` and prints two tables:
what was measured (median and quartiles), and what follows for the goals.

    warm ask      the sampler has asked on this study before, and one more trial has ended since
    first ask     a new sampler on the same study, with all imports done: a worker that joins
    memory        what the first ask leaves behind, per stored trial
    import        `import optuna_snn` after `import optuna`, in a process of its own

The samplers are compared on the trials of a run of SCBOSampler. Both see the same ones: GPSampler
is asked on a copy of the study, where its own suggestions end as failures, which it ignores. The
growing study has trials that look like SCBOSampler's: half of them random, half around the best
point. Reading the storage is measured apart and left out.
"""

from __future__ import annotations

import argparse
import gc
import json
import os
import statistics
import subprocess
import sys
import time
import tracemalloc
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import optuna
from optuna.distributions import FloatDistribution
from optuna.samplers import BaseSampler
from optuna.study import Study
from optuna.trial import FrozenTrial, TrialState

from benchmarks.problems import PROBLEMS, Problem, ackley
from benchmarks.runs import RESULTS, quartiles

NAMES_20 = [f"x{i:02d}" for i in range(1, 21)]
ACKLEY_20 = Problem(
    "ackley20",
    {name: FloatDistribution(-5, 10) for name in NAMES_20},
    lambda params: ackley(np.array([params[name] for name in NAMES_20])),
    budget=500,
    n_startup_trials=21,
)
SPREAD = (0.003, 0.1)
"""Standard deviation around the best point, from and to, as part of a parameter's range."""
SEED = 0

COMPARED = [(PROBLEMS["speed7"], 100), (ACKLEY_20, 500)]
GROWTH = (100, 500, 1_000, 10_000)
N_ASKS, N_FIRST_ASKS, N_IMPORTS = 12, 5, 5
IMPORT_SECONDS = (
    "import time, optuna; t = time.process_time(); import optuna_snn; "
    "print(time.process_time() - t)"
)


@dataclass(frozen=True)
class Measured:
    """One row of the table: CPU seconds of each repetition, or bytes per trial."""

    what: str
    sampler: str
    problem: str
    n_trials: int
    values: list[float]


def make_trials(n: int) -> list[FrozenTrial]:
    """Finished trials of ACKLEY_20 with tags and constraints: random ones and near ones by turns.

    The best point is 0.
    """
    rng = np.random.default_rng(SEED)
    tag_text = _stored_tag(len(ACKLEY_20.space))
    trials = []
    for i in range(n):
        spread = np.exp(rng.uniform(*np.log(SPREAD)))
        params = {}
        for name, d in ACKLEY_20.space.items():
            assert isinstance(d, FloatDistribution)
            near = spread * (d.high - d.low) * rng.normal()
            drawn = near if i % 2 else rng.uniform(d.low, d.high)
            params[name] = float(np.clip(drawn, d.low, d.high))
        value, constraints = ACKLEY_20.evaluate(params)
        trials.append(
            optuna.trial.create_trial(
                value=value,
                params=params,
                distributions=dict(ACKLEY_20.space),
                system_attrs=dict(tag_text),
                constraints=_named(constraints),
            )
        )
    return trials


def _stored_tag(n_dims: int) -> dict[str, str]:
    """What SCBOSampler stores beside a trial of its first region."""
    from optuna_snn.history import TAG_KEY, SamplerTag, write_tag
    from optuna_snn.scbo.fold import Tag

    study = optuna.create_study()
    trial = study.ask()
    tag = Tag(0, 0, 0.8, n_running=1, n_dims=n_dims, is_initial=False)
    write_tag(study, study.get_trials()[trial.number], SamplerTag(tag, 0, 0.5, 0.1))
    return {TAG_KEY: study.trials[0].system_attrs[TAG_KEY]}


def _named(constraints: Sequence[float]) -> dict[str, float]:
    return {f"c{j:02d}": float(c) for j, c in enumerate(constraints)}


def ask(study: Study, problem: Problem) -> tuple[optuna.Trial, float]:
    """A new trial with all its parameters, and the CPU seconds this took without the storage."""
    reading = -time.process_time()
    study.get_trials(deepcopy=False)
    reading += time.process_time()
    seconds = -time.process_time()
    trial = study.ask(dict(problem.space))
    seconds += time.process_time()
    # SCBOSampler reads all trials twice in an ask: for the search space, and for the point.
    return trial, seconds - 2 * reading


def finish(study: Study, problem: Problem, trial: optuna.Trial) -> FrozenTrial:
    """Tell the study what the asked point is worth."""
    value, constraints = problem.evaluate(trial.params)
    for name, c in _named(constraints).items():
        trial.set_constraint(name, c)
    return study.tell(trial, value)


def study_of(trials: Sequence[FrozenTrial], sampler: BaseSampler) -> Study:
    """A study in memory of these trials."""
    study = optuna.create_study(sampler=sampler)
    study.add_trials(trials)
    return study


def compare(problem: Problem, n: int) -> list[Measured]:
    """Warm asks of both samplers, by turns, on the same finished trials: n of SCBOSampler's."""
    ours = study_of([], _scbo())
    for _ in range(n):
        finish(ours, problem, ask(ours, problem)[0])
    theirs = study_of(ours.get_trials(), optuna.samplers.GPSampler(seed=SEED))
    seconds: dict[str, list[float]] = {"SCBOSampler": [], "GPSampler": []}
    for _ in range(1 + N_ASKS):
        trial, own = ask(ours, problem)
        asked, other = ask(theirs, problem)
        theirs.tell(asked, state=TrialState.FAIL)
        theirs.add_trial(finish(ours, problem, trial))
        seconds["SCBOSampler"].append(own)
        seconds["GPSampler"].append(other)
    return [
        Measured("warm ask", name, problem.name, n, values[1:]) for name, values in seconds.items()
    ]


def grow(problem: Problem, trials: Sequence[FrozenTrial]) -> list[Measured]:
    """Warm asks and first asks on studies of the first n trials, by turns, for n in GROWTH."""
    studies = {n: study_of(trials[:n], _scbo()) for n in GROWTH}
    seconds: dict[tuple[str, int], list[float]] = {}

    def ask_all(kind: str) -> None:
        for n, study in studies.items():
            trial, own = ask(study, problem)
            finish(study, problem, trial)
            seconds.setdefault((kind, n), []).append(own)

    ask_all("very first")
    for _ in range(N_ASKS):
        ask_all("warm")
    for _ in range(N_FIRST_ASKS):
        for study in studies.values():
            study.sampler = _scbo()
        ask_all("first")
    return [
        Measured(f"growth: {kind} ask", "SCBOSampler", problem.name, n, values)
        for (kind, n), values in seconds.items()
        if kind != "very first"
    ]


def memory(problem: Problem, trials: Sequence[FrozenTrial]) -> Measured:
    """Bytes per trial that a sampler holds after its first ask, beyond what the study holds."""
    n = len(trials)
    study = study_of(trials, _scbo())
    finish(study, problem, ask(study, problem)[0])
    # A sampler that has gone: what the first ask of a process imports and caches is in memory.
    study.sampler = _scbo()
    gc.collect()
    tracemalloc.start()
    ask(study, problem)
    gc.collect()
    n_bytes = tracemalloc.get_traced_memory()[0]
    tracemalloc.stop()
    return Measured("memory", "SCBOSampler", problem.name, n, [n_bytes / n])


def import_seconds() -> Measured:
    """CPU seconds of the import, each in a new process."""
    command = [sys.executable, "-W", "ignore", "-c", IMPORT_SECONDS]
    values = [
        float(subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout)
        for _ in range(N_IMPORTS)
    ]
    return Measured("import", "", "", 0, values)


def _scbo() -> BaseSampler:
    from optuna_snn import SCBOSampler

    return SCBOSampler(seed=SEED)


def measure() -> list[Measured]:
    """Everything, within some minutes."""
    found = [import_seconds()]
    for problem, n in COMPARED:
        found += compare(problem, n)
    trials = make_trials(max(GROWTH))
    found += grow(ACKLEY_20, trials)
    return [*found, memory(ACKLEY_20, trials)]


def table(found: Sequence[Measured]) -> str:
    """Markdown: medians with quartiles."""
    rows = [
        "| measured | sampler | problem | trials | repetitions | median (quartiles) |",
        "|---|---|---|---|---|---|",
    ]
    for m in found:
        low, median, high = quartiles(m.values)
        unit = "B a trial" if m.what == "memory" else "s"
        digits = 0 if m.what == "memory" else 3
        rows.append(
            f"| {m.what} | {m.sampler} | {m.problem} | {m.n_trials or ''} | {len(m.values)} "
            f"| {median:.{digits}f} ({low:.{digits}f} to {high:.{digits}f}) {unit} |"
        )
    return "\n".join(rows)


def goals(found: Sequence[Measured]) -> str:
    """Markdown: what the medians are to each other, and what they are meant to be."""
    medians = {(m.what, m.sampler, m.problem, m.n_trials): quartiles(m.values)[1] for m in found}
    means = {(m.what, m.sampler, m.problem): statistics.mean(m.values) for m in found}
    rows = ["| | is | wanted |", "|---|---|---|"]
    for problem, n in COMPARED:
        theirs, ours = ("warm ask", "GPSampler"), ("warm ask", "SCBOSampler")
        ratio = medians[*theirs, problem.name, n] / medians[*ours, problem.name, n]
        of_means = means[*theirs, problem.name] / means[*ours, problem.name]
        rows.append(
            f"| GPSampler / SCBOSampler, {problem.name}, {n} trials "
            f"| {ratio:.1f} (of the means, which count every refit: {of_means:.1f}) "
            "| at least 10, better 20 |"
        )

    def grown(kind: str, n: int) -> float:
        return medians[f"growth: {kind} ask", "SCBOSampler", ACKLEY_20.name, n]

    least, most = 1_000, max(GROWTH)
    ratio = grown("warm", most) / grown("warm", least)
    rows.append(f"| warm ask, {most} to {least} trials | {ratio:.2f} | at most 1.2 |")
    for n in GROWTH:
        ratio = grown("first", n) / grown("warm", n)
        wanted = "at most 3" if n <= least else ""
        rows.append(f"| first to warm ask, {n} trials | {ratio:.2f} | {wanted} |")
    n_bytes = medians["memory", "SCBOSampler", ACKLEY_20.name, max(GROWTH)]
    rows.append(f"| memory a trial | {n_bytes:.0f} B | below 1000 B |")
    rows.append(f"| import | {medians['import', '', '', 0]:.3f} s | below 0.3 s |")
    return "\n".join(rows)


def main() -> None:
    """Words to calls."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--results", type=Path, default=RESULTS / "ask_cost.jsonl")
    parser.add_argument("--table", action="store_true", help="only print what is there")
    arguments = parser.parse_args()
    if not arguments.table:
        import torch
        from threadpoolctl import threadpool_limits

        torch.set_num_threads(1)
        optuna.logging.set_verbosity(optuna.logging.ERROR)
        with threadpool_limits(1):
            lines = [json.dumps(asdict(m)) for m in measure()]
        arguments.results.parent.mkdir(parents=True, exist_ok=True)
        arguments.results.write_text("\n".join(lines) + "\n")
    found = [Measured(**json.loads(line)) for line in arguments.results.read_text().splitlines()]
    print(table(found))
    print()
    print(goals(found))


if __name__ == "__main__":
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    main()
