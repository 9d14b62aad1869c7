"""Whether SLURM wants the node of this job for another one.

Where a partition has a GraceTime, a job that is preempted hears SIGTERM and has that time to end.
If it does, it counts as ended and is not requeued; the same signal may also be somebody's wish to
stop it. SLURM itself tells the two apart.
"""

from __future__ import annotations

import os
import re
import subprocess
from collections.abc import Mapping

__all__ = ["is_preempted"]

PREEMPT_TIME = re.compile(r"\bPreemptTime=(?!None)\S")

PATIENCE_S = 20.0


def is_preempted(environment: Mapping[str, str] = os.environ) -> bool:
    """Whether SLURM has chosen this job to make room; False if it does not say so."""
    job = _job_name(environment)
    if job is None:
        return False
    try:
        shown = subprocess.run(
            ["scontrol", "show", "job", job],
            capture_output=True, text=True, timeout=PATIENCE_S, check=True,
        )  # fmt: skip
    except (OSError, subprocess.SubprocessError):
        return False
    return PREEMPT_TIME.search(shown.stdout) is not None


def _job_name(environment: Mapping[str, str]) -> str | None:
    """A task of an array by its number: one of them has the array's own job id, by which SLURM
    would show them all.
    """
    array, task = environment.get("SLURM_ARRAY_JOB_ID"), environment.get("SLURM_ARRAY_TASK_ID")
    if array is not None and task is not None:
        return f"{array}_{task}"
    return environment.get("SLURM_JOB_ID")
