"""What each choice of SCBOSampler's default is worth: the same search with one choice changed.

    python -m benchmarks.ablations --seeds 5 --jobs 2

runs what `benchmarks/results/ablations.jsonl` does not hold yet (interrupt and repeat it as you
like) and prints a table: for each problem the median best feasible value with the default, and
for each changed choice the median and in how many of the paired seeds it was better. The choices
are described in `optuna_snn.scbo.options` and in the arguments of `SCBOSampler`; `paper` changes
all that have a switch to what the paper has.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from benchmarks.command import command
from benchmarks.problems import PROBLEMS, Problem
from benchmarks.runs import (
    Run,
    by_sampler,
    problem_named,
    quartiles,
    read_runs,
    run,
)

PAPER: Mapping[str, Any] = {
    "objective": "ranks",
    "is_scaled": False,
    "is_gap_closed": False,
    "prior": "flat",
    "center": "observed",
    "n_draws": 1,
    "n_perturbed": 20,
    "refinement": "none",
    "is_each_choice_refined": False,
    "untried_choice_share": 0.0,
    "promising_choice_share": 0.0,
    "n_noise_sds": 0.0,
    "crowd_distance": 0.0,
    "elsewhere_share": 0.0,
    "has_restart_design": True,
}

SWITCHES: Mapping[str, Mapping[str, Any]] = {
    "default": {},
    "paper": PAPER,
    "objective by ranks": {"objective": "ranks"},
    "objective standardised": {"objective": "standardised"},
    "constraints not scaled": {"is_scaled": False},
    "gaps not closed": {"is_gap_closed": False},
    "sides of a gap not scaled": {"is_gap_scaled": False},
    "box by lengthscales": {"box": "lengthscales"},
    "flat prior": {"prior": "flat"},
    "one draw": {"n_draws": 1},
    "ten draws": {"n_draws": 10},
    "no refinement": {"refinement": "none"},
    "refine all coordinates": {"refinement": "all"},
    "integers by steps only": {"is_relaxed": False},
    "the centre's choices only": {"is_each_choice_refined": False},
    "no untried choices": {"untried_choice_share": 0.0},
    "no turn to other choices": {"promising_choice_share": 0.0},
    "half the candidates": {"candidates_per_dim": 100},
    "twice the candidates": {"candidates_per_dim": 400},
    "perturb 10": {"n_perturbed": 10},
    "perturb 20": {"n_perturbed": 20},
    "perturb 5 under noise": {"n_noisy_perturbed": 5},
    "100 local points": {"max_local_points": 100},
    "centre as observed": {"center": "observed"},
    "a design at each restart": {"has_restart_design": True},
    "no least box under noise": {"n_noise_sds": 0.0},
    "crowds allowed": {"crowd_distance": 0.0},
    "never elsewhere": {"elsewhere_share": 0.0},
    "the mean of draws only": {"single_draw_share": 0.0},
}
"""Name -> options that differ from the default."""

SAMPLER_SWITCHES: Mapping[str, Mapping[str, Any]] = {
    "design of 2 d": {"n_startup_trials": "2 d"},
    "failure tolerance of TuRBO": {"failure_tolerance": "max(4, d)"},
    "box of the whole cube": {"length_init": 1.6},
}
"""Name -> arguments of the sampler that differ from the default."""

DEFAULT_PROBLEMS = (
    "pressure4",
    "welded4",
    "speed7",
    "ackley10",
    "ackley10_noisy",
    "mixed12",
    "choices8",
    "silent12",
)


def make_sampler(switch: str, problem: Problem, seed: int) -> Any:
    """The sampler with one choice changed."""
    from optuna_snn import SCBOSampler
    from optuna_snn.scbo.options import Options

    d = len(problem.space)
    values = {"2 d": 2 * d, "max(4, d)": max(4, d)}
    changed = dict(SAMPLER_SWITCHES.get(switch, {}))
    arguments = {key: values.get(value, value) for key, value in changed.items()}
    return SCBOSampler(
        seed=seed,
        **{"n_startup_trials": problem.n_startup_trials, **arguments},
        options=Options(**SWITCHES.get(switch, {})),
    )


def table(runs: Sequence[Run]) -> str:
    """Markdown: one row per switch, one column per problem."""
    problems = [p.name for p in PROBLEMS.values() if by_sampler(runs, p.name)]
    found = {name: by_sampler(runs, name) for name in problems}
    rows = [
        "| changed | " + " | ".join(problems) + " |",
        "|---|" + "---|" * len(problems),
    ]
    for switch in [*SWITCHES, *SAMPLER_SWITCHES]:
        cells = [_cell(found[name].get(switch, []), found[name]["default"]) for name in problems]
        if any(cells):
            rows.append(f"| {switch} | " + " | ".join(cells) + " |")
    return "\n".join(rows)


def _cell(own: Sequence[Run], default: Sequence[Run]) -> str:
    """Median, and wins : losses against the default with the same seeds."""
    if not own:
        return ""
    base = {r.seed: r.best_after(r.budget) for r in default}
    pairs = [(r.best_after(r.budget), base[r.seed]) for r in own if r.seed in base]
    median = quartiles([r.best_after(r.budget) for r in own])[1]
    if own is default:
        return f"{median:.5g} (n = {len(own)})"
    return f"{median:.5g} ({sum(a < b for a, b in pairs)} : {sum(a > b for a, b in pairs)})"


def run_one(switch: str, problem: str, seed: int) -> Run:
    """One run in this process."""
    found = problem_named(problem)
    return run(switch, lambda p, s: make_sampler(switch, p, s), found, seed, found.budget)


def main() -> None:
    """Words to calls."""
    switches = [*SWITCHES, *SAMPLER_SWITCHES]
    own = command("ablations", __doc__, n_seeds=5)
    own.parser.add_argument("--switches", nargs="+", default=switches, choices=switches)
    own.parser.add_argument(
        "--problems", nargs="+", default=DEFAULT_PROBLEMS, choices=list(PROBLEMS)
    )
    arguments = own.arguments(run_one)
    if arguments is not None:
        own.run_missing(arguments, arguments.switches, arguments.problems)
        print(table(read_runs(arguments.results)))


if __name__ == "__main__":
    main()
