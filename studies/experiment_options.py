"""What can be chosen of the four experiments of Firmin, Boulet & Talbi (2024), and how they start.

As a script:      python studies/experiment_1_stdp_mnist.py --scale smoke --storage x.db
As a study file:  OPTUNA_SNN_SCALE=smoke optuna-snn run studies/experiment_1_stdp_mnist.py

A script hands everything on to `optuna-snn run`, and takes that command's options too: --workers,
--devices, --timeout, --new, ... Workers are processes of their own that load the study file, so
the choices travel in the environment.

    --scale    OPTUNA_SNN_SCALE     smoke: under a minute; laptop: hours on a few cores;
                                    paper: the paper's data and budget
    --space    OPTUNA_SNN_SPACE     released: the bounds of the authors' scripts;
                                    as_run: those that their published results fill
    --rule     OPTUNA_SNN_RULE      sequential; paper: the authors' count; record: stops nothing
    --sampler  OPTUNA_SNN_SAMPLER   scbo, tpe, random
    --data     OPTUNA_SNN_DATA      folder of the data set
    --seed     OPTUNA_SNN_SEED      of networks and of scbo

Another choice makes another study, and so do other data of the same scale.

doi 10.1016/j.neucom.2024.128483
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn

import optuna

from optuna_snn import SCBOSampler
from optuna_snn.workers import RunError

CHOICES = {
    "scale": ("laptop", "smoke", "paper"),
    "space": ("released", "as_run"),
    "rule": ("sequential", "paper", "record"),
    "sampler": ("scbo", "tpe", "random"),
}
"""The first of each is the default."""


@dataclass(frozen=True)
class Options:
    """The choices of this run; see the table above."""

    scale: str
    space: str
    rule: str
    sampler: str
    data: str | None
    seed: int

    @property
    def is_paper(self) -> bool:
        """Whether the data and the budget are those of the paper."""
        return self.scale == "paper"

    def study_name(self, experiment: str, data: str | None) -> str:
        """A name for each combination: their trials must not meet in one study.

        data: what they learn, where it is not what the scale has by itself
        """
        others = [name for name in CHOICES if name != "scale"]
        unusual = [getattr(self, n) for n in others if getattr(self, n) != CHOICES[n][0]]
        seed = [f"seed{self.seed}"] if self.seed else []
        return "-".join([experiment, self.scale, *([data] if data else []), *unusual, *seed])

    def warmup(self, samples: int | None) -> int | None:
        """`samples` that are not judged; the authors' rule has no warm-up."""
        return 0 if self.rule == "paper" else samples

    def make_sampler(self, n_startup_trials: int | None = None) -> optuna.samplers.BaseSampler:
        """A worker's own sampler.

        n_startup_trials: of scbo, its points before the model; None leaves that to it

        tpe and random get no seed: with one, all workers would draw the same points.
        """
        if self.sampler == "scbo":
            return SCBOSampler(n_startup_trials=n_startup_trials, seed=self.seed)
        if self.sampler == "tpe":
            return optuna.samplers.TPESampler()
        return optuna.samplers.RandomSampler()


@dataclass(frozen=True)
class Budget:
    """What a run takes unless its options say otherwise."""

    n_trials: int
    n_workers: int = 1
    hours: float | None = None


PAPER_BUDGET = Budget(n_trials=100_000, n_workers=15, hours=100)
"""The authors' 15 workers, with a GPU each, had 100 hours and no limit of trials."""


def read_options(environment: Mapping[str, str] = os.environ) -> Options:
    """The choices that the environment holds.

    Raises RunError for a value that is no choice.
    """
    found = {name: environment.get(_variable(name)) or CHOICES[name][0] for name in CHOICES}
    for name, value in found.items():
        if value not in CHOICES[name]:
            raise RunError(
                f"{_variable(name)} must be one of {', '.join(CHOICES[name])}, got {value!r}"
            )
    seed = environment.get(_variable("seed")) or "0"
    if not seed.isdecimal():
        raise RunError(f"{_variable('seed')} must be a whole number >= 0, got {seed!r}")
    return Options(**found, data=environment.get(_variable("data")) or None, seed=int(seed))


def run_script(file: str, budgets: Mapping[str, Budget]) -> NoReturn:
    """Run the study file `file` as the command line says, and exit as `optuna-snn run` does.

    budgets: of scales; options of the command line have precedence
    """
    from optuna_snn.cli import main

    parser = argparse.ArgumentParser(
        prog=Path(file).name,
        epilog="Other options are those of `optuna-snn run`; see `optuna-snn run --help`.",
    )
    for name, choices in CHOICES.items():
        parser.add_argument(f"--{name}", choices=choices, help=f"{choices[0]} unless given")
    parser.add_argument("--data", metavar="FOLDER", help="folder of the data set")
    parser.add_argument("--seed", type=int, help="0 unless given")
    ours, others = parser.parse_known_args()
    for name, value in vars(ours).items():
        if value is not None:
            os.environ[_variable(name)] = str(value)
    scale = os.environ.get(_variable("scale")) or CHOICES["scale"][0]
    budget = budgets.get(scale, PAPER_BUDGET)
    words = {"--n-trials": budget.n_trials}
    if not _are_given(others, "--workers", "--devices", "--slots"):
        words["--workers"] = budget.n_workers
    if budget.hours is not None:
        words["--timeout"] = round(3600 * budget.hours)
    defaults = [
        word
        for option, value in words.items()
        if not _are_given(others, option)
        for word in (option, str(value))
    ]
    sys.exit(main(["run", file, *defaults, *others]))


def _are_given(words: list[str], *options: str) -> bool:
    return any(word.split("=")[0] in options for word in words)


def _variable(name: str) -> str:
    return f"OPTUNA_SNN_{name.upper()}"
