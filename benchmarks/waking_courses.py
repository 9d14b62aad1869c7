"""Which samples waking networks were silent for: trained once, kept, and read as groups.

A line of the results is a `Course`, one network; a `Group` has all networks of a kind.
"""

from __future__ import annotations

import json
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from benchmarks.waking_networks import Kind, Params

FIRST = 32
"""Samples by which a network is called waking."""


@dataclass(frozen=True)
class Course:
    """What one network was silent for.

    stretches: layer -> lengths of the stretches of firing and of silent samples, by turns, the
               first of firing ones (and so perhaps 0)
    accuracy:  share of the digits that it named while it learnt the last quarter; None where it
               learns without labels
    """

    kind: str
    batch: int
    number: int
    params: Mapping[str, float]
    stretches: Mapping[str, Sequence[int]]
    accuracy: float | None = None

    @property
    def group(self) -> tuple[str, int]:
        """Name and batch of its kind."""
        return self.kind, self.batch

    def is_silent(self) -> NDArray[np.bool_]:
        """(n_layers, n_samples): which samples were silent."""
        return np.array([expanded(lengths) for lengths in self.stretches.values()])


def stretches(is_silent: NDArray[np.bool_]) -> list[int]:
    """The lengths of stretches of firing and silent samples, by turns. is_silent: (n_samples,)."""
    edges = np.flatnonzero(np.diff(is_silent, prepend=False))
    return [int(n) for n in np.diff(edges, prepend=0, append=len(is_silent))]


def expanded(lengths: Sequence[int]) -> NDArray[np.bool_]:
    """What `stretches` was given."""
    return np.repeat(np.arange(len(lengths)) % 2 == 1, lengths)


def read(path: Path) -> list[Course]:
    """The kept courses; none while there is no file."""
    lines = path.read_text().splitlines() if path.exists() else []
    return [Course(**json.loads(line)) for line in lines]


def train_missing(path: Path, kinds: Sequence[Kind]) -> None:
    """Train the networks that the results lack and keep their courses."""
    done = {(*course.group, course.number) for course in read(path)}
    path.parent.mkdir(parents=True, exist_ok=True)
    for kind in kinds:
        for number, params in enumerate(kind.drawn()):
            if (kind.name, kind.batch, number) in done:
                continue
            started = time.perf_counter()
            course = trained(kind, number, params)
            with path.open("a") as results:
                results.write(json.dumps(asdict(course), separators=(",", ":")) + "\n")
            shares = zip(kind.layers, course.is_silent().mean(axis=1), strict=True)
            text = ", ".join(f"{name} {share:.2f}" for name, share in shares)
            seconds = time.perf_counter() - started
            print(f"{kind.name} {kind.batch:>2} no. {number}: {text}; {seconds:.0f} s", flush=True)


def trained(kind: Kind, number: int, params: Params) -> Course:
    """Train a network to the end."""
    batches = list(kind.train(number, params, kind.batch, kind.n_samples))
    late = batches[3 * len(batches) // 4 :]
    n_correct = [batch.n_correct for batch in late if batch.n_correct is not None]
    n_late = sum(len(batch.counts[kind.layers[0]]) for batch in late)
    silent = {
        name: np.concatenate([np.asarray(batch.counts[name]) for batch in batches]) < 1
        for name in kind.layers
    }
    return Course(
        kind=kind.name,
        batch=kind.batch,
        number=number,
        params={name: float(f"{value:.6g}") for name, value in params.items()},
        stretches={name: stretches(each) for name, each in silent.items()},
        accuracy=round(sum(n_correct) / n_late, 4) if n_correct else None,
    )


@dataclass(frozen=True)
class Group:
    """All networks of a kind.

    is_silent: (n_networks, n_layers, n_samples)
    accuracy:  (n_networks,); NaN for those that learn without labels
    """

    name: str
    batch: int
    is_silent: NDArray[np.bool_]
    accuracy: NDArray[np.float64]

    @property
    def label(self) -> str:
        """Name and batch."""
        return self.name if self.batch == 1 else f"{self.name}, batches of {self.batch}"

    @property
    def n_samples(self) -> int:
        """Samples that each network was trained on."""
        return int(self.is_silent.shape[2])

    def is_alive(self, beta: float) -> NDArray[np.bool_]:
        """(n_networks,): silent share of the last quarter <= beta in each layer."""
        last = self.is_silent[:, :, -(self.n_samples // 4) :]
        return np.asarray((last.mean(axis=2) <= beta).all(axis=1))

    def is_waking(self, beta: float) -> NDArray[np.bool_]:
        """(n_networks,): alive, and silent share of the first samples > beta in a layer."""
        first = self.is_silent[:, :, :FIRST].mean(axis=2)
        return np.asarray(self.is_alive(beta) & (first > beta).any(axis=1))


def groups(courses: Sequence[Course]) -> list[Group]:
    """The networks by kind, in the order in which kinds appear."""
    found: dict[tuple[str, int], list[Course]] = {}
    for course in courses:
        found.setdefault(course.group, []).append(course)
    return [
        Group(
            *key,
            is_silent=np.array([course.is_silent() for course in own]),
            accuracy=np.array([course.accuracy for course in own], dtype=np.float64),
        )
        for key, own in found.items()
    ]
