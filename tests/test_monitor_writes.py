"""What a monitor writes to its trial, when, and how often."""

import json
import logging
from typing import Any

import numpy as np
import optuna
import pytest
from optuna.trial import FixedTrial, create_trial
from scipy.stats import beta

from optuna_snn import monitor as monitor_module
from optuna_snn.constraint_errors import CONSTRAINT_SD_KEY
from optuna_snn.monitor import SpikeMonitor
from optuna_snn.pruner import SpikeActivityPruner
from optuna_snn.stored_spikes import SPIKES_KEY, spike_report

DEAD = np.zeros(16, dtype=int)
ALIVE = np.full(16, 9)


class RecordingTrial(FixedTrial):
    """Keeps every write, and refuses them all once `is_broken`."""

    def __init__(self) -> None:
        super().__init__({})
        self.attributes: list[dict[str, Any]] = []
        self.written_constraints: list[tuple[str, float]] = []
        self.written_sds: list[dict[str, float]] = []
        self.is_broken = False

    def set_user_attr(self, key: str, value: Any) -> None:
        if self.is_broken:
            raise ConnectionError("the database is gone")
        if key == CONSTRAINT_SD_KEY:
            self.written_sds.append(value)
        else:
            assert key == SPIKES_KEY
            self.attributes.append(json.loads(json.dumps(value)))
        super().set_user_attr(key, value)

    def set_constraint(self, key: str, value: float) -> None:
        if self.is_broken:
            raise ConnectionError("the database is gone")
        self.written_constraints.append((key, value))
        super().set_constraint(key, value)


class Clock:
    """Stands in for time.monotonic."""

    def __init__(self) -> None:
        self.now_s = 1000.0

    def __call__(self) -> float:
        return self.now_s


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(monitor_module, "monotonic", clock)
    return clock


def test_a_healthy_short_run_is_written_once_when_the_block_is_left(clock: Clock) -> None:
    trial = RecordingTrial()
    with SpikeMonitor(trial) as monitor:
        for _ in range(100):
            monitor.update("output", ALIVE)
        assert (trial.attributes, trial.written_constraints) == ([], [])
    assert len(trial.attributes) == 1
    assert trial.written_constraints == [("silent/output", -0.1)]
    assert list(map(list, trial.written_sds)) == [["silent/output"]]


def test_the_error_of_a_constraint_follows_from_the_samples_that_it_rests_on() -> None:
    for n_batches, n_silent in [(1, 0), (1, 3), (1, 16), (40, 3), (40, 16)]:
        trial = RecordingTrial()
        with SpikeMonitor(trial, warmup=0, rule="record") as monitor:
            for _ in range(n_batches):
                monitor.update("output", np.arange(16) >= n_silent)
        n, k = 16 * n_batches, n_silent * n_batches
        share = beta(k + 1, n - k + 1)  # what is known of it after n samples
        assert trial.written_sds == [{"silent/output": pytest.approx(share.std())}]


def test_without_a_judged_sample_no_error_is_written() -> None:
    trial = RecordingTrial()
    with pytest.raises(optuna.TrialPruned), SpikeMonitor(trial):
        raise optuna.TrialPruned
    assert (trial.written_constraints, trial.written_sds) == ([], [])


def test_the_report_is_written_when_the_verdict_turns_and_not_again_unchanged() -> None:
    trial = RecordingTrial()
    with pytest.raises(optuna.TrialPruned), SpikeMonitor(trial, warmup=0) as monitor:
        for _ in range(10):
            monitor.update("output", DEAD)
            if monitor.is_silent:
                raise optuna.TrialPruned(monitor.verdict)
    assert len(trial.attributes) == 1
    assert trial.attributes[0]["layers"]["output"]["judged"] == [16, 0, 16]
    assert trial.written_constraints == [("silent/output", 0.9)]


def test_a_verdict_that_turns_back_is_written_as_well(clock: Clock) -> None:
    trial = RecordingTrial()
    with SpikeMonitor(trial, warmup=0) as monitor:
        monitor.update("output", DEAD)
        assert (monitor.is_silent, len(trial.attributes)) == (True, 1)
        monitor.update("output", DEAD)
        assert (monitor.is_silent, len(trial.attributes)) == (True, 1)
        monitor.update("output", [9] * 500)
        assert (monitor.is_silent, len(trial.attributes)) == (False, 2)


def test_progress_is_written_at_most_once_an_interval(clock: Clock) -> None:
    trial = RecordingTrial()
    with SpikeMonitor(trial, report_interval_s=10.0) as monitor:
        for second in range(1, 36):
            clock.now_s += 1.0
            monitor.update("output", ALIVE)
            assert len(trial.attributes) == second // 10
    assert len(trial.attributes) == 4


def test_the_start_of_an_epoch_writes_what_is_new(clock: Clock) -> None:
    trial = RecordingTrial()
    with SpikeMonitor(trial) as monitor:
        monitor.start_epoch()
        assert trial.attributes == []
        monitor.update("output", ALIVE)
        monitor.start_epoch()
        monitor.start_epoch()
        assert len(trial.attributes) == 1
        monitor.update("output", ALIVE)
        monitor.update("output", ALIVE)
    assert len(trial.attributes) == 2


@pytest.mark.parametrize(
    "exception", [optuna.TrialPruned, ZeroDivisionError, KeyboardInterrupt, SystemExit]
)
def test_constraints_are_written_once_whatever_ends_the_block(
    exception: type[BaseException],
) -> None:
    trial = RecordingTrial()
    with pytest.raises(exception) as caught, SpikeMonitor(trial, warmup=0) as monitor:
        monitor.update({"exc": ALIVE, "inh": DEAD})
        raise exception("as it happens")
    assert str(caught.value) == "as it happens"
    assert trial.written_constraints == [("silent/exc", -0.1), ("silent/inh", 0.9)]
    assert len(trial.attributes) == 1


def test_a_return_from_inside_the_block_writes_them_too() -> None:
    def objective(trial: FixedTrial) -> float:
        with SpikeMonitor(trial, warmup=0) as monitor:
            monitor.update("output", ALIVE)
            return 1.0

    trial = RecordingTrial()
    assert objective(trial) == 1.0
    assert trial.written_constraints == [("silent/output", -0.1)]


@pytest.mark.parametrize(
    ("layers", "updates", "complaint"),
    [
        (None, [], "No sample was judged"),
        (None, [("exc", ALIVE)], "samples seen: {'exc': 16}.*first 32 are warm-up.*warmup="),
        (["exc", "inh"], [("exc", [9] * 40)], r"samples seen: {'inh': 0}.*monitor.update"),
    ],
)
def test_a_run_without_a_judged_sample_is_an_error(
    layers: list[str] | None, updates: list[tuple[str, Any]], complaint: str
) -> None:
    trial = RecordingTrial()
    with (
        pytest.raises(ValueError, match=complaint),
        SpikeMonitor(trial, layers=layers, warmup=32) as monitor,
    ):
        for layer, counts in updates:
            monitor.update(layer, counts)
    judged = [(f"silent/{layer}", -0.1) for layer, counts in updates if len(counts) > 32]
    assert trial.written_constraints == judged


def test_without_a_judged_sample_another_exception_is_not_masked() -> None:
    trial = RecordingTrial()
    with pytest.raises(ZeroDivisionError), SpikeMonitor(trial) as monitor:
        monitor.update("output", ALIVE)
        raise ZeroDivisionError
    assert trial.written_constraints == []
    assert trial.attributes[0]["layers"]["output"]["seen"] == [0, 9, 16]


def test_a_failed_write_never_replaces_the_exception_that_ends_the_block(
    caplog: pytest.LogCaptureFixture,
) -> None:
    trial = RecordingTrial()
    with (
        caplog.at_level(logging.ERROR, logger="optuna_snn"),
        pytest.raises(optuna.TrialPruned) as caught,
        SpikeMonitor(trial, warmup=0) as monitor,
    ):
        monitor.update("output", ALIVE)
        trial.is_broken = True
        raise optuna.TrialPruned
    assert "the database is gone" in caught.value.__notes__[0]
    assert "spike results of trial 0 could not be stored" in caplog.text


def test_a_failed_write_at_a_normal_end_is_an_error() -> None:
    trial = RecordingTrial()
    with pytest.raises(ConnectionError), SpikeMonitor(trial, warmup=0) as monitor:
        monitor.update("output", ALIVE)
        trial.is_broken = True


def test_a_second_monitor_for_a_trial_is_refused_before_it_trains() -> None:
    trial = RecordingTrial()
    with SpikeMonitor(trial, warmup=0) as monitor:
        monitor.update("output", ALIVE)
    with pytest.raises(ValueError, match=r"'silent/output' already.*one SpikeMonitor per trial"):
        SpikeMonitor(trial, warmup=0).__enter__()


def test_the_report_of_a_dead_trial_prunes_no_retry_that_inherited_it() -> None:
    """As Optuna's own callback for retries copies user attributes."""
    study = optuna.create_study(pruner=SpikeActivityPruner())
    dead = study.ask()
    with pytest.raises(optuna.TrialPruned), SpikeMonitor(dead, warmup=0) as monitor:
        monitor.update("a", np.zeros(64, dtype=int))
        assert dead.should_prune()
        raise optuna.TrialPruned
    inherited = study.trials[0].user_attrs
    study.enqueue_trial({}, user_attrs=inherited)
    retry = study.ask()
    assert SPIKES_KEY in retry.user_attrs
    with SpikeMonitor(retry, warmup=0) as monitor:
        monitor.update("a", ALIVE)
        assert not retry.should_prune()


def test_running_a_finished_trial_again_changes_nothing_in_it() -> None:
    finished = create_trial(value=1.0, constraints={"silent/output": 0.25})
    with SpikeMonitor(finished, warmup=0) as monitor:
        monitor.update("output", DEAD)
        assert monitor.is_silent
    assert finished.constraints == {"silent/output": 0.25}
    assert finished.user_attrs == {}


def test_what_was_written_can_be_read_back() -> None:
    trial = RecordingTrial()
    with SpikeMonitor(trial, alpha=5, beta=0.2, warmup=8, planned_samples=1000) as monitor:
        monitor.update({"exc": ALIVE, "inh": DEAD})
        monitor.update({"exc": ALIVE, "inh": DEAD})
    report = spike_report(create_trial(value=0.0, user_attrs=dict(trial.user_attrs)))
    assert report is not None
    assert (report.rule, report.warmup, report.planned_samples) == ("sequential", 8, 1000)
    assert (report.samples_seen, report.samples_saved) == (32, 968)
    assert (report.is_silent, report.stopped_layers) == (True, ("inh",))
    assert report.verdict == monitor.verdict
    inh = report.layers["inh"]
    assert (inh.alpha, inh.beta, inh.constraint) == (5, 0.2, 0.8)
    assert (inh.activity.judged.n_samples, inh.activity.seen.n_samples) == (24, 32)


def test_a_trial_without_a_monitor_has_no_report() -> None:
    assert spike_report(create_trial(value=0.0)) is None


@pytest.mark.parametrize("stored", [[], "none", {"version": 99}, 0])
def test_a_damaged_report_is_an_error_that_names_the_trial(stored: object) -> None:
    trial = create_trial(value=0.0, user_attrs={SPIKES_KEY: stored})
    trial.number = 41
    with pytest.raises(ValueError, match=r"'optuna_snn:spikes' of trial 41 .*version 1"):
        spike_report(trial)
