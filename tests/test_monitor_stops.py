"""What else stops a network: saturated layers, all layers together, a window that slides."""

import json

import numpy as np
import optuna
import pytest
from optuna.trial import FixedTrial, create_trial

from optuna_snn.monitor import SpikeMonitor
from optuna_snn.pruner import SpikeActivityPruner
from optuna_snn.stored_spikes import SPIKES_KEY, spike_report

DEAD = np.zeros(16, dtype=int)
ALIVE = np.full(16, 9)
WILD = np.full(16, 900)


def test_a_saturated_network_is_stopped_and_says_so() -> None:
    watched = FixedTrial({})
    with SpikeMonitor(watched, max_spikes=500, warmup=0, layers=["exc", "inh"]) as monitor:
        monitor.update({"exc": [900] * 14 + [9] * 2, "inh": ALIVE})
        assert (monitor.is_stopped, monitor.is_silent, monitor.is_saturated) == (True, False, True)
        assert monitor.verdict is not None
        assert monitor.verdict.startswith(
            "layer 'exc' is saturated: 14 of 16 samples had more than 500 spikes ("
        )
    assert watched.constraints == {
        "silent/exc": -0.1,
        "silent/inh": -0.1,
        "saturated/exc": 0.775,
        "saturated/inh": -0.1,
    }


def test_only_layers_with_the_bound_get_its_constraint() -> None:
    watched = FixedTrial({})
    with SpikeMonitor(
        watched, max_spikes={"exc": 500}, layers=["exc", "inh"], warmup=0
    ) as monitor:
        monitor.update({"exc": ALIVE, "inh": WILD})
        assert not monitor.is_stopped
    assert set(watched.constraints) == {"silent/exc", "silent/inh", "saturated/exc"}


def test_a_silent_network_is_stopped_with_and_without_the_bound() -> None:
    for most in (None, 500):
        with SpikeMonitor(FixedTrial({}), max_spikes=most, warmup=0) as monitor:
            monitor.update("output", DEAD)
            assert (monitor.is_stopped, monitor.is_silent) == (True, True)
            assert not monitor.is_saturated


def test_the_pruner_prunes_saturated_networks_and_leaves_a_constraint() -> None:
    def objective(trial: optuna.Trial) -> float:
        spikes = trial.suggest_int("spikes", 0, 1000)
        with SpikeMonitor(trial, max_spikes=500, planned_samples=320, warmup=32) as monitor:
            for _ in range(20):
                monitor.update("output", [spikes] * 16)
                assert trial.should_prune() == monitor.is_stopped
                if monitor.is_stopped:
                    raise optuna.TrialPruned(monitor.verdict)
        return 0.0

    study = optuna.create_study(pruner=SpikeActivityPruner())
    for spikes in (0, 9, 900):
        study.enqueue_trial({"spikes": spikes})
    study.optimize(objective, n_trials=3)
    assert [trial.state.name for trial in study.trials] == ["PRUNED", "COMPLETE", "PRUNED"]
    assert study.trials[2].constraints == {"silent/output": -0.1, "saturated/output": 0.9}
    report = spike_report(study.trials[2])
    assert report is not None
    assert (report.is_saturated, report.is_silent, report.samples_saved) == (True, False, 272)


def test_a_trial_with_a_constraint_on_saturation_is_refused_a_second_monitor() -> None:
    watched = FixedTrial({})
    watched.set_constraint("saturated/output", 0.5)
    with pytest.raises(ValueError, match="'saturated/output' already"):
        SpikeMonitor(watched).__enter__()


def test_over_all_layers_one_that_is_alive_keeps_the_network() -> None:
    watched = FixedTrial({})
    with SpikeMonitor(watched, over_layers="all", max_spikes=500, warmup=0) as monitor:
        monitor.update({"exc": DEAD, "inh": ALIVE})
        assert (monitor.is_stopped, monitor.verdict) == (False, None)
    assert watched.constraints == {"silent/all": -0.1, "saturated/all": -0.1}


def test_over_all_layers_a_network_is_stopped_when_all_are_silent_at_the_same_look() -> None:
    watched = FixedTrial({})
    with SpikeMonitor(
        watched, over_layers="all", layers=["exc", "inh"], warmup=0, beta=0.3
    ) as monitor:
        monitor.update("exc", DEAD)
        assert not monitor.is_stopped  # inh was declared and not seen
        monitor.update("inh", DEAD)
        assert monitor.is_stopped
        monitor.update("exc", np.full(100, 9))
        assert not monitor.is_stopped
        monitor.update("exc", np.zeros(200))
        assert monitor.is_stopped
    assert watched.constraints == {"silent/all": 216 / 316 - 0.3}


def test_a_layer_that_appears_later_turns_the_verdict_over_all_and_that_is_written() -> None:
    watched = FixedTrial({})
    with SpikeMonitor(watched, over_layers="all", warmup=0) as monitor:
        monitor.update("exc", DEAD)
        assert stored_is_stopped(watched)
        monitor.update("inh", ALIVE)
        assert not monitor.is_stopped and not stored_is_stopped(watched)


def stored_is_stopped(watched: FixedTrial) -> bool:
    attributes = json.loads(json.dumps(dict(watched.user_attrs)))
    report = spike_report(create_trial(value=0.0, user_attrs=attributes))
    assert report is not None
    return report.is_stopped


@pytest.mark.parametrize(("window", "n_batches"), [(None, 43), (64, 2), (128, 3)])
def test_a_network_that_dies_late_is_stopped_within_the_window(
    window: int | None, n_batches: int
) -> None:
    watched = FixedTrial({})
    with SpikeMonitor(watched, window=window, warmup=32) as monitor:
        for _ in range(315):
            monitor.update("output", ALIVE)
        assert not monitor.is_stopped
        n = 0
        while not monitor.is_stopped:
            monitor.update("output", DEAD)
            n += 1
    assert n == n_batches
    assert watched.constraints["silent/output"] > 0
    assert stored_is_stopped(watched)


def test_what_the_window_holds_can_be_read_back() -> None:
    watched = FixedTrial({})
    with SpikeMonitor(watched, window=32, max_spikes=500, warmup=0) as monitor:
        monitor.update("output", [9] * 40 + [900] * 3)
        monitor.start_epoch()
        monitor.update("output", [0] * 5)
    stored = json.loads(json.dumps(watched.user_attrs[SPIKES_KEY]))
    report = spike_report(create_trial(value=0.0, user_attrs={SPIKES_KEY: stored}))
    assert report is not None
    activity = report.layers["output"].activity
    assert (activity.window.size, activity.window.number, activity.epoch) == (32, 4, 2)
    assert (activity.judged.n_samples, activity.judged.n_silent) == (5, 5)
    assert (activity.seen.n_samples, activity.seen.n_saturated) == (48, 3)


@pytest.mark.parametrize(
    ("options", "complaint"),
    [
        ({"max_spikes": 4, "alpha": 5}, "whole number >= alpha = 5, got 4"),
        ({"max_spikes": {"exc": 9}}, "declared are none"),
        ({"over_layers": "most"}, "over_layers must be one of any, all; got 'most'"),
        ({"window": 20}, "at least twice min_samples = 16, got 20"),
        ({"window": 64, "rule": "paper", "epoch_size": 100}, "needs rule='sequential'"),
    ],
)
def test_options_out_of_range_are_refused_before_training(
    options: dict[str, object], complaint: str
) -> None:
    with pytest.raises(ValueError, match=complaint):
        SpikeMonitor(FixedTrial({}), **options)  # type: ignore[arg-type]
