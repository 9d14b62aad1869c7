"""What a user is told of a submission: what was done, how to watch it, how to stop it."""

from __future__ import annotations

import shlex

from optuna_snn.launchers.slurm.resources import SlurmResources
from optuna_snn.launchers.slurm.submission import Submission
from optuna_snn.workers.run_settings import RunSettings
from optuna_snn.workers.storage.opening import shown_url

__all__ = ["submission_facts"]


def submission_facts(
    settings: RunSettings, resources: SlurmResources, submission: Submission, *, max_timeouts: int
) -> list[tuple[str, str]]:
    """Lines, each with its label; those that belong to the line before have an empty one."""
    job, name = submission.job_id, submission.study_name
    report = ["optuna-snn", "report", str(settings.study_file)]
    if settings.study_name is not None:
        report += ["--study-name", name]
    return [
        ("submitted", f"job {job}: {_crew_words(resources)}"),
        (
            "study",
            f"{name} in {shown_url(submission.url)}, until it has {settings.n_trials} trials",
        ),
        ("watch", f"squeue --job {job}"),
        ("", f"{shlex.join(report)}    (with OPTUNA_SNN_STORAGE set)"),
        ("stop", f"scancel --state=PENDING {job}; scancel --signal=TERM {job}"),
        ("", "(running trials finish or are queued again; submit again to continue)"),
        (
            "queued again",
            "tasks that are preempted, lose their node, or run out of time (at most "
            f"{max_timeouts} times)",
        ),
        ("logs", str(submission.log_folder)),
    ]


def _crew_words(resources: SlurmResources) -> str:
    n_workers = resources.n_workers
    workers = "workers as it gets GPUs" if n_workers is None else _count(n_workers, "worker")
    on = "" if resources.gpus is None else f" on GPUs ({resources.gpus})"
    return f"{_count(resources.array_size, 'task')} of {workers}{on}"


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"
