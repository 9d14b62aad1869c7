"""The checkpoint of a trial: what a retry needs to go on where a dead worker left the training.

Each retry writes a file of its own, and reads the latest that its forerunners left. So a worker
that was taken for dead, and goes on, cannot put an older state in the place of its retry's newer
one: it writes where the retry has read already.
"""

from __future__ import annotations

import contextlib
import logging
import os
from collections.abc import Mapping
from pathlib import Path
from time import monotonic
from types import TracebackType
from typing import Any, Literal, Self

import optuna
from optuna.exceptions import StorageInternalError, TrialPruned
from optuna.trial import BaseTrial, FixedTrial, FrozenTrial

from optuna_snn.checkpoints.files import partial_of, read_whole, write_whole
from optuna_snn.checkpoints.lineage import is_running, lineage_of
from optuna_snn.checkpoints.places import files_of, root_folder
from optuna_snn.spikes.checks import checked_real

_logger = logging.getLogger(__name__)


class Checkpoint:
    """Saves the state of a trial's training, and hands it to the retry of the trial.

    `optuna_snn.workers` and Optuna's `RetryHeartbeatStaleTrialCallback` queue the parameters of a
    dead worker's trial again, as a new trial. With a checkpoint that one resumes:

        >>> import optuna
        >>> from optuna_snn.checkpoints import Checkpoint
        >>> def objective(trial: optuna.Trial) -> float:
        ...     step = trial.suggest_float("step", 0.0, 1.0)
        ...     with Checkpoint(trial) as checkpoint:
        ...         state = checkpoint.load() or {"epoch": 0, "weight": 0.0}
        ...         weight = state["weight"]
        ...         for epoch in range(state["epoch"], 10):
        ...             weight += step * (1.0 - weight)
        ...             checkpoint.save({"epoch": epoch + 1, "weight": weight})
        ...     return weight
        >>> study = optuna.create_study(direction="maximize")
        >>> study.optimize(objective, n_trials=3)

    Leaving the block normally, or by `optuna.TrialPruned`, removes the files of the trial and of
    the trials that it retries. They are kept when any other exception leaves it (a worker that is
    told to stop raises one), when the process dies, and when others have failed the trial
    meanwhile, whose retry may need them. So let the block enclose all that must not be lost. Files
    of trials that failed and were not retried stay until the folder is deleted.

    What is not resumed: a state of other parameter values or other `conditions`, and a file that
    is damaged. A warning names the file, and the training starts afresh, or from the file of an
    earlier forerunner. A state that cannot be written (a full disk) is warned of once, and
    training goes on.

    Two things to think of. A retry by the workers of this package starts without the user
    attributes, constraints and intermediate values that the dead trial had set (Optuna's own
    callback copies the attributes): put what they depend on into the state
    (`SpikeMonitor.state`). And a state must hold
    all that the rest of the training depends on, random states included, or the resumed training
    is another one.

    Args:
        trial: The trial of the objective. Of a `FixedTrial` or `FrozenTrial`, which have no
            retries, nothing is saved or loaded.
        folder: Where all checkpoints are; None takes the environment variable
            OPTUNA_SNN_CHECKPOINTS, else "checkpoints" in the current folder. Retries on other
            machines need a folder that the machines share.
        every_s: Seconds after which `is_due` asks for the next save.
        conditions: What must be the same to resume, beside the parameters: the size of the data,
            fixed options. Plain values, by name.

    Raises:
        TypeError: `trial` is of another kind; later on: a state holds what no checkpoint can.
        ValueError: `every_s` is negative.
        RuntimeError: a method is called outside the block, or the block is entered again.
    """

    def __init__(
        self,
        trial: BaseTrial,
        folder: str | os.PathLike[str] | None = None,
        *,
        every_s: float = 60.0,
        conditions: Mapping[str, Any] | None = None,
    ) -> None:
        if not isinstance(trial, optuna.Trial | FixedTrial | FrozenTrial):
            raise TypeError(
                f"trial must be an optuna.Trial, got {type(trial).__name__}; in a distributed "
                "training pass the trial of the process that talks to the study."
            )
        self._trial = trial
        self._folder = root_folder(folder)
        self._every_s = checked_real("every_s", every_s)
        if not self._every_s >= 0:
            raise ValueError(f"Need every_s >= 0, got {every_s!r}.")
        self._conditions = _spelled(conditions or {})
        self._phase: Literal["new", "open", "left"] = "new"
        self._first = trial.number
        self._files: tuple[Path, ...] = ()
        """Of this training, the latest trial's first; none where nothing is saved."""
        self._saved_at = monotonic()
        self._has_warned = False

    @property
    def first_trial_number(self) -> int:
        """Number of the first trial of the training; see `checkpoints.first_trial_number`."""
        return self._first

    @property
    def is_due(self) -> bool:
        """Whether `every_s` has passed since the last save, or since the block was entered."""
        return bool(self._files) and monotonic() - self._saved_at >= self._every_s

    def __enter__(self) -> Self:
        if self._phase != "new":
            raise RuntimeError(
                "A Checkpoint serves one with-block; make a new one for each trial."
            )
        if isinstance(self._trial, optuna.Trial):
            lineage = lineage_of(self._trial)
            self._first = lineage.first
            self._files = files_of(self._folder, self._trial.study.study_name, lineage)
        self._phase = "open"
        self._saved_at = monotonic()
        return self

    def load(self) -> dict[str, Any] | None:
        """Return the latest state that was saved in this training; None for a fresh start.

        Its tensors are on the CPU.
        """
        self._refuse_unless_open("load")
        for path in self._files:
            try:
                return self._state_of(path)
            except FileNotFoundError:
                continue
            except (OSError, ValueError) as error:
                _logger.warning("The checkpoint %s is not resumed: %s.", path, error)
        return None

    def save(self, state: Mapping[str, Any]) -> None:
        """Store the state in the place of the one before.

        state: see `checkpoints.values.to_bytes` for what it may hold
        """
        from optuna_snn.checkpoints.values import to_bytes  # this imports torch

        self._refuse_unless_open("save")
        content = to_bytes({"identity": self._identity(), "state": dict(state)})
        if not self._files:
            return
        path = self._files[0]
        try:
            write_whole(path, content)
        except OSError as error:
            if not self._has_warned:
                _logger.warning(
                    "The checkpoint %s could not be written, and training goes on without: %s. "
                    "Further such errors of this trial are not told.",
                    path,
                    error,
                )
            self._has_warned = True
        self._saved_at = monotonic()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        exception: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._phase = "left"
        is_finished = kind is None or issubclass(kind, TrialPruned)
        if is_finished and self._is_ours():
            self._remove()

    def _is_ours(self) -> bool:
        """Whether the trial can still be finished; not so if others have failed it."""
        if not isinstance(self._trial, optuna.Trial):
            return False
        try:
            return is_running(self._trial)
        except StorageInternalError as error:  # not worth the result of the trial
            _logger.warning(
                "The checkpoints of trial %d stay, for its storage does not answer: %s.",
                self._trial.number,
                error,
            )
            return False

    def _remove(self) -> None:
        for path in self._files:
            for each in (path, partial_of(path)):
                with contextlib.suppress(OSError):
                    each.unlink(missing_ok=True)
        with contextlib.suppress(OSError):
            self._files[0].parent.rmdir()

    def _identity(self) -> dict[str, dict[str, str]]:
        return {"params": _spelled(self._trial.params), "conditions": self._conditions}

    def _state_of(self, path: Path) -> dict[str, Any]:
        """The state in a file; ValueError, with the reason, if it is not to be resumed."""
        from optuna_snn.checkpoints.values import from_bytes  # this imports torch

        loaded = from_bytes(read_whole(path))
        stored, wanted = loaded.get("identity"), self._identity()
        if not isinstance(stored, dict) or not isinstance(loaded.get("state"), dict):
            raise ValueError("it holds something else")
        # The dead trial may have been given further parameters after it had saved this.
        params = {name: wanted["params"].get(name) for name in stored["params"]}
        for what, had, has in (
            ("parameters", stored["params"], params),
            ("conditions", stored["conditions"], wanted["conditions"]),
        ):
            if had != has:
                raise ValueError(f"it was made with other {what}: {_difference(had, has)}")
        state: dict[str, Any] = loaded["state"]
        return state

    def _refuse_unless_open(self, method: str) -> None:
        if self._phase != "open":
            raise RuntimeError(
                f"Checkpoint.{method}() works inside its block only: "
                "with Checkpoint(trial, ...) as checkpoint: ..."
            )


def _spelled(values: Mapping[str, Any]) -> dict[str, str]:
    return {name: repr(value) for name, value in values.items()}


def _difference(had: Mapping[str, Any], has: Mapping[str, Any]) -> str:
    names = [name for name in {**had, **has} if had.get(name) != has.get(name)]
    return ", ".join(f"{name} {had.get(name)} instead of {has.get(name)}" for name in names)
