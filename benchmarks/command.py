"""The command line that the benchmarks of `runs` share: run what is missing, then show."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from benchmarks.runs import RESULTS, Run, run_missing, to_line

RunOne = Callable[[str, str, int], Run]
"""(what is compared, problem, seed) -> a run in this process."""


@dataclass(frozen=True)
class Command:
    """A benchmark's words; `parser` may be given more of them before `arguments` is asked."""

    name: str
    """The benchmark's: of its module, and of its results."""
    parser: argparse.ArgumentParser

    def arguments(self, run_one: RunOne) -> argparse.Namespace | None:
        """What was asked for; None where it was one run, which is then made and printed."""
        arguments = self.parser.parse_args()
        if arguments.run is None:
            return arguments
        what, problem, seed = arguments.run
        print(to_line(run_one(what, problem, int(seed))))
        return None

    def run_missing(
        self, arguments: argparse.Namespace, compared: Sequence[str], problems: Sequence[str]
    ) -> None:
        """Run what the results lack, seed by seed; nothing with ``--table``."""
        if arguments.table:
            return
        wanted = [
            (what, problem, seed)
            for seed in range(arguments.seeds)
            for problem in problems
            for what in compared
        ]
        run_missing(arguments.results, wanted, arguments.jobs, f"benchmarks.{self.name}")


def command(name: str, doc: str | None, n_seeds: int = 10) -> Command:
    """The command of `benchmarks/<name>.py`, with the words that all have."""
    parser = argparse.ArgumentParser(
        description=doc, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--seeds", type=int, default=n_seeds, help="seeds of each search")
    parser.add_argument("--jobs", type=int, default=1, help="runs at a time")
    parser.add_argument("--results", type=type(RESULTS), default=RESULTS / f"{name}.jsonl")
    parser.add_argument("--table", action="store_true", help="only print what is there")
    parser.add_argument("--run", nargs=3, metavar=("WHAT", "PROBLEM", "SEED"), help="one run")
    return Command(name, parser)
