"""What a run is told on the way from its caller to its workers."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

from optuna_snn.workers.devices import SlotDevice
from optuna_snn.workers.display.plain import PlainDisplay
from optuna_snn.workers.run_settings import RunSettings
from optuna_snn.workers.stop import StopRequest
from optuna_snn.workers.supervisor import start
from optuna_snn.workers.supervisor.engine import WorkerCall
from optuna_snn.workers.supervisor.local_engine import LocalEngine

SQUARE = """
def objective(trial):
    return trial.suggest_float("x", 0.0, 1.0) ** 2
"""


class AskedOnly(Exception):
    """Nothing is started."""


class AskedEngine:
    """Keeps what its workers would be started with."""

    n_workers = 1
    call: WorkerCall

    def check(self, url: str) -> None:
        self.checked = url

    def start(
        self, n_workers: int, call: WorkerCall, note: Callable[[str], None]
    ) -> Sequence[Any]:
        self.call = call
        raise AskedOnly


def asked(settings: RunSettings, stop: StopRequest | None = None) -> WorkerCall:
    engine = AskedEngine()
    with pytest.raises(AskedOnly):
        start.supervise(engine, settings, stop=stop)
    assert engine.checked == engine.call.url
    return engine.call


def option(call: WorkerCall, name: str) -> str:
    return call.options[call.options.index(name) + 1]


def test_every_keyword_of_run_study_reaches_the_supervisor(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    called: list[tuple[object, ...]] = []
    monkeypatch.setattr(start, "supervise", lambda *words, **more: called.append((*words, more)))
    stop = StopRequest()
    start.run_study(
        "toy.py", n_trials=7, n_workers=4, devices=["cpu"], n_slots=4, storage="a.db",
        study_name="other", timeout_s=60.0, trial_timeout_s=2.5, grace_s=30, patience_s=90.0,
        stop=stop, new=True, display=PlainDisplay,
    )  # fmt: skip
    start.run_study("toy.py", n_trials=7)
    settings = RunSettings(
        Path("toy.py"), "a.db", 7, study_name="other", timeout_s=60.0, trial_timeout_s=2.5,
        grace_s=30, patience_s=90.0,
    )  # fmt: skip
    assert called == [
        (
            LocalEngine([SlotDevice("cpu", visible="")] * 4), settings,
            {"stop": stop, "new": True, "display": PlainDisplay},
        ),
        (
            LocalEngine([SlotDevice("")]), RunSettings(Path("toy.py"), "", 7),
            {"stop": None, "new": False, "display": PlainDisplay},
        ),
    ]  # fmt: skip


def test_workers_are_told_the_full_url_and_the_name_that_the_study_has(
    toy: Callable[..., Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    file = toy(SQUARE)
    call = asked(RunSettings(file, "", n_trials=3, trial_timeout_s=2.5))
    assert (call.study_file, call.url) == (file, "sqlite:///toy.db")
    assert option(call, "--study-name") == "toy"
    assert option(call, "--trial-timeout") == "2.5"
    call = asked(RunSettings(file, str(tmp_path / "a.db"), n_trials=3, study_name="other"))
    assert call.url == f"sqlite:///{tmp_path / 'a.db'}"
    assert option(call, "--study-name") == "other"


def test_workers_have_the_grace_time_of_the_request_else_that_of_the_settings(
    toy: Callable[..., Path], tmp_path: Path
) -> None:
    settings = RunSettings(toy(SQUARE), str(tmp_path / "a.db"), n_trials=3, stop_grace_s=7.0)
    assert option(asked(settings), "--stop-grace") == "7.0"
    assert option(asked(settings, StopRequest(grace_s=4.0)), "--stop-grace") == "4.0"
