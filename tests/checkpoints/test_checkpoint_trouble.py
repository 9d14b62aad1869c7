"""Damaged files, full disks, storages that are away: training goes on. Wrong use is refused."""

from __future__ import annotations

import errno
import logging
import os
from pathlib import Path
from typing import Any

import numpy as np
import optuna
import pytest
from optuna.trial import FixedTrial

from optuna_snn.checkpoints import FOLDER_VARIABLE, Checkpoint, checkpoint
from optuna_snn.checkpoints.files import write_whole
from optuna_snn.checkpoints.values import to_bytes
from tests.checkpoints.helpers import Killed, asked, files, killed, loaded, retried, saved


def test_a_damaged_file_is_warned_of_once_by_name_and_the_one_before_is_taken(
    study: optuna.Study, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    first = asked(study)
    saved(first, tmp_path, {"epoch": 1})
    second = retried(study, first)
    saved(second, tmp_path, {"epoch": 2})
    (latest,) = tmp_path.rglob("trial-1.ckpt")
    latest.write_bytes(latest.read_bytes()[:-1])
    third = retried(study, second)
    assert loaded(third, tmp_path) == {"epoch": 1}
    (warning,) = caplog.records
    assert f"The checkpoint {latest} is not resumed: its digest" in warning.getMessage()
    (oldest,) = tmp_path.rglob("trial-0.ckpt")
    oldest.write_bytes(b"")
    assert loaded(third, tmp_path) is None


@pytest.mark.parametrize("content", [{"a": 1}, {"identity": {}, "state": 1}, {"identity": 1}])
def test_a_whole_file_with_something_else_is_not_resumed(
    study: optuna.Study, tmp_path: Path, content: dict[str, Any], caplog: pytest.LogCaptureFixture
) -> None:
    trial = asked(study)
    saved(trial, tmp_path, {})
    (path,) = tmp_path.rglob("*.ckpt")
    write_whole(path, to_bytes(content))
    assert loaded(trial, tmp_path) is None
    assert "it holds something else" in caplog.text


def test_a_file_that_may_not_be_read_is_not_resumed(
    study: optuna.Study, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    trial = asked(study)
    saved(trial, tmp_path, {})
    (path,) = tmp_path.rglob("*.ckpt")
    path.unlink()
    path.mkdir()
    assert loaded(trial, tmp_path) is None
    assert str(path) in caplog.text


def test_training_goes_on_with_one_warning_when_the_disk_is_full(
    study: optuna.Study,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    def full(descriptor: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    with killed(), Checkpoint(asked(study), tmp_path, every_s=0.0) as checkpoint:
        checkpoint.save({"epoch": 1})
        monkeypatch.setattr(os, "fsync", full)
        for epoch in (2, 3, 4):
            assert checkpoint.is_due
            checkpoint.save({"epoch": epoch})
        (warning,) = caplog.records
        assert warning.levelno == logging.WARNING
        assert "trial-0.ckpt could not be written" in warning.getMessage()
        assert "No space left" in warning.getMessage()
        assert checkpoint.load() == {"epoch": 1}
        monkeypatch.undo()
        checkpoint.save({"epoch": 5})  # somebody made room
        assert checkpoint.load() == {"epoch": 5}
        raise Killed


def test_a_folder_that_cannot_be_made_does_not_end_the_trial(
    study: optuna.Study, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "file").touch()
    with Checkpoint(asked(study), tmp_path / "file") as checkpoint:
        assert checkpoint.load() is None
        checkpoint.save({"epoch": 1})
    assert "could not be written" in caplog.text


def test_a_save_is_due_when_the_interval_has_passed_since_the_last_one(
    study: optuna.Study, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = [1000.0]
    monkeypatch.setattr(checkpoint, "monotonic", lambda: now[0])
    made = Checkpoint(asked(study), tmp_path, every_s=60.0)
    now[0] = 2000.0
    with made:
        said = []
        for seconds in (0, 59, 60, 100, 119, 120):
            now[0] = 2000.0 + seconds
            said.append(made.is_due)
            if made.is_due:
                made.save({})
        assert said == [False, False, True, False, False, True]


@pytest.mark.parametrize("kind", ["fixed", "frozen"])
def test_trials_without_retries_save_nothing_and_load_nothing(
    study: optuna.Study, tmp_path: Path, kind: str
) -> None:
    running = asked(study)
    saved(running, tmp_path, {"epoch": 1})
    trial = FixedTrial({"x": 0.5}) if kind == "fixed" else study.trials[0]
    with Checkpoint(trial, tmp_path, every_s=0.0) as checkpoint:
        assert checkpoint.load() is None
        assert not checkpoint.is_due
        checkpoint.save({"epoch": 2})
        with pytest.raises(TypeError, match="is a set"):
            checkpoint.save({"wrong": {1}})
    assert loaded(running, tmp_path) == {"epoch": 1}


def test_what_cannot_be_saved_ends_the_trial_while_it_is_still_new(
    study: optuna.Study, tmp_path: Path
) -> None:
    with (
        pytest.raises(TypeError, match=r"state\['state'\]\['rng'\] is a Generator"),
        Checkpoint(asked(study), tmp_path) as checkpoint,
    ):
        checkpoint.save({"rng": np.random.default_rng()})


def test_the_folder_may_come_from_the_environment(
    study: optuna.Study, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(FOLDER_VARIABLE, str(tmp_path / "there"))
    with killed(), Checkpoint(asked(study)) as checkpoint:
        checkpoint.save({})
        raise Killed
    assert files(tmp_path / "there") == ["trial-0.ckpt"]


def test_a_storage_that_does_not_answer_at_the_end_costs_no_result(
    study: optuna.Study,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    def broken(trial: optuna.Trial) -> bool:
        raise optuna.exceptions.StorageInternalError("the database is gone")

    monkeypatch.setattr(checkpoint, "is_running", broken)
    with Checkpoint(asked(study), tmp_path) as made:
        made.save({"epoch": 1})
    assert files(tmp_path) == ["trial-0.ckpt"]
    assert "the database is gone" in caplog.text


def test_wrong_use_is_refused(study: optuna.Study, tmp_path: Path) -> None:
    trial = asked(study)
    with pytest.raises(TypeError, match=r"must be an optuna\.Trial, got str"):
        Checkpoint("trial", tmp_path)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="every_s >= 0, got -1"):
        Checkpoint(trial, tmp_path, every_s=-1)
    made = Checkpoint(trial, tmp_path)
    for use in (made.load, lambda: made.save({})):
        with pytest.raises(RuntimeError, match="inside its block only"):
            use()
    with made:
        pass
    with pytest.raises(RuntimeError, match="one with-block"), made:
        pass
