"""A study file: a Python module that says what is tuned, loaded from its path by every worker.

    objective(trial) -> float     required
    direction = "maximize"        "minimize" unless given
    name = "digits"               the study's name; the file's name unless given
    metric_name = "accuracy"      what the objective value is called; "value" unless given
    sampler() -> BaseSampler      SCBOSampler() unless given
    pruner() -> BasePruner        SpikeActivityPruner() unless given

Samplers and pruners are functions, not objects: each worker process makes its own.
"""

from __future__ import annotations

import importlib.util
import sys
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

import optuna
from optuna.exceptions import ExperimentalWarning
from optuna.pruners import BasePruner
from optuna.samplers import BaseSampler
from optuna.storages import BaseStorage
from optuna.study import StudyDirection
from optuna.trial import Trial

from optuna_snn.backends import MissingPackageError
from optuna_snn.workers.errors import RunError
from optuna_snn.workers.failures import describe_error

__all__ = ["StudyFile", "load_study_file", "open_study"]

DIRECTIONS = ("minimize", "maximize")


@dataclass(frozen=True)
class StudyFile:
    """What a study file defines, checked."""

    path: Path
    objective: Callable[[Trial], float]
    direction: str
    name: str
    metric_name: str
    sampler: Callable[[], BaseSampler]
    pruner: Callable[[], BasePruner]


def load_study_file(path: str | Path) -> StudyFile:
    """Import the module at `path` and check what it defines.

    Raises:
        RunError: no such file, it raises while imported, or one of its names is wrong.
    """
    file = Path(path)
    if not file.is_file():
        raise RunError(f"the study file {path} does not exist")
    if file.suffix != ".py":
        raise RunError(f"the study file {path} is no Python module; its name must end in .py")
    module = _import_file(file)
    objective = getattr(module, "objective", None)
    if not callable(objective):
        raise RunError(f"the study file {path} defines no function objective(trial)")
    return StudyFile(
        path=file,
        objective=objective,
        direction=_direction(module, file),
        name=_text(module, "name", file.stem, file),
        metric_name=_text(module, "metric_name", "value", file),
        sampler=_factory(module, "sampler", _default_sampler, file),
        pruner=_factory(module, "pruner", _default_pruner, file),
    )


def open_study(
    definition: StudyFile, storage: BaseStorage, study_name: str | None = None
) -> optuna.Study:
    """The study of `definition` in `storage`, created if it is not there, with its own sampler.

    Raises:
        RunError: the study exists with another direction, or sampler() or pruner() is wrong.
    """
    name = study_name or definition.name
    study = optuna.create_study(
        study_name=name,
        storage=storage,
        direction=StudyDirection[definition.direction.upper()],
        load_if_exists=True,
        sampler=_make(definition, "sampler", BaseSampler),
        pruner=_make(definition, "pruner", BasePruner),
    )
    stored = [direction.name.lower() for direction in study.directions]
    if stored != [definition.direction]:
        raise RunError(
            f"study {name!r} exists with direction {' and '.join(stored)}, but "
            f"{definition.path} says {definition.direction}; "
            "choose another --study-name or another --storage"
        )
    if study.metric_names is None:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ExperimentalWarning)
            study.set_metric_names([definition.metric_name])
    return study


def _import_file(file: Path) -> ModuleType:
    name = f"optuna_snn_study_{file.stem}"
    spec = importlib.util.spec_from_file_location(name, file.absolute())
    if spec is None or spec.loader is None:
        raise RunError(f"the study file {file} cannot be imported as a Python module")
    module = importlib.util.module_from_spec(spec)
    folder = str(file.absolute().parent)
    if folder not in sys.path:
        sys.path.insert(0, folder)  # modules beside the study file, as when Python runs a script
    sys.modules[name] = module  # dataclasses and pickles look their module up there
    try:
        spec.loader.exec_module(module)
    except MissingPackageError as error:
        raise RunError(str(error)) from error
    except Exception as error:  # a user's file may raise anything; all of it means the same here
        del sys.modules[name]
        what = describe_error(error) + _line_of(error, file)
        if isinstance(error, ImportError) and "relative import" in str(error):
            what += "; a study file is no part of a package: import what lies beside it by name"
        raise RunError(f"the study file {file} cannot be imported: {what}") from error
    return module


def _line_of(error: BaseException, file: Path) -> str:
    """The last line of the study file itself that `error` passed through."""
    if isinstance(error, SyntaxError):
        return ""  # its message names the line
    line, trace = None, error.__traceback__
    while trace is not None:
        if trace.tb_frame.f_code.co_filename == str(file.absolute()):
            line = trace.tb_lineno
        trace = trace.tb_next
    return "" if line is None else f" (line {line}; --debug shows the traceback)"


def _direction(module: ModuleType, file: Path) -> str:
    several = getattr(module, "directions", None)
    if several is not None:
        if isinstance(several, str) or len(several) != 1:
            raise RunError(
                f"directions in {file} must be a list of one, got {several!r}; write direction = "
                '"maximize" and make the other goals constraints with trial.set_constraint'
            )
        if hasattr(module, "direction"):
            raise RunError(f"{file} defines direction and directions; keep direction")
    direction = getattr(module, "direction", "minimize") if several is None else several[0]
    if direction not in DIRECTIONS:
        raise RunError(f'direction in {file} must be "minimize" or "maximize", got {direction!r}')
    return str(direction)


def _text(module: ModuleType, attribute: str, default: str, file: Path) -> str:
    text = getattr(module, attribute, default)
    if not isinstance(text, str) or not text.strip():
        raise RunError(f"{attribute} in {file} must be a text that is not empty, got {text!r}")
    return text


def _factory(
    module: ModuleType, attribute: str, default: Callable[[], Any], file: Path
) -> Callable[[], Any]:
    factory = getattr(module, attribute, default)
    if not callable(factory):
        raise RunError(
            f"{attribute} in {file} must be a function that returns a new {attribute}, "
            f"got {factory!r:.80}; write def {attribute}(): return ..."
        )
    checked: Callable[[], Any] = factory
    return checked


def _make(definition: StudyFile, attribute: str, kind: type) -> Any:
    try:
        made = getattr(definition, attribute)()
    except Exception as error:  # a user's function, as in _import_file
        raise RunError(
            f"{attribute}() in {definition.path} raised {describe_error(error)}"
        ) from error
    if not isinstance(made, kind):
        raise RunError(
            f"{attribute}() in {definition.path} must return an Optuna {attribute}, "
            f"got {made!r:.80}"
        )
    return made


def _default_sampler() -> BaseSampler:
    from optuna_snn.sampler import SCBOSampler

    return SCBOSampler()


def _default_pruner() -> BasePruner:
    from optuna_snn.pruner import SpikeActivityPruner

    return SpikeActivityPruner()
