"""What retraining gave, and the files that keep it.

    <folder>/results.json                     everything but the weights
    <folder>/trial-<number>-repeat-<i>.npz    the weights of one network

Files get into place whole or not at all.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from statistics import fmean, stdev
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from optuna_snn.objectives.datasets.cache import put_in_place
from optuna_snn.workers.errors import RunError

__all__ = ["RESULTS_FILE", "Repeat", "RetrainedTrial", "read_results", "save_weights", "write"]

RESULTS_FILE = "results.json"


@dataclass(frozen=True)
class Repeat:
    """One new training of a trial's params.

    index:         counted from 1
    test_accuracy: None if the training failed, and `error` says why
    spikes:        layer -> mean spikes of a test sample
    weights:       name of the file of its weights
    """

    index: int
    seed: int
    seconds: float
    test_accuracy: float | None = None
    spikes: Mapping[str, float] | None = None
    weights: str | None = None
    error: str | None = None


@dataclass(frozen=True)
class RetrainedTrial:
    """A trial and its new trainings.

    validation: the trial's value in the study: the best of many, and so too good
    """

    number: int
    validation: float
    params: Mapping[str, Any]
    repeats: tuple[Repeat, ...] = ()

    def with_repeat(self, repeat: Repeat) -> Self:
        """The trial with one more new training, in the order of their indices."""
        repeats = sorted((*self.repeats, repeat), key=lambda each: each.index)
        return replace(self, repeats=tuple(repeats))

    @property
    def test_accuracies(self) -> list[float]:
        """Of the trainings that did not fail."""
        return [r.test_accuracy for r in self.repeats if r.test_accuracy is not None]

    @property
    def mean(self) -> float | None:
        """The mean test accuracy; None if every training failed."""
        return fmean(self.test_accuracies) if self.test_accuracies else None

    @property
    def spread(self) -> float | None:
        """The standard deviation over repeats (n - 1); None for fewer than two."""
        return stdev(self.test_accuracies) if len(self.test_accuracies) > 1 else None

    @property
    def spikes(self) -> dict[str, float]:
        """Layer -> spikes of a test sample, the mean over repeats."""
        found = [repeat.spikes for repeat in self.repeats if repeat.spikes is not None]
        return {name: fmean(each[name] for each in found) for name in (found[0] if found else {})}


def write(folder: Path, study_name: str, trials: Sequence[RetrainedTrial]) -> None:
    """Write the results beside the weights; OSError where that is not possible."""
    content = {
        "study": study_name,
        "trials": [
            asdict(trial) | {"test_mean": trial.mean, "test_spread": trial.spread}
            for trial in trials
        ],
    }
    with put_in_place(folder / RESULTS_FILE) as unfinished:
        unfinished.write_text(json.dumps(content, indent=1))


def read_results(folder: str | Path, study_name: str | None = None) -> tuple[RetrainedTrial, ...]:
    """The results in a folder; none if there is no file.

    Raises RunError, naming the file, if it holds something else, or the results of another study
    than the one named.
    """
    path = Path(folder) / RESULTS_FILE
    try:
        content = json.loads(path.read_text())
        of_study = content["study"]
        results = tuple(
            RetrainedTrial(
                each["number"],
                each["validation"],
                each["params"],
                tuple(Repeat(**repeat) for repeat in each["repeats"]),
            )
            for each in content["trials"]
        )
    except FileNotFoundError:
        return ()
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise RunError(
            f"{path} holds no results of a retraining ({error}); move it away"
        ) from error
    if study_name not in (None, of_study):
        raise RunError(
            f"{path} holds the results of study {of_study!r}, not of {study_name!r}; name another "
            "--folder"
        )
    return results


def save_weights(path: Path, weights: Mapping[str, NDArray[np.generic]]) -> None:
    """Write the arrays as an npz file; OSError where that is not possible."""
    with put_in_place(path) as unfinished, unfinished.open("wb") as file:
        np.savez_compressed(file, **weights)  # type: ignore[arg-type]  # names are no options
