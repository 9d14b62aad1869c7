"""The kept results of `benchmarks.separate_hosts`, and their tables."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass

from benchmarks.runs import RESULTS

KEPT = RESULTS / "separate_hosts.json"


@dataclass(frozen=True)
class Measured:
    """One scenario. finished, failed, retried, lost, flawed: trials, as in `worker_faults.Audit`.

    seconds: by what was waited for
    """

    what: str
    seconds: dict[str, float]
    wanted: int
    finished: int
    failed: int
    retried: int
    running: int
    lost: int
    flawed: int


def seconds_table(kept: Sequence[Measured]) -> str:
    """How long each thing took; starts, which each scenario has, from the least to the most."""
    found: dict[str, list[float]] = {}
    for measured in kept:
        for what, seconds in measured.seconds.items():
            found.setdefault(what, []).append(seconds)
    lines = ["| what | s |", "|---|---|"]
    for what, values in found.items():
        ends = dict.fromkeys(f"{value:.0f}" for value in (min(values), max(values)))
        lines.append(f"| {what} | {' to '.join(ends)} |")
    return "\n".join(lines)


def trials_table(kept: Sequence[Measured]) -> str:
    """What became of the trials."""
    lines = [
        "| what happens to host C | trials wanted | finished | failed, of these tried again "
        "| left running | lost | incomplete |",
        "|---|---|---|---|---|---|---|",
    ]
    for m in kept:
        cells = (m.what, m.wanted, m.finished, f"{m.failed}, {m.retried}", m.running, m.lost)
        lines.append(f"| {' | '.join(map(str, cells))} | {m.flawed} |")
    return "\n".join(lines)


def read() -> list[Measured]:
    """What was kept."""
    return [Measured(**each) for each in json.loads(KEPT.read_text())]
