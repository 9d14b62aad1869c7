"""Who starts the workers of `optuna-snn run`, and which options are whose."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum

__all__ = ["Launcher", "check_options"]


class Launcher(StrEnum):
    """Who starts the workers."""

    LOCAL = "local"
    SLURM = "slurm"
    RAY = "ray"


LAUNCHERS = {
    "--devices": {Launcher.LOCAL},
    "--slots": {Launcher.LOCAL},
    "--new": {Launcher.LOCAL, Launcher.RAY},
    "--ray-address": {Launcher.RAY},
    "--gpus-per-worker": {Launcher.RAY},
    "--cpus-per-worker": {Launcher.RAY},
}
"""Option -> the launchers that it means something to."""

INSTEAD = {
    (Launcher.RAY, "--devices"): "Ray gives the GPUs: --gpus-per-worker 1",
    (Launcher.RAY, "--slots"): "workers share a GPU by --gpus-per-worker 0.5",
    (Launcher.SLURM, "--devices"): "say optuna-snn submit --gpus N",
    (Launcher.SLURM, "--slots"): "say optuna-snn submit --slots N",
    (Launcher.SLURM, "--gpus-per-worker"): "say optuna-snn submit --gpus N --slots N",
    (Launcher.SLURM, "--cpus-per-worker"): "say optuna-snn submit --cpus N",
    (Launcher.SLURM, "--new"): "begin anew with another --study-name",
    (Launcher.LOCAL, "--gpus-per-worker"): "give devices: --devices all --slots 2",
}
"""What to do instead of an option; without an entry, leave it away."""


def check_options(launcher: Launcher, options: Mapping[str, object]) -> None:
    """Refuse options that mean nothing to this launcher.

    options: each option of LAUNCHERS with its value, None where it was not given.

    Raises:
        RunError: one that is given and is another launcher's.
    """
    for option, value in options.items():
        if value is not None and launcher not in LAUNCHERS[option]:
            from optuna_snn.workers.errors import RunError

            instead = INSTEAD.get((launcher, option), "leave it away")
            raise RunError(f"{option} means nothing to --launcher {launcher}; {instead}")
