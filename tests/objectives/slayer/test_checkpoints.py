"""A training by SLAYER that is interrupted and resumed ends as if nothing had happened."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import optuna
import pytest
from optuna.trial import FixedTrial, FrozenTrial, TrialState

from optuna_snn.checkpoints import FOLDER_VARIABLE
from optuna_snn.objectives.datasets import DataSplit, Samples
from optuna_snn.objectives.slayer.config import SLAYERConfig
from optuna_snn.objectives.slayer.course import Course
from optuna_snn.objectives.slayer.objective import SLAYERObjective
from optuna_snn.objectives.slayer.training import SLAYERTraining
from optuna_snn.pruner import SpikeActivityPruner
from optuna_snn.stored_spikes import spike_report
from optuna_snn.workers.retry import requeue
from tests.objectives.slayer.samples import split_of_stripes
from tests.objectives.slayer.trials import DEFAULTS, LIVELY, SETUP, make, results, run

N_TRAIN = 72
PARAMS = LIVELY | {"epochs": 4}

Patch = pytest.MonkeyPatch


class Killed(BaseException):
    """What stands in for the end of a process."""


@pytest.fixture(scope="module")
def split() -> DataSplit:
    return split_of_stripes()


@pytest.fixture(autouse=True)
def no_folder_from_outside(monkeypatch: Patch) -> None:
    monkeypatch.delenv(FOLDER_VARIABLE, raising=False)


def saving(split: DataSplit, folder: Path | None, **options: Any) -> SLAYERObjective:
    return make(split, checkpoints=folder, **{"checkpoint_every_s": 0.0} | options)


def files(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.rglob("*") if path.is_file())


def dying(when: Callable[[SLAYERTraining, int], bool]) -> Any:
    """`run_epoch` that ends the process, as it were, before such a batch of an epoch is told."""
    run_epoch = SLAYERTraining.run_epoch

    def run_and_die(self: SLAYERTraining) -> Any:
        for i, batch in enumerate(run_epoch(self)):
            if when(self, i):
                raise Killed
            yield batch

    return run_and_die


def killed_in_the_third_epoch(
    objective: SLAYERObjective, monkeypatch: Patch, params: dict[str, Any] = PARAMS
) -> optuna.Study:
    study = optuna.create_study(
        direction="maximize", study_name="slayer", pruner=SpikeActivityPruner()
    )
    study.enqueue_trial(params)
    with monkeypatch.context() as patched, pytest.raises(Killed):
        patched.setattr(
            SLAYERTraining, "run_epoch", dying(lambda each, i: (each.n_epochs_done, i) == (2, 4))
        )
        objective(study.ask())
    return study


def retried(study: optuna.Study, objective: SLAYERObjective) -> FrozenTrial:
    """The retry of the study's last trial, run to its end."""
    last = study.trials[-1]
    study.tell(last.number, state=TrialState.FAIL)
    requeue(study, last)
    study.optimize(objective, n_trials=1)
    return study.trials[-1]


def uninterrupted(objective: SLAYERObjective, params: dict[str, Any] = PARAMS) -> FrozenTrial:
    return run(objective, [params])[0]


def test_a_retry_goes_on_after_the_last_epoch_and_ends_as_if_nothing_had_happened(
    split: DataSplit, tmp_path: Path, monkeypatch: Patch
) -> None:
    objective = saving(split, tmp_path)
    study = killed_in_the_third_epoch(objective, monkeypatch)
    assert files(tmp_path) == ["trial-0.ckpt"]
    assert len(study.trials[0].intermediate_values) == 2
    trial = retried(study, objective)
    whole = uninterrupted(objective)
    assert results(trial) == results(whole)
    assert spike_report(trial) == spike_report(whole)
    assert trial.user_attrs["resumed_at"] == 2 * N_TRAIN
    assert whole.user_attrs["resumed_at"] == 0
    assert files(tmp_path) == []


def test_a_retry_that_has_no_checkpoint_is_the_trial_that_died(
    split: DataSplit, monkeypatch: Patch
) -> None:
    objective = saving(split, None)
    trial = retried(killed_in_the_third_epoch(objective, monkeypatch), objective)
    assert trial.number == 1
    assert results(trial) == results(uninterrupted(objective))
    assert "resumed_at" not in trial.user_attrs


def test_a_trial_that_dies_while_it_is_stored_trains_its_last_epoch_only(
    split: DataSplit, tmp_path: Path, monkeypatch: Patch
) -> None:
    """Its files stay until all that it found is in the storage."""
    objective = saving(split, tmp_path)
    study = optuna.create_study(direction="maximize", pruner=SpikeActivityPruner())
    study.enqueue_trial(PARAMS)

    def die(*arguments: Any) -> None:
        raise Killed

    with monkeypatch.context() as patched, pytest.raises(Killed):
        patched.setattr(Course, "store", die)
        objective(study.ask())
    trial = retried(study, objective)
    assert trial.user_attrs["resumed_at"] == 3 * N_TRAIN
    assert results(trial) == results(uninterrupted(objective))


def test_nothing_is_saved_unless_a_folder_is_given_or_the_environment_names_one(
    split: DataSplit, tmp_path: Path, monkeypatch: Patch
) -> None:
    monkeypatch.chdir(tmp_path)
    killed_in_the_third_epoch(saving(split, None), monkeypatch)
    assert files(tmp_path) == []
    monkeypatch.setenv(FOLDER_VARIABLE, str(tmp_path / "there"))
    killed_in_the_third_epoch(saving(split, None), monkeypatch)
    assert files(tmp_path / "there") == ["trial-0.ckpt"]


def test_checkpoints_are_written_after_a_while_only_and_never_after_the_last_epoch(
    split: DataSplit, tmp_path: Path, monkeypatch: Patch
) -> None:
    saved: list[object] = []
    monkeypatch.setattr("optuna_snn.checkpoints.Checkpoint.save", lambda s, state: saved.append(1))
    run(make(split, checkpoints=tmp_path, checkpoint_every_s=1e9), [LIVELY])
    assert saved == []
    run(saving(split, tmp_path), [LIVELY])
    assert saved == [1]  # of two epochs


@pytest.mark.parametrize(
    ("changed", "name"),
    [
        ({"seed": 1}, "seed"),
        ({"beta": 0.2}, "beta"),
        ({"layers": ("output",)}, "layers"),
        ({"setup": replace(SETUP, true_rate=0.6)}, "true_rate"),
        ({"defaults": replace(DEFAULTS, tau_grad=0.2)}, "tau_grad"),
    ],
)
def test_a_training_of_other_options_is_not_resumed(
    split: DataSplit,
    tmp_path: Path,
    monkeypatch: Patch,
    caplog: pytest.LogCaptureFixture,
    changed: dict[str, Any],
    name: str,
) -> None:
    study = killed_in_the_third_epoch(saving(split, tmp_path), monkeypatch)
    other = saving(split, tmp_path, **changed)
    trial = retried(study, other)
    assert trial.user_attrs["resumed_at"] == 0
    assert results(trial) == results(uninterrupted(other))
    assert f"made with other conditions: {name} " in caplog.text


@pytest.mark.parametrize("part", ["train", "validation"])
def test_a_training_on_other_data_of_the_same_size_is_not_resumed(
    split: DataSplit,
    tmp_path: Path,
    monkeypatch: Patch,
    caplog: pytest.LogCaptureFixture,
    part: str,
) -> None:
    """A checkpoint holds what the network has learnt, and its accuracies in validation."""
    study = killed_in_the_third_epoch(saving(split, tmp_path), monkeypatch)
    samples = getattr(split, part)
    images = samples.images.copy()
    images[0, 0] += 0.01
    others = replace(split, **{part: Samples(images, samples.labels)})
    trial = retried(study, saving(others, tmp_path))
    assert trial.user_attrs["resumed_at"] == 0
    assert "made with other conditions: data" in caplog.text


def test_a_training_may_move_to_another_device_of_its_kind_only(
    split: DataSplit, monkeypatch: Patch
) -> None:
    monkeypatch.setattr("torch.cuda.is_available", lambda: True)
    conditions = [
        make(split, setup=replace(SETUP, device=device))._conditions(DEFAULTS)
        for device in ("cuda:0", "cuda:1", "cpu")
    ]
    assert conditions[0] == conditions[1] != conditions[2]


def test_every_hyperparameter_and_every_option_is_a_condition(split: DataSplit) -> None:
    config = SLAYERConfig(n_hidden=7)
    conditions = make(split)._conditions(config)
    wanted = asdict(config) | asdict(SETUP)
    assert {name: conditions[name] for name in wanted} == wanted


def test_saving_changes_nothing(split: DataSplit, tmp_path: Path) -> None:
    objective = saving(split, tmp_path)
    assert results(uninterrupted(objective)) == results(uninterrupted(saving(split, None)))
    assert objective(FixedTrial(PARAMS)) == uninterrupted(objective).value
    assert files(tmp_path) == []
