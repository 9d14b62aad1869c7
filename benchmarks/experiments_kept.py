"""What is kept of the searches of `benchmarks.experiments`: one line of JSON for each.

A search is a `Combination` and what became of it. Several processes may share a file of results:
lines are written under a lock, and a process claims a combination before it runs it. Locks end
with their process, however that ends.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import fmean, stdev
from typing import Any

from benchmarks.runs import RESULTS

__all__ = ["KEPT", "Combination", "Repeats", "Search", "Trials", "append", "claimed", "read"]

KEPT = RESULTS / "experiments.jsonl"
COMPLETE, PRUNED = "COMPLETE", "PRUNED"


@dataclass(frozen=True)
class Combination:
    """What one search is of; none is run twice."""

    experiment: int
    scale: str
    space: str
    sampler: str
    rule: str
    seed: int
    n_trials: int


@dataclass(frozen=True)
class Trials:
    """The trials of a search in the order in which they began, a list for each of their figures.

    states:          COMPLETE, PRUNED or FAIL
    values:          validation accuracy; None where training was stopped or failed
    constraints:     name -> value, feasible where <= 0; None in a trial that lacks it
    seconds:         of one core in the objective: training and validation
    sampler_seconds: of one core between objectives: choosing the next point
    samples:         training samples that were presented
    planned:         those of a training to its end
    """

    states: list[str]
    values: list[float | None]
    constraints: Mapping[str, list[float | None]]
    seconds: list[float]
    sampler_seconds: list[float]
    samples: list[int]
    planned: list[int]

    @property
    def n(self) -> int:
        """How many there are."""
        return len(self.states)

    @property
    def is_silent(self) -> list[bool]:
        """Whether a layer was silent for more samples than tolerated, stopped or not."""
        return [
            any((own[i] or 0.0) > 0.0 for own in self.constraints.values()) for i in range(self.n)
        ]

    @property
    def is_feasible(self) -> list[bool]:
        """Whether the trial has a value and keeps all constraints of the study."""
        return [
            self.states[i] == COMPLETE
            and all((c := own[i]) is not None and c <= 0.0 for own in self.constraints.values())
            for i in range(self.n)
        ]

    @property
    def best_so_far(self) -> list[float]:
        """The best feasible value after each trial; 0 while there is none."""
        found: list[float] = []
        best = 0.0
        for value, is_feasible in zip(self.values, self.is_feasible, strict=True):
            best = max(best, value or 0.0) if is_feasible else best
            found.append(best)
        return found

    @property
    def elapsed_seconds(self) -> list[float]:
        """Seconds of one core until the end of each trial, objective and sampler."""
        total, found = 0.0, []
        for spent in zip(self.seconds, self.sampler_seconds, strict=True):
            total += sum(spent)
            found.append(total)
        return found

    @property
    def share_of_samples_saved(self) -> float:
        """Training samples that stopped networks were spared, as a share of all planned ones."""
        return sum(self._spared(i) for i in range(self.n)) / max(1, sum(self.planned))

    @property
    def share_of_seconds_saved(self) -> float:
        """The share of the objective's seconds that stopping saved, as an estimate.

        A stopped network would have gone on at its own pace; its validation is left out.
        """
        spared = sum(
            self.seconds[i] * self._spared(i) / self.samples[i]
            for i in range(self.n)
            if self.samples[i]
        )
        spent = sum(self.seconds)
        return spared / (spared + spent) if spent else 0.0

    def best_within(self, seconds: float) -> float:
        """The best feasible value of the trials that ended by then; 0 if there is none."""
        ended = zip(self.best_so_far, self.elapsed_seconds, strict=True)
        return max((best for best, at in ended if at <= seconds), default=0.0)

    def _spared(self, i: int) -> int:
        return max(0, self.planned[i] - self.samples[i]) if self.states[i] == PRUNED else 0


@dataclass(frozen=True)
class Repeats:
    """A trial that was trained again, on training and validation samples.

    validation:      the trial's value in the search
    test_accuracies: of each training, with a seed of its own
    spikes:          layer -> mean spikes of a test sample, over trainings
    """

    number: int
    validation: float
    params: Mapping[str, Any]
    test_accuracies: list[float]
    spikes: Mapping[str, float]
    seconds: list[float]

    @property
    def mean(self) -> float:
        """The mean test accuracy; 0 if every training failed."""
        return fmean(self.test_accuracies) if self.test_accuracies else 0.0

    @property
    def spread(self) -> float:
        """The standard deviation over trainings (n - 1); 0 for fewer than two."""
        return stdev(self.test_accuracies) if len(self.test_accuracies) > 1 else 0.0


@dataclass(frozen=True)
class Search:
    """A finished search.

    samples:      part of the data -> its samples
    time_limit_s: seconds of one core after which no further trial began; None: no limit
    retrained:    the best feasible trials, best first; none where no trial was feasible
    """

    combination: Combination
    trials: Trials
    retrained: list[Repeats]
    samples: Mapping[str, int]
    versions: Mapping[str, str]
    time_limit_s: float | None = None

    @property
    def test_accuracy(self) -> float:
        """The mean over the new trainings of the best trial; 0 where there is none."""
        return self.retrained[0].mean if self.retrained else 0.0


def append(path: Path, search: Search) -> None:
    """Add a line to the results."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        file.write(json.dumps(asdict(search)) + "\n")


def read(path: Path) -> list[Search]:
    """The finished searches; none while the file does not exist."""
    if not path.exists():
        return []
    with path.open() as file:
        fcntl.flock(file, fcntl.LOCK_SH)
        return [_to_search(json.loads(line)) for line in file]


@contextmanager
def claimed(path: Path, combination: Combination) -> Iterator[bool]:
    """Within the block no other process runs this combination for the same file of results.

    Gives False, without waiting, where another one does already.
    """
    digest = hashlib.sha256(f"{path.resolve()} {combination}".encode()).hexdigest()[:16]
    place = Path(tempfile.gettempdir()) / f"optuna_snn_experiments_{digest}.lock"
    with place.open("a") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            yield False
            return
        yield True


def _to_search(stored: Mapping[str, Any]) -> Search:
    parts = {
        "combination": Combination(**stored["combination"]),
        "trials": Trials(**stored["trials"]),
        "retrained": [Repeats(**each) for each in stored["retrained"]],
    }
    return Search(**{**stored, **parts})
