"""Study files: what they may say, and that a wrong one is one line with the way out."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import optuna
import pytest

from optuna_snn.pruner import SpikeActivityPruner
from optuna_snn.sampler import SCBOSampler
from optuna_snn.workers.errors import RunError
from optuna_snn.workers.storage.opening import open_storage
from optuna_snn.workers.study_file import load_study_file, open_study

OBJECTIVE = "def objective(trial):\n    return 0.0\n"


def test_a_file_with_an_objective_alone_is_minimised_by_scbo_under_its_own_name(
    toy: Callable[..., Path], tmp_path: Path
) -> None:
    definition = load_study_file(toy(OBJECTIVE, name="digits.py", head=""))
    assert (definition.name, definition.direction) == ("digits", "minimize")
    study = open_study(definition, open_storage(str(tmp_path / "a.db")))
    assert study.study_name == "digits"
    assert isinstance(study.sampler, SCBOSampler)
    assert isinstance(study.pruner, SpikeActivityPruner)


def test_what_the_file_says_is_taken(toy: Callable[..., Path], tmp_path: Path) -> None:
    definition = load_study_file(
        toy(OBJECTIVE + 'name = "other"\nmetric_name = "accuracy"\ndirections = ["maximize"]\n'
            "import optuna\nsampler = optuna.samplers.RandomSampler\n", head="")
    )  # fmt: skip
    study = open_study(definition, open_storage(str(tmp_path / "a.db")))
    assert study.study_name == "other"
    assert study.metric_names == ["accuracy"]
    assert study.direction == optuna.study.StudyDirection.MAXIMIZE
    assert isinstance(study.sampler, optuna.samplers.RandomSampler)
    assert open_study(definition, open_storage(str(tmp_path / "a.db")), "third").study_name == (
        "third"
    )


def test_modules_beside_the_file_can_be_imported(toy: Callable[..., Path]) -> None:
    toy("VALUE = 3.5\n", name="neighbour_of_toy.py", head="")
    definition = load_study_file(
        toy("import neighbour_of_toy\ndef objective(trial):\n    return neighbour_of_toy.VALUE\n")
    )
    trial = optuna.create_study().ask()
    assert definition.objective(trial) == 3.5


def test_dataclasses_work_in_the_file(toy: Callable[..., Path]) -> None:
    load_study_file(
        toy(
            "from __future__ import annotations\nfrom dataclasses import dataclass\n"
            "@dataclass\nclass A:\n    x: int\n" + OBJECTIVE,
            head="",
        )
    )


@pytest.mark.parametrize(
    ("code", "words"),
    [
        ("import no_such_package_at_all\n", r"No module named 'no_such_package_at_all' \(line 1"),
        ("from .mine import x\n", r"relative import .* \(line 1.* beside it by name"),
        ("x = 1\ny = [][0]\n", r"IndexError: list index out of range \(line 2"),
        ("def objective(trial:\n", "SyntaxError"),
        ("x = 1\n", r"defines no function objective\(trial\)"),
        ("objective = 3\n", r"defines no function objective\(trial\)"),
        (OBJECTIVE + 'direction = "up"\n', 'must be "minimize" or "maximize", got \'up\''),
        (OBJECTIVE + 'directions = ["maximize", "minimize"]\n', "constraints with"),
        (OBJECTIVE + 'directions = "maximize"\n', "list of one"),
        (OBJECTIVE + 'direction = "maximize"\ndirections = ["maximize"]\n', "keep direction"),
        (OBJECTIVE + "name = 3\n", "name in .* must be a text"),
        (OBJECTIVE + 'name = " "\n', "name in .* must be a text"),
        (OBJECTIVE + "sampler = 3\n", r"write def sampler\(\)"),
    ],
)
def test_a_wrong_file_is_refused_in_one_line(
    toy: Callable[..., Path], code: str, words: str
) -> None:
    with pytest.raises(RunError, match=words) as caught:
        load_study_file(toy(code, head=""))
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("code", "words"),
    [
        (
            "def sampler():\n    return 3\n",
            r"sampler\(\) in .* must return an Optuna sampler, got 3",
        ),
        ("def pruner():\n    return None\n", "must return an Optuna pruner, got None"),
        ("def sampler():\n    raise OSError('no licence')\n", "raised OSError: no licence"),
    ],
)
def test_a_factory_that_makes_no_sampler_or_pruner_is_refused(
    toy: Callable[..., Path], tmp_path: Path, code: str, words: str
) -> None:
    definition = load_study_file(toy(OBJECTIVE + code, head=""))
    with pytest.raises(RunError, match=words):
        open_study(definition, open_storage(str(tmp_path / "a.db")))


def test_a_missing_backend_is_told_in_its_own_words(toy: Callable[..., Path]) -> None:
    code = (
        "from optuna_snn.backends import MissingPackageError\n"
        "raise MissingPackageError('Foo is not installed; run: foo')\n"
    )
    with pytest.raises(RunError, match=r"^Foo is not installed; run: foo$"):
        load_study_file(toy(code, head=""))


@pytest.mark.parametrize("name", ["missing.py", "."])
def test_a_path_that_is_no_file_is_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(RunError, match="does not exist"):
        load_study_file(tmp_path / name)


def test_a_file_that_is_no_python_module_is_refused(toy: Callable[..., Path]) -> None:
    with pytest.raises(RunError, match=r"must end in \.py"):
        load_study_file(toy(OBJECTIVE, name="toy.txt"))


def test_a_study_of_another_direction_is_refused_and_left_as_it_was(
    toy: Callable[..., Path], tmp_path: Path
) -> None:
    storage = open_storage(str(tmp_path / "a.db"))
    optuna.create_study(study_name="toy", storage=storage, direction="minimize")
    with pytest.raises(RunError, match=r"exists with direction minimize.*another --study-name"):
        open_study(load_study_file(toy(OBJECTIVE)), storage)
    study = optuna.load_study(study_name="toy", storage=storage)
    assert study.direction == optuna.study.StudyDirection.MINIMIZE
    assert study.metric_names is None


def test_a_study_of_several_directions_is_refused(
    toy: Callable[..., Path], tmp_path: Path
) -> None:
    storage = open_storage(str(tmp_path / "a.db"))
    optuna.create_study(study_name="toy", storage=storage, directions=["minimize", "maximize"])
    with pytest.raises(RunError, match="direction minimize and maximize"):
        open_study(load_study_file(toy(OBJECTIVE)), storage)
