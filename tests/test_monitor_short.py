"""Trainings that end within a warm-up that nobody chose: how they are judged, and what is said."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator
from typing import Any

import optuna
import pytest
from optuna.pruners import BasePruner
from optuna.trial import FixedTrial, FrozenTrial, TrialState

from optuna_snn import monitor as monitor_module
from optuna_snn.constraint_errors import CONSTRAINT_SD_KEY
from optuna_snn.monitor import SpikeMonitor
from optuna_snn.pruner import SpikeActivityPruner
from optuna_snn.spikes.report import SpikeReport
from optuna_snn.stored_spikes import SPIKES_KEY, spike_report


@pytest.fixture(autouse=True)
def nothing_said() -> Iterator[None]:
    """What is said once in a process is said once in each test."""
    said_once = (
        monitor_module._tell_of_a_short_training,
        monitor_module._tell_of_a_stop_that_was_ignored,
    )
    for tell in said_once:
        tell.cache_clear()
    yield
    for tell in said_once:
        tell.cache_clear()


def test_a_training_shorter_than_the_warm_up_that_is_not_given_is_judged_whole() -> None:
    watched = FixedTrial({})
    with SpikeMonitor(watched) as monitor:
        for _ in range(4):
            monitor.update({"exc": [0, 9, 9, 9], "inh": [0, 0, 0, 0]})
            assert not monitor.is_stopped
        monitor.start_epoch()
    assert watched.constraints == pytest.approx({"silent/exc": 0.15, "silent/inh": 0.9})
    report = SpikeReport.from_json(json.loads(json.dumps(watched.user_attrs[SPIKES_KEY])))
    assert {f"silent/{k}": c for k, c in report.constraints.items()} == watched.constraints


def test_the_report_tells_its_warm_up_and_that_it_was_judged_whole() -> None:
    watched = FixedTrial({})
    with SpikeMonitor(watched, planned_samples=1000) as monitor:
        monitor.update("output", [0] * 32)
    stored = json.loads(json.dumps(watched.user_attrs[SPIKES_KEY]))
    assert (stored["warmup"], stored["judged_whole"]) == (500, True)
    report = SpikeReport.from_json(stored)
    assert (report.is_silent, report.samples_saved) == (True, 0)  # it was not stopped
    for wrong in (None, 1, "yes"):
        with pytest.raises(ValueError, match="judged_whole must be a truth value"):
            SpikeReport.from_json(stored | {"judged_whole": wrong})
    del stored["judged_whole"]
    assert not SpikeReport.from_json(stored).is_judged_whole


class PruneAfter(BasePruner):
    """Prunes once n steps were reported."""

    def __init__(self, n_steps: int) -> None:
        self._n_steps = n_steps

    def prune(self, study: optuna.Study, trial: FrozenTrial) -> bool:
        return len(trial.intermediate_values) >= self._n_steps


def trained(n_batches: int, n_until_pruned: int, **options: Any) -> FrozenTrial:
    """A trial with batches of eight silent and eight active samples, and another pruner."""

    def objective(trial: optuna.Trial) -> float:
        with SpikeMonitor(trial, **options) as monitor:
            for i in range(n_batches):
                monitor.update("output", [0] * 8 + [5] * 8)
                trial.report(0.0, i)
                if trial.should_prune():
                    raise optuna.TrialPruned
        return 0.0

    study = optuna.create_study(pruner=SpikeActivityPruner(PruneAfter(n_until_pruned)))
    study.optimize(objective, n_trials=1)
    return study.trials[0]


def test_one_that_another_pruner_ends_within_the_warm_up_has_the_same_constraint() -> None:
    pruned, complete = trained(20, 5), trained(20, 99)
    assert (pruned.state, complete.state) == (TrialState.PRUNED, TrialState.COMPLETE)
    assert pruned.constraints == complete.constraints == {"silent/output": 0.4}
    sds = [trial.user_attrs[CONSTRAINT_SD_KEY]["silent/output"] for trial in (pruned, complete)]
    assert sds[0] > sds[1]  # of 80 samples, and of 320
    reports = [spike_report(trial) for trial in (pruned, complete)]
    assert [report.is_judged_whole for report in reports if report] == [True, True]


def test_within_a_warm_up_that_was_given_there_is_no_constraint() -> None:
    assert trained(20, 5, warmup=256).constraints == {}


@pytest.mark.parametrize("exception", [ZeroDivisionError, KeyboardInterrupt])
def test_a_training_that_broke_off_within_the_warm_up_is_not_judged(
    exception: type[BaseException],
) -> None:
    watched = FixedTrial({})
    with pytest.raises(exception), SpikeMonitor(watched) as monitor:
        monitor.update("output", [0] * 16)
        raise exception
    assert watched.constraints == {}
    assert watched.user_attrs[SPIKES_KEY]["judged_whole"] is False


def said(
    caplog: pytest.LogCaptureFixture, n_samples: int, n_times: int = 1, **options: Any
) -> int:
    """Number of warnings of so many trainings in batches of 128."""
    caplog.clear()
    with caplog.at_level(logging.WARNING, logger="optuna_snn"):
        for _ in range(n_times):
            with SpikeMonitor(FixedTrial({}), **options) as monitor:
                for _ in range(n_samples // 128):
                    monitor.update("output", [0] * 128)
    for record in caplog.records:
        warmup = record.args[1] if isinstance(record.args, tuple) else None
        assert record.getMessage() == (
            f"A training of {n_samples} samples cannot be stopped early by its spikes: the first "
            f"{warmup} are the warm-up that follows from its batches. Pass planned_samples= to "
            "SpikeMonitor, of which the warm-up is half at most, or warmup=."
        )
    return len(caplog.records)


@pytest.mark.parametrize("n_samples", [128, 3840, 4096])
def test_a_training_that_could_not_be_stopped_says_so_once(
    n_samples: int, caplog: pytest.LogCaptureFixture
) -> None:
    assert said(caplog, n_samples, n_times=3) == 1


@pytest.mark.parametrize(
    ("n_samples", "options"),
    [
        (4224, {}),  # 128 samples after the warm-up
        (3840, {"planned_samples": 3840}),
        (128, {"planned_samples": 3840}),
        (3840, {"warmup": 1024}),
        (3840, {"rule": "record"}),
    ],
)
def test_others_say_nothing(
    n_samples: int, options: dict[str, Any], caplog: pytest.LogCaptureFixture
) -> None:
    assert said(caplog, n_samples, **options) == 0


def test_one_that_another_pruner_ends_says_nothing(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING, logger="optuna_snn"):
        trained(20, 5)
        assert not caplog.records
        trained(20, 99)
        assert len(caplog.records) == 1


def test_a_rule_without_a_minimum_stops_by_the_first_sample_after_the_warm_up(
    caplog: pytest.LogCaptureFixture,
) -> None:
    paper = {"rule": "paper", "epoch_size": 4096}
    assert said(caplog, 4096, **paper) == 1
    assert said(caplog, 4224, **paper) == 0
    assert said(caplog, 4224, min_samples=200) == 1


@pytest.mark.parametrize(
    ("pruner", "rule", "n_warnings"),
    [
        (optuna.pruners.NopPruner(), "sequential", 1),
        (optuna.pruners.NopPruner(), "record", 0),
        (SpikeActivityPruner(), "sequential", 0),
    ],
)
def test_a_stop_that_the_objective_ignores_is_told_once(
    caplog: pytest.LogCaptureFixture, pruner: BasePruner, rule: Any, n_warnings: int
) -> None:
    def objective(trial: optuna.Trial) -> float:
        with SpikeMonitor(trial, rule=rule, planned_samples=640) as monitor:
            for _ in range(40):
                monitor.update("output", [0] * 16)
                if trial.should_prune():
                    raise optuna.TrialPruned
        return 0.0

    with caplog.at_level(logging.WARNING, logger="optuna_snn"):
        optuna.create_study(pruner=pruner).optimize(objective, n_trials=2)
    told = [record.getMessage() for record in caplog.records]
    assert len(told) == n_warnings
    assert all("NopPruner; pass pruner=SpikeActivityPruner()" in text for text in told)
