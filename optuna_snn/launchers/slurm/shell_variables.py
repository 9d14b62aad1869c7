"""Variables of a shell that sbatch follows rather than the lines of a script.

`man sbatch`: what stands in a script is overridden by the environment, and that by the command
line. Someone with SBATCH_PARTITION in their profile would get that partition, whatever they ask
for here.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager

__all__ = ["overriding_variables", "without_variables"]

OTHER_NAMES = {
    "array": ("ARRAY_INX",),
    "job-name": ("JOB_NAME",),
    "mem": ("MEM_PER_NODE", "MEM_PER_CPU", "MEM_PER_GPU"),
    "requeue": ("REQUEUE", "NO_REQUEUE"),
    "time": ("TIMELIMIT",),
}
"""Option -> what follows SBATCH_, where that is not the option itself in capitals."""


def overriding_variables(
    options: Iterable[str], environment: Mapping[str, str] = os.environ
) -> list[str]:
    """Names of the variables that are set and would override an option of a script.

    options: long names of sbatch's options, without dashes.
    """
    names = [
        f"SBATCH_{name}"
        for option in options
        for name in OTHER_NAMES.get(option, (option.upper().replace("-", "_"),))
    ]
    return [name for name in names if name in environment]


@contextmanager
def without_variables(names: Iterable[str]) -> Iterator[None]:
    """Hide variables from the programs that are started while the block lasts."""
    hidden = {name: os.environ.pop(name) for name in names}
    try:
        yield
    finally:
        os.environ.update(hidden)
