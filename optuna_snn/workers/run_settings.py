"""What a run is told, whoever starts its workers."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from optuna_snn.workers.stop import DEFAULT_STOP_GRACE_S
from optuna_snn.workers.storage.opening import DEFAULT_GRACE_S
from optuna_snn.workers.storage.patience import DEFAULT_PATIENCE_S

__all__ = ["RunSettings"]


@dataclass(frozen=True)
class RunSettings:
    """The study and its limits: the same for every worker, on whatever machine.

    Every worker counts the trials of the whole study in the storage, so that none of them needs to
    know how many others there are.
    """

    study_file: Path
    storage: str = field(repr=False)
    """A database URL that every worker can reach; it may hold a password."""
    n_trials: int
    """COMPLETE and PRUNED trials of the whole study, earlier runs included."""
    study_name: str | None = None
    """Instead of the study file's."""
    timeout_s: float | None = None
    trial_timeout_s: float | None = None
    grace_s: int = DEFAULT_GRACE_S
    patience_s: float = DEFAULT_PATIENCE_S
    stop_grace_s: float = DEFAULT_STOP_GRACE_S

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
