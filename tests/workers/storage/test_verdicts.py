"""No trial is taken for dead while healthy workers may have been kept from beating."""

from __future__ import annotations

from pathlib import Path

import optuna
import pytest
from optuna.distributions import FloatDistribution
from optuna.trial import TrialState

from optuna_snn.workers.storage import verdicts
from optuna_snn.workers.storage.opening import WorkerStorage, open_storage
from optuna_snn.workers.sweep import sweep
from tests.workers.beats import GRACE_S, age_beats, open_for_test

pytestmark = pytest.mark.filterwarnings("ignore:Heartbeat of storage is supposed to be used")

UNIFORM = {"x": FloatDistribution(0.0, 1.0)}

FAIL, RUNNING, WAITING = TrialState.FAIL, TrialState.RUNNING, TrialState.WAITING


def states(study: optuna.Study) -> list[TrialState]:
    return [trial.state for trial in study.get_trials()]


def test_no_trial_is_stale_for_a_while_after_this_process_was_cut_off(tmp_path: Path) -> None:
    storage = open_for_test(str(tmp_path / "a.db"))
    study = optuna.create_study(storage=storage, study_name="s")
    study.ask(UNIFORM)
    age_beats(storage, GRACE_S + 5)
    was_away: list[float] = []
    storage.patience.was_away_within = (  # type: ignore[method-assign]
        lambda seconds: bool(was_away.append(seconds)) or len(was_away) < 2
    )
    sweep(study, storage)
    assert states(study) == [RUNNING]
    sweep(study, storage)
    assert states(study) == [FAIL, WAITING]
    assert was_away == [GRACE_S + 10.0] * 2  # the grace period and one interval


def test_no_trial_is_stale_for_a_while_after_the_server_was_started(postgres_url: str) -> None:
    storage = open_storage(postgres_url, grace_s=10**6)
    assert isinstance(storage, WorkerStorage)
    assert storage._missed_beats.are_possible()
    storage = open_storage(postgres_url, grace_s=2)
    assert isinstance(storage, WorkerStorage)
    storage._missed_beats._window_s = 1e-9  # any server is older than that
    assert not storage._missed_beats.are_possible()


def test_no_trial_is_stale_for_a_while_after_the_machine_slept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """While a machine sleeps the wall clock goes on, and the monotonic one does not."""
    storage = open_for_test(str(tmp_path / "a.db"))
    study = optuna.create_study(storage=storage, study_name="s")
    study.ask(UNIFORM)
    age_beats(storage, GRACE_S + 5)
    lead_s = verdicts._clock_lead_s()
    monkeypatch.setattr(verdicts, "_clock_lead_s", lambda: lead_s + 3600.0)
    sweep(study, storage)
    assert states(study) == [RUNNING]
    storage._missed_beats._window_s = 0.0  # later
    sweep(study, storage)
    assert states(study) == [FAIL, WAITING]
