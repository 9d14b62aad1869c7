"""Writes the tables of the kept results into the pages of docs/ that have places for them.

    python -m benchmarks.document

A table stands between `<!-- table: NAME -->` and `<!-- end -->`; the words around it are written
by hand. A test holds the pages to the results that are kept.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping

from benchmarks import (
    ablations,
    ask_cost,
    asynchrony,
    choosing_alpha_beta,
    compare,
    conditional,
    experiments_kept,
    experiments_table,
    membrane_gap,
    separate_hosts_kept,
    waking_up,
    watching,
    weighing,
    worker_results,
    worker_tables,
    workers,
)
from benchmarks.ask_cost import Measured
from benchmarks.runs import RESULTS, ROOT, read_runs
from benchmarks.virtual_time import read_async_runs
from benchmarks.waking_courses import Group, groups, read

PAGES = tuple(
    ROOT / "docs" / name
    for name in ("measurements.md", "many_workers.md", "how_to/several_machines.md")
)
PLACE = re.compile(r"(<!-- table: (?P<name>[\w ]+) -->\n).*?(<!-- end -->)", re.DOTALL)


def _measured() -> list[Measured]:
    lines = (RESULTS / "ask_cost.jsonl").read_text().splitlines()
    return [Measured(**json.loads(line)) for line in lines]


def _watched() -> list[watching.Measured]:
    kept = json.loads((RESULTS / "watching.json").read_text())
    return [watching.Measured(**row) for row in kept["rows"]]


def _waking() -> list[Group]:
    return groups(read(RESULTS / "waking_up.jsonl"))


def _of_experiment(number: int) -> Callable[[], str]:
    return lambda: experiments_table.table(experiments_kept.read(experiments_kept.KEPT), number)


def _of_workers(name: str) -> Callable[[], str]:
    return lambda: workers.tables(worker_results.read())[name]


TABLES: Mapping[str, Callable[[], str]] = {
    "compare": lambda: compare.table(read_runs(RESULTS / "compare.jsonl")),
    "ablations": lambda: ablations.table(read_runs(RESULTS / "ablations.jsonl")),
    "asynchrony": lambda: asynchrony.table(read_async_runs(RESULTS / "asynchrony.jsonl")),
    "conditional": lambda: conditional.table(read_runs(RESULTS / "conditional.jsonl")),
    **{f"experiment {number}": _of_experiment(number) for number in (1, 3)},
    "watching": lambda: watching.table(_watched()),
    "membrane gap": lambda: membrane_gap.table(membrane_gap.read(RESULTS / "membrane_gap.jsonl")),
    "weighing": lambda: weighing.table(weighing.read(RESULTS / "weighing.jsonl")),
    "waking up": lambda: waking_up.losses(_waking()),
    "waking up needs": lambda: waking_up.needs(_waking()),
    "waking up all": lambda: waking_up.table(_waking(), 0.1),
    "alpha and beta": lambda: choosing_alpha_beta.table(
        json.loads(choosing_alpha_beta.KEPT.read_text())
    ),
    "ask cost": lambda: ask_cost.table(_measured()),
    "ask cost goals": lambda: ask_cost.goals(_measured()),
    "hosts seconds": lambda: separate_hosts_kept.seconds_table(separate_hosts_kept.read()),
    "hosts trials": lambda: separate_hosts_kept.trials_table(separate_hosts_kept.read()),
    **{name: _of_workers(name) for name in worker_tables.TABLES},
}


def filled(page: str) -> str:
    """The page with each table as of now; KeyError for a table that there is not."""
    return PLACE.sub(lambda m: f"{m[1]}{TABLES[m['name']]()}\n{m[3]}", page)


def main() -> None:
    """Write the pages anew."""
    for page in PAGES:
        page.write_text(filled(page.read_text()))


if __name__ == "__main__":
    main()
