"""A retry goes on where the dead trial was; nobody else does."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import optuna
import pytest
from optuna.storages import RetryHeartbeatStaleTrialCallback
from optuna.trial import FixedTrial

from optuna_snn.checkpoints import Checkpoint, first_trial_number
from optuna_snn.workers.retry import requeue
from tests.checkpoints.helpers import Killed, Requeue, asked, files, killed, loaded, retried, saved


@pytest.mark.parametrize(
    "again", [requeue, RetryHeartbeatStaleTrialCallback(max_retry=3)], ids=["ours", "Optuna's"]
)
def test_a_retry_gets_the_latest_state_of_the_trials_before_it(
    study: optuna.Study, tmp_path: Path, again: Requeue
) -> None:
    asked(study)
    first = asked(study)
    assert loaded(first, tmp_path) is None
    for epoch in (1, 2):
        saved(first, tmp_path, {"epoch": epoch, "weights": np.arange(3) * epoch})
    second = retried(study, first, again)
    state = loaded(second, tmp_path)
    assert state is not None
    assert (state["epoch"], state["weights"].tolist()) == (2, [0, 2, 4])
    third = retried(study, second, again)  # the second died before it had saved
    inherited = loaded(third, tmp_path)
    assert inherited is not None
    assert inherited["epoch"] == 2
    saved(third, tmp_path, {"epoch": 3})
    assert loaded(retried(study, third, again), tmp_path) == {"epoch": 3}


def test_the_first_trial_gives_its_number_to_all_retries(
    study: optuna.Study, tmp_path: Path
) -> None:
    asked(study)
    first = asked(study)
    second = retried(study, first)
    third = retried(study, second)
    assert third.number == 3
    for trial in (first, second, third, study.trials[3]):
        assert first_trial_number(trial) == 1
    with Checkpoint(third, tmp_path) as checkpoint:
        assert checkpoint.first_trial_number == 1
    assert first_trial_number(FixedTrial({}, number=7)) == 7
    assert first_trial_number(study.trials[0]) == 0


@pytest.mark.parametrize("ending", [None, optuna.TrialPruned])
def test_a_finished_trial_removes_what_it_and_its_forerunners_saved(
    study: optuna.Study, tmp_path: Path, ending: type[Exception] | None
) -> None:
    other = asked(study)
    saved(other, tmp_path, {"epoch": 9})
    first = asked(study)
    saved(first, tmp_path, {"epoch": 1})
    second = retried(study, first)
    try:
        with Checkpoint(second, tmp_path) as checkpoint:
            checkpoint.save({"epoch": 2})
            assert files(tmp_path) == ["trial-0.ckpt", "trial-1.ckpt", "trial-2.ckpt"]
            if ending is not None:
                raise ending
    except optuna.TrialPruned:
        pass
    assert files(tmp_path) == ["trial-0.ckpt"]
    assert [path.name[:2] for path in (tmp_path / "digits").iterdir()] == ["0-"]


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt, MemoryError])
def test_any_other_end_keeps_the_files(
    study: optuna.Study, tmp_path: Path, error: type[BaseException]
) -> None:
    with pytest.raises(error), Checkpoint(asked(study), tmp_path) as checkpoint:
        checkpoint.save({"epoch": 1})
        raise error
    assert files(tmp_path) == ["trial-0.ckpt"]


def test_a_worker_wrongly_taken_for_dead_neither_overwrites_nor_removes_the_retrys_state(
    study: optuna.Study, tmp_path: Path
) -> None:
    first = asked(study)
    with Checkpoint(first, tmp_path) as slow:
        slow.save({"epoch": 1})
        second = retried(study, first)
        with killed(), Checkpoint(second, tmp_path) as quick:
            assert quick.load() == {"epoch": 1}
            quick.save({"epoch": 5})
            slow.save({"epoch": 2})
            raise Killed
    assert files(tmp_path) == ["trial-0.ckpt", "trial-1.ckpt"]
    assert loaded(retried(study, second), tmp_path) == {"epoch": 5}


def test_the_retry_of_a_worker_that_ends_late_can_use_its_last_state(
    study: optuna.Study, tmp_path: Path
) -> None:
    first = asked(study)
    with Checkpoint(first, tmp_path) as checkpoint:
        checkpoint.save({"epoch": 10})
        second = retried(study, first)
    assert loaded(second, tmp_path) == {"epoch": 10}


def test_other_studies_of_the_same_name_do_not_see_or_touch_it(tmp_path: Path) -> None:
    studies = [optuna.create_study(study_name="digits") for _ in range(2)]
    trials = [asked(each) for each in studies]
    for i, trial in enumerate(trials):
        assert loaded(trial, tmp_path) is None
        saved(trial, tmp_path, {"study": i})
    for i, trial in enumerate(trials):
        assert loaded(retried(studies[i], trial), tmp_path) == {"study": i}


def test_a_state_of_other_parameters_is_not_resumed(
    study: optuna.Study, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    first = asked(study, 0.5)
    saved(first, tmp_path, {"epoch": 1})
    (path,) = tmp_path.rglob("*.ckpt")
    other = asked(study, 0.25)
    with killed(), Checkpoint(other, tmp_path) as checkpoint:
        checkpoint.save({})
        (place,) = set(tmp_path.rglob("*.ckpt")) - {path}
        place.write_bytes(path.read_bytes())
        assert checkpoint.load() is None
        raise Killed
    assert f"{place} is not resumed: it was made with other parameters: x 0.5 instead of 0.25" in (
        caplog.text
    )


def test_parameters_that_were_suggested_after_the_save_do_not_matter(
    study: optuna.Study, tmp_path: Path
) -> None:
    first = study.ask()
    with killed(), Checkpoint(first, tmp_path) as checkpoint:
        checkpoint.save({"epoch": 0})
        first.suggest_float("x", 0.0, 1.0)
        raise Killed
    assert loaded(retried(study, first), tmp_path) == {"epoch": 0}


def test_a_state_of_other_conditions_is_not_resumed(
    study: optuna.Study, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    first = asked(study)
    saved(first, tmp_path, {"epoch": 1}, conditions={"n_train": 100, "device": "cpu"})
    second = retried(study, first)
    same = {"device": "cpu", "n_train": 100}
    assert loaded(second, tmp_path, conditions=same) == {"epoch": 1}
    assert caplog.text == ""
    assert loaded(second, tmp_path, conditions={**same, "n_train": 200}) is None
    assert "made with other conditions: n_train 100 instead of 200" in caplog.text
    assert loaded(second, tmp_path) is None


def test_every_bracket_of_hyperband_is_looked_through(tmp_path: Path) -> None:
    study = optuna.create_study(pruner=optuna.pruners.HyperbandPruner(1, 9))
    first = asked(study)
    for _ in range(5):
        asked(study)
    saved(first, tmp_path, {"epoch": 1})
    assert loaded(retried(study, first), tmp_path) == {"epoch": 1}
