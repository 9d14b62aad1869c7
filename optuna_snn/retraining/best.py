"""Train the best feasible trials of a study again, several times each, with fresh seeds."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from time import perf_counter
from typing import Any

import numpy as np
import optuna

from optuna_snn.objectives.retrained import Retrainable, Retrained
from optuna_snn.retraining.results import (
    RESULTS_FILE,
    Repeat,
    RetrainedTrial,
    read_results,
    save_weights,
    write,
)
from optuna_snn.workers.display.progress import best_trials
from optuna_snn.workers.errors import RunError
from optuna_snn.workers.failures import describe_error

__all__ = ["retrain_best"]

PURPOSE = 0x7265747261696E
"""Keeps the seeds of retraining apart from those of trials with the same seed and number."""


def retrain_best(
    study: optuna.Study,
    objective: Any,
    *,
    top: int,
    repeats: int,
    folder: Path,
    seed: int = 0,
    resume: bool = False,
    on_repeat: Callable[[RetrainedTrial, Repeat], None] = lambda trial, repeat: None,
) -> list[RetrainedTrial]:
    """Train the `top` best feasible COMPLETE trials `repeats` times each; the best trial first.

    After each training the weights and all results so far are in `folder`, and the study's user
    attribute ``retrained/<trial>`` says the mean test accuracy, the spread and the repeats. A
    training that fails is kept with its reason, and the others go on.

    Args:
        study: The study with its trials.
        objective: Its objective, which is `Retrainable`.
        top: How many trials, if there are so many.
        repeats: How many trainings of each.
        folder: Where the files go; it is made.
        seed: With the numbers of trial and repeat it determines the seed of a training.
        resume: Keep what `folder` already has, from the first moment on: another interruption
            loses none of it. Trainings of the same params and seed count, those beyond `repeats`
            as well; those of trials that are not among the best any more stay in the file.
        on_repeat: Called after each training with the trial so far.

    Raises:
        RunError: a number below 1, an objective without `retrain`, a study of several objective
            values, no feasible trial, results in the folder without `resume`, results that cannot
            be written or read, or every training failed.
    """
    for name, number in (("top", top), ("repeats", repeats)):
        if number < 1:
            raise RunError(f"--{name} must be 1 or more, got {number}")
    if not isinstance(objective, Retrainable):
        raise RunError(
            "the objective of this study cannot be retrained: it has no method retrain(params, "
            "seed) that returns an optuna_snn.objectives.retrained.Retrained"
        )
    if len(study.directions) > 1:
        raise RunError(
            f"study {study.study_name!r} has {len(study.directions)} objective values, of which "
            "none says alone which trials are best; retrain takes studies of one. To train a "
            "chosen trial, call its objective's retrain(params, seed)"
        )
    chosen = best_trials(study.get_trials(deepcopy=False), study.direction.name.lower(), top)
    if not chosen:
        raise RunError(
            f"study {study.study_name!r} has no feasible COMPLETE trial to retrain; run it longer"
        )
    if not resume and (folder / RESULTS_FILE).exists():
        raise RunError(
            f"{folder} holds the results of a retraining; --resume keeps them and trains what is "
            "missing, --folder names another folder"
        )
    former = read_results(folder, study.study_name) if resume else ()
    results: list[RetrainedTrial] = []
    for trial in chosen:
        assert trial.value is not None  # COMPLETE, with one objective value
        result = RetrainedTrial(trial.number, trial.value, trial.params)
        for finished in _finished(former, result, folder, seed):
            result = result.with_repeat(finished)
        results.append(result)
    numbers = {result.number for result in results}
    others = [trial for trial in former if trial.number not in numbers]
    for place, result in enumerate(results):
        for index in range(1, repeats + 1):
            repeat = next((each for each in result.repeats if each.index == index), None)
            if repeat is None:
                number_seed = _seed(seed, result.number, index)
                repeat = _train(objective, result, index, number_seed, folder)
                result = results[place] = result.with_repeat(repeat)
            _keep(study, folder, [*results, *others], result)
            on_repeat(result, repeat)
    if not any(result.test_accuracies for result in results):
        raise RunError(f"every training failed; the first one: {results[0].repeats[0].error}")
    return results


def _train(
    objective: Retrainable, trial: RetrainedTrial, index: int, seed: int, folder: Path
) -> Repeat:
    started_at = perf_counter()
    try:
        found = objective.retrain(trial.params, seed)
        if not isinstance(found, Retrained):
            raise TypeError(f"retrain must return a Retrained, got {found!r:.80}")
        # NumPy's numbers, which JSON does not know, are as good.
        accuracy = float(found.test_accuracy)
        spikes = {name: float(mean) for name, mean in found.spikes.items()}
    except Exception as error:  # a user's objective may raise anything; all of it means the same
        reason = describe_error(error)
        return Repeat(index, seed, perf_counter() - started_at, error=reason)
    seconds = perf_counter() - started_at
    name = f"trial-{trial.number}-repeat-{index}.npz"
    try:
        save_weights(folder / name, found.weights)
    except OSError as error:
        raise _unwritable(folder, error) from error
    return Repeat(index, seed, seconds, accuracy, spikes, name)


def _keep(
    study: optuna.Study, folder: Path, results: list[RetrainedTrial], last: RetrainedTrial
) -> None:
    try:
        write(folder, study.study_name, [result for result in results if result.repeats])
    except OSError as error:
        raise _unwritable(folder, error) from error
    study.set_user_attr(
        f"retrained/{last.number}",
        {
            "test_mean": last.mean,
            "test_spread": last.spread,
            "n_repeats": len(last.test_accuracies),
            "validation": last.validation,
        },
    )


def _seed(seed: int, trial_number: int, index: int) -> int:
    """A seed of 63 bits for one training, which no trial had."""
    sequence = np.random.SeedSequence([PURPOSE, seed, trial_number, index])
    return int(sequence.generate_state(1, np.uint64)[0] >> np.uint64(1))


def _finished(
    former: Sequence[RetrainedTrial], trial: RetrainedTrial, folder: Path, seed: int
) -> list[Repeat]:
    """The trainings of an earlier call that did not fail and whose weights are there."""
    return [
        repeat
        for each in former
        if each.number == trial.number and _as_json(each.params) == _as_json(trial.params)
        for repeat in each.repeats
        if repeat.seed == _seed(seed, trial.number, repeat.index)
        and repeat.weights is not None
        and (folder / repeat.weights).is_file()
    ]


def _as_json(params: Mapping[str, Any]) -> str:
    """What the file gives back."""
    return json.dumps(params, sort_keys=True)


def _unwritable(folder: Path, error: OSError) -> RunError:
    return RunError(f"the results cannot be written to {folder} ({error}); name another --folder")
