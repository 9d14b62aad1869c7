"""The kept results of `benchmarks.workers`: a line of JSON for each scenario."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from benchmarks.runs import RESULTS

KEPT = RESULTS / "workers.jsonl"

Key = tuple[str, str, str]
"""Name, storage and setting of a scenario."""


@dataclass(frozen=True)
class Kept:
    """A line of the results. load: of the machine when the scenario began, per core."""

    name: str
    storage: str
    setting: str
    load: float
    measured: Mapping[str, Any]

    @property
    def key(self) -> Key:
        """What it is found by."""
        return self.name, self.storage, self.setting


def read(path: Path = KEPT) -> list[Kept]:
    """The kept results; none while there are none."""
    lines = path.read_text().splitlines() if path.exists() else []
    return [Kept(**json.loads(line)) for line in lines]


def keep(path: Path, made: Kept, order: Sequence[Key]) -> None:
    """Put a result into the file, in the place of a former one of its key.

    order: of the lines; results of scenarios that are not in it any more are dropped
    """
    others = [kept for kept in read(path) if kept.key != made.key and kept.key in order]
    lines = sorted([*others, made], key=lambda kept: order.index(kept.key))
    path.write_text("".join(json.dumps(asdict(kept)) + "\n" for kept in lines))


def missing_words(kept: Iterable[Kept], wanted: Iterable[Key], *names: str) -> str:
    """One line: how many of the wanted results are not kept, and what measures them.

    Empty where all are there.
    """
    have = {each.key for each in kept}
    named = [key for key in wanted if key[0] in names]
    lacking = [key for key in named if key not in have]
    if not lacking:
        return ""
    only = " ".join(dict.fromkeys(name for name, _, _ in lacking))
    return (
        f"Not measured yet: {len(lacking)} of {len(named)} results; "
        f"`python -m benchmarks.workers --only {only}` measures them."
    )
