"""Does it help? The demo's study with SCBO, TPE and random search, at the same budget.

    python benchmarks/stdp_digits.py --seeds 5 --trials 120 --jobs 2

Every run tunes the network of `studies/stdp_digits.py` with one sampler and one seed; silent
networks are stopped by the same pruner in all of them. At the end the best feasible configuration
is trained again, with fresh seeds and on training and validation digits, and tested on digits that
no trial has seen. Finished runs are kept as lines of JSON and not repeated; the table is printed
from them, medians over the seeds with the range behind.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
STUDY = ROOT / "studies" / "stdp_digits.py"
RESULTS = ROOT / "benchmarks" / "results" / "stdp_digits.jsonl"
SAMPLERS = ("scbo", "tpe", "random")
N_RETRAININGS = 3


def make_sampler(name: str, seed: int) -> Any:
    """The sampler of one run, with its own defaults."""
    import optuna

    from optuna_snn import SCBOSampler

    makers = {
        "scbo": SCBOSampler,
        "tpe": optuna.samplers.TPESampler,
        "random": optuna.samplers.RandomSampler,
    }
    return makers[name](seed=seed)


def run_once(sampler: str, seed: int, n_trials: int) -> dict[str, Any]:
    """One study from beginning to end, in this process."""
    import optuna

    from optuna_snn import SpikeActivityPruner
    from optuna_snn.stored_spikes import spike_report
    from optuna_snn.workers.study_file import load_study_file

    optuna.logging.set_verbosity(optuna.logging.WARNING)
    study_file = load_study_file(STUDY)
    study = optuna.create_study(
        direction="maximize", sampler=make_sampler(sampler, seed), pruner=SpikeActivityPruner()
    )
    started_at = time.perf_counter()
    study.optimize(study_file.objective, n_trials=n_trials)
    seconds = time.perf_counter() - started_at

    trials = study.get_trials(deepcopy=False)
    reports = [report for trial in trials if (report := spike_report(trial)) is not None]
    is_silent = [report.is_silent for report in reports]
    feasible = [
        trial
        for trial in trials
        if trial.state == optuna.trial.TrialState.COMPLETE
        and all(c <= 0 for c in trial.constraints.values())
    ]
    best = max(feasible, key=lambda trial: trial.value or 0.0, default=None)
    return {
        "sampler": sampler,
        "seed": seed,
        "n_trials": n_trials,
        "validation": None if best is None else best.value,
        "test": None if best is None else tested(study_file, best.params, seed),
        "silent": sum(is_silent) / len(trials),
        "silent_last_third": statistics.fmean(is_silent[-len(trials) // 3 :]),
        "samples": sum(report.samples_seen for report in reports),
        "seconds": round(seconds, 1),
        "params": None if best is None else best.params,
    }


def tested(study_file: Any, params: dict[str, Any], seed: int) -> float:
    """Mean accuracy on the test digits of the configuration, trained anew with other seeds."""
    from optuna_snn.objectives.stdp.objective import retrain
    from optuna_snn.objectives.stdp.spaces import stdp_config

    objective = study_file.objective
    return statistics.fmean(
        retrain(
            stdp_config(params),
            objective.split,
            setup=objective.setup,
            seed=1_000_000 + 1000 * seed + repeat,
        )
        for repeat in range(N_RETRAININGS)
    )


def read_results(path: Path) -> list[dict[str, Any]]:
    """The finished runs; none while the file does not exist."""
    return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []


def run_missing(path: Path, seeds: int, n_trials: int, n_jobs: int) -> None:
    """Run, each in its own process, what the results do not hold yet."""
    done = {(r["sampler"], r["seed"]) for r in read_results(path) if r["n_trials"] == n_trials}
    todo = [(s, k) for k in range(seeds) for s in SAMPLERS if (s, k) not in done]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}

    def start(task: tuple[str, int]) -> None:
        sampler, seed = task
        arguments = ["--run", sampler, str(seed), "--trials", str(n_trials)]
        ended = subprocess.run(
            [sys.executable, __file__, *arguments],
            env=environment,
            stdout=subprocess.PIPE,
            text=True,
            check=True,
        )
        line = ended.stdout.strip().splitlines()[-1]
        with path.open("a") as results:
            results.write(line + "\n")
        result = json.loads(line)
        shown = {key: result[key] for key in ("validation", "test", "silent", "seconds")}
        print(f"{sampler:>6} seed {seed}: {shown}", flush=True)

    path.parent.mkdir(parents=True, exist_ok=True)
    with ThreadPoolExecutor(n_jobs) as pool:
        list(pool.map(start, todo))


def table(results: Sequence[dict[str, Any]], n_trials: int) -> str:
    """Markdown: one row per sampler, median (smallest to largest) over the seeds."""
    rows = [
        "| sampler | seeds | validation accuracy | test accuracy | silent trials "
        "| silent, last third | training samples |",
        "|---|---|---|---|---|---|---|",
    ]
    for sampler in SAMPLERS:
        own = [r for r in results if r["sampler"] == sampler and r["n_trials"] == n_trials]
        if not own:
            continue
        # A run that found no feasible network counts as an accuracy of 0.
        cells = [
            spread([100 * (r[key] or 0.0) for r in own], " %")
            for key in ("validation", "test", "silent", "silent_last_third")
        ]
        samples = spread([r["samples"] / 1000 for r in own], " k")
        rows.append(" | ".join([f"| {sampler}", str(len(own)), *cells, f"{samples} |"]))
    return "\n".join(rows)


def spread(values: Sequence[float], unit: str) -> str:
    """Median, and the smallest and largest value."""
    return f"{statistics.median(values):.1f}{unit} ({min(values):.1f} to {max(values):.1f})"


def main() -> None:
    """Words to calls."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--seeds", type=int, default=5, help="seeds of each sampler")
    parser.add_argument("--trials", type=int, default=120, help="trials of each run")
    parser.add_argument("--jobs", type=int, default=2, help="runs at a time")
    parser.add_argument("--results", type=Path, default=RESULTS, help="lines of JSON, kept")
    parser.add_argument("--run", nargs=2, metavar=("SAMPLER", "SEED"), help="one run, printed")
    arguments = parser.parse_args()
    if arguments.run is not None:
        sampler, seed = arguments.run
        print(json.dumps(run_once(sampler, int(seed), arguments.trials)))
        return
    run_missing(arguments.results, arguments.seeds, arguments.trials, arguments.jobs)
    print(table(read_results(arguments.results), arguments.trials))


if __name__ == "__main__":
    main()
