"""One search of `benchmarks.experiments`: a study from beginning to end, in this process.

Seconds are those of the process with one thread, so that other load on the machine does not count.
Every sampler gets a seed, which a search by one process needs to be repeated.
"""

from __future__ import annotations

import os
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import optuna
from optuna.distributions import IntDistribution
from optuna.study import StudyDirection
from optuna.trial import FrozenTrial, Trial, TrialState

from benchmarks.experiments_kept import Combination, Repeats, Search, Trials
from benchmarks.runs import ROOT
from benchmarks.stdp_digits import make_sampler
from optuna_snn.objectives import DataSplit, SLAYERObjective, TrainingDivergedError, spaces
from optuna_snn.retraining import retrain_best
from optuna_snn.stored_spikes import spike_report
from optuna_snn.workers.display.progress import best_trials
from optuna_snn.workers.study_file import StudyFile, load_study_file

__all__ = ["REDUCED", "search", "study_file_of"]

STUDIES = {1: "experiment_1_stdp_mnist", 3: "experiment_3_slayer_mnist"}
PACKAGES = ("optuna-snn", "optuna", "torch", "numba", "lava-dl")

REDUCED = {
    "epochs": IntDistribution(1, 2),
    "batch_size": IntDistribution(4, 50),
    "c1_filters": IntDistribution(1, 4),
    "c2_filters": IntDistribution(1, 8),
    "c1_k": IntDistribution(4, 8),
    "c2_k": IntDistribution(4, 8),
}
"""Bounds of experiment 3 at scale reduced, which differ from those of scale laptop."""
N_TRAIN, N_VALIDATION = 1000, 500
"""Digits at scale reduced."""
REDUCED_BETA = 0.2
"""Share of silent samples tolerated at scale reduced, where the paper has 0.05: the first hundred
samples, before a network has learnt to spike, are a tenth of such a training, not a thousandth."""


def search(
    combination: Combination, *, time_limit_s: float | None = None, top: int = 1, repeats: int = 3
) -> Search:
    """Tune, then train the best trials again.

    Args:
        combination: what is searched, and how.
        time_limit_s: seconds of one core after which no further trial begins.
        top: so many of the best feasible trials are trained again,
        repeats: so many times each.

    Raises:
        RunError: no such study, a wrong option, or every new training failed.
    """
    import torch

    torch.set_num_threads(1)
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    definition = study_file_of(combination)
    study = optuna.create_study(
        direction=StudyDirection[definition.direction.upper()],
        sampler=make_sampler(combination.sampler, combination.seed),
        pruner=definition.pruner(),
    )
    watch = _Stopwatch(definition.objective, time_limit_s)
    study.optimize(
        watch.objective,
        n_trials=combination.n_trials,
        callbacks=[watch.after_trial],
        catch=(TrainingDivergedError,),
    )
    split = definition.objective.split  # type: ignore[attr-defined]
    parts = {name: len(getattr(split, name)) for name in ("train", "validation", "test")}
    return Search(
        combination=combination,
        trials=_trials(study.get_trials(deepcopy=False), watch),
        retrained=_retrained(study, definition.objective, top, repeats, combination.seed),
        samples=parts,
        versions={name: version(name).partition("+")[0] for name in PACKAGES},
        time_limit_s=time_limit_s,
    )


def study_file_of(combination: Combination) -> StudyFile:
    """The experiment's study file with the options of the combination.

    At scale reduced, experiment 3 has fewer digits and narrower bounds than at scale laptop; all
    else is the same.
    """
    is_reduced = combination.scale == "reduced"
    options = {
        "scale": "laptop" if is_reduced else combination.scale,
        "space": combination.space,
        "rule": combination.rule,
        "sampler": combination.sampler,
        "seed": str(combination.seed),
    }
    with _environment({f"OPTUNA_SNN_{name.upper()}": v for name, v in options.items()}):
        found = load_study_file(ROOT / "studies" / f"{STUDIES[combination.experiment]}.py")
    return _reduced(found, combination) if is_reduced else found


def _reduced(found: StudyFile, combination: Combination) -> StudyFile:
    if combination.experiment != 3:
        raise ValueError(f"Experiment {combination.experiment} has no scale reduced; take laptop.")
    whole: Any = found.objective
    return StudyFile(
        path=found.path,
        objective=SLAYERObjective(
            DataSplit(
                whole.split.train.take(np.arange(N_TRAIN)),
                whole.split.validation.take(np.arange(N_VALIDATION)),
                whole.split.test,
            ),
            space={**spaces.EXPERIMENT_3_RELEASED, **REDUCED},
            setup=whole.setup,
            layers=("output",),
            alpha=5,
            beta=REDUCED_BETA,
            rule=combination.rule,  # type: ignore[arg-type]  # the study file has checked it
            warmup=0 if combination.rule == "paper" else None,
            seed=combination.seed,
        ),
        direction=found.direction,
        name=found.name,
        metric_name=found.metric_name,
        sampler=found.sampler,
        pruner=found.pruner,
    )


@contextmanager
def _environment(variables: Mapping[str, str]) -> Iterator[None]:
    before = dict(os.environ)
    os.environ.update(variables)
    try:
        yield
    finally:
        os.environ.clear()
        os.environ.update(before)


class _Stopwatch:
    """Times each trial, in the objective and outside of it, and ends a study that takes long."""

    def __init__(self, objective: Callable[[Trial], float], time_limit_s: float | None) -> None:
        self._objective = objective
        self._time_limit_s = time_limit_s
        self._started_at = self._last_end = time.process_time()
        self.seconds: list[float] = []
        self.sampler_seconds: list[float] = []

    def objective(self, trial: Trial) -> float:
        _ = trial.relative_params  # asks the sampler now rather than at the first suggestion
        started_at = time.process_time()
        try:
            return self._objective(trial)
        finally:
            self.seconds.append(time.process_time() - started_at)

    def after_trial(self, study: optuna.Study, trial: FrozenTrial) -> None:
        now = time.process_time()
        self.sampler_seconds.append(now - self._last_end - self.seconds[-1])
        self._last_end = now
        if self._time_limit_s is not None and now - self._started_at >= self._time_limit_s:
            study.stop()


def _trials(trials: list[FrozenTrial], watch: _Stopwatch) -> Trials:
    reports = [spike_report(trial) for trial in trials]
    names = sorted({name for trial in trials for name in trial.constraints})
    return Trials(
        states=[trial.state.name for trial in trials],
        # Optuna takes the last epoch's accuracy for the value of a pruned trial.
        values=[
            _rounded(trial.value) if trial.state == TrialState.COMPLETE else None
            for trial in trials
        ],
        constraints={
            name: [_rounded(trial.constraints.get(name)) for trial in trials] for name in names
        },
        seconds=[round(s, 3) for s in watch.seconds],
        sampler_seconds=[round(s, 3) for s in watch.sampler_seconds],
        samples=[0 if report is None else report.samples_seen for report in reports],
        planned=[0 if report is None else report.planned_samples or 0 for report in reports],
    )


def _rounded(value: float | None) -> float | None:
    """To five significant digits, which never turn a violation into none."""
    return None if value is None else float(f"{value:.5g}")


def _retrained(
    study: optuna.Study, objective: object, top: int, repeats: int, seed: int
) -> list[Repeats]:
    if not best_trials(study.get_trials(deepcopy=False), study.direction.name.lower(), 1):
        return []
    with tempfile.TemporaryDirectory() as folder:
        found = retrain_best(
            study, objective, top=top, repeats=repeats, folder=Path(folder), seed=seed
        )
    return [
        Repeats(
            number=trial.number,
            validation=trial.validation,
            params=dict(trial.params),
            test_accuracies=trial.test_accuracies,
            spikes=trial.spikes,
            seconds=[round(repeat.seconds, 1) for repeat in trial.repeats],
        )
        for trial in found
    ]
