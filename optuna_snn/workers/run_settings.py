"""What a run is told, whoever starts its workers."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from optuna_snn.workers.stop import DEFAULT_STOP_GRACE_S
from optuna_snn.workers.storage.opening import DEFAULT_GRACE_S
from optuna_snn.workers.storage.patience import DEFAULT_PATIENCE_S

__all__ = ["RunSettings", "check_limits"]


@dataclass(frozen=True)
class RunSettings:
    """The study and its limits: the same for every worker, on whatever machine.

    Every worker counts the trials of the whole study in the storage, so that none of them needs to
    know how many others there are.

    Raises:
        ValueError: a limit that nothing can keep.
    """

    study_file: Path
    storage: str = field(repr=False)
    """A database URL that every worker can reach; it may hold a password. Empty for
    `<study name>.db` in the current folder, where the workers are on this machine."""
    n_trials: int
    """COMPLETE and PRUNED trials of the whole study, earlier runs included."""
    study_name: str | None = None
    """Instead of the study file's."""
    timeout_s: float | None = None
    """No trial is started after so many seconds; running ones finish. None for no limit."""
    trial_timeout_s: float | None = None
    """A trial that takes longer fails, and is not retried. None for no limit."""
    grace_s: int = DEFAULT_GRACE_S
    """See `open_storage`."""
    patience_s: float = DEFAULT_PATIENCE_S
    """See `open_storage`."""
    stop_grace_s: float = DEFAULT_STOP_GRACE_S
    """Seconds that running trials have to finish after a request to stop; see `StopRequest`."""

    def __post_init__(self) -> None:
        check_limits(self.n_trials, self.timeout_s, self.trial_timeout_s)

    def words(self) -> list[str]:
        """The words after `optuna-snn run` or `worker`: the study file and `options`."""
        return [str(self.study_file), *self.options()]

    def options(self) -> list[str]:
        """All of it but the study file and the storage, as options of these commands.

        The storage may hold a password, and command lines are public: the commands take it from
        the variable OPTUNA_SNN_STORAGE.
        """
        options: dict[str, object] = {
            "--n-trials": self.n_trials,
            "--study-name": self.study_name,
            "--timeout": self.timeout_s,
            "--trial-timeout": self.trial_timeout_s,
            "--grace": self.grace_s,
            "--patience": self.patience_s,
            "--stop-grace": self.stop_grace_s,
        }
        given = [(name, value) for name, value in options.items() if value is not None]
        return [str(word) for pair in given for word in pair]


def check_limits(n_trials: int, timeout_s: float | None, trial_timeout_s: float | None) -> None:
    """Raise ValueError for a limit that no study, or no trial, can keep."""
    if n_trials < 1:
        raise ValueError(f"n_trials must be 1 or more, got {n_trials}.")
    if timeout_s is not None and not timeout_s >= 0:
        raise ValueError(f"timeout_s must be 0 or more, got {timeout_s}; None means no limit.")
    if trial_timeout_s is not None and not trial_timeout_s > 0:
        raise ValueError(
            f"trial_timeout_s must be above 0, got {trial_timeout_s}; None means no limit."
        )
