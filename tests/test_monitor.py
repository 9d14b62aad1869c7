"""What a monitor finds and says; what it writes to the trial: `test_monitor_writes.py`."""

import json

import numpy as np
import optuna
import pytest
import torch
from optuna.trial import FixedTrial

from optuna_snn.monitor import SpikeMonitor
from optuna_snn.spikes.rules import RuleName
from optuna_snn.stored_spikes import SPIKES_KEY

DEAD = np.zeros(16, dtype=int)
ALIVE = np.full(16, 9)


def trial() -> FixedTrial:
    return FixedTrial({})


def test_a_dead_layer_is_silent_sixteen_samples_after_the_warm_up() -> None:
    with SpikeMonitor(trial(), beta=0.05, delta=1e-3, warmup=32) as monitor:
        for n_samples in range(1, 32 + 16):
            monitor.update("output", [0])
            assert (n_samples, monitor.is_silent, monitor.verdict) == (n_samples, False, None)
        monitor.update("output", [0])
        assert monitor.is_silent
        assert monitor.verdict is not None and "'output' is silent: 16 of 16" in monitor.verdict


def test_a_network_that_wakes_up_within_the_warm_up_is_left_alone() -> None:
    with SpikeMonitor(trial(), warmup=32) as monitor:
        for counts in (DEAD, DEAD, ALIVE, ALIVE):
            monitor.update("output", counts)
            assert not monitor.is_silent
    assert monitor.n_samples == 64


@pytest.mark.parametrize("rule", ["paper", "sequential"])
def test_a_stop_always_leaves_a_violated_constraint(rule: RuleName) -> None:
    rng = np.random.default_rng(0)
    n_stopped = 0
    for _ in range(150):
        watched, silence = trial(), rng.choice([0.0, 0.15, 0.9], size=2)
        monitor = SpikeMonitor(
            watched, alpha=2, beta=0.2, rule=rule, warmup=5, min_samples=2, epoch_size=60
        )
        with monitor:
            for step in range(12):
                if step % 6 == 0:
                    monitor.start_epoch()
                counts = 3 * (rng.random((2, 10)) > silence[:, None])
                monitor.update({"exc": counts[0], "inh": counts[1]})
                if monitor.is_silent:
                    break
        if monitor.is_silent:
            n_stopped += 1
            assert max(watched.constraints.values()) > 0
    assert 20 < n_stopped < 130  # both outcomes were seen often


def test_record_never_stops_and_still_sets_the_constraint() -> None:
    watched = trial()
    with SpikeMonitor(watched, rule="record") as monitor:
        for _ in range(10):
            monitor.update("output", DEAD)
            assert not monitor.is_silent
    assert watched.constraints == {"silent/output": 0.9}


def test_the_paper_stops_once_the_epoch_has_too_many_silent_samples() -> None:
    with SpikeMonitor(trial(), beta=0.3, rule="paper", epoch_size=100, warmup=0) as monitor:
        monitor.update("output", [0] * 30)
        assert not monitor.is_silent
        monitor.update("output", [0])
        assert monitor.is_silent


def test_an_epoch_is_judged_by_itself() -> None:
    watched = trial()
    with SpikeMonitor(watched, warmup=0) as monitor:
        monitor.start_epoch()
        monitor.update("output", DEAD)
        assert monitor.is_silent
        monitor.start_epoch()
        assert monitor.is_silent  # until the new epoch has a sample, the last one stands
        monitor.update("output", ALIVE)
        assert not monitor.is_silent
    assert watched.constraints == {"silent/output": -0.1}


def test_starting_an_epoch_twice_spends_no_more_of_delta() -> None:
    verdicts = []
    for n_starts in (1, 50):
        with SpikeMonitor(
            trial(), beta=0.3, warmup=0, min_samples=1, layers=["output"]
        ) as monitor:
            for _ in range(n_starts):
                monitor.start_epoch()
            while not monitor.is_silent:
                monitor.update("output", [0])
        verdicts.append((monitor.n_samples, monitor.verdict))
    assert verdicts[0] == verdicts[1]
    assert verdicts[0][0] == 8


def test_a_layer_not_seen_in_the_last_epoch_keeps_its_window() -> None:
    watched = trial()
    with SpikeMonitor(watched, warmup=0, rule="record") as monitor:
        monitor.update({"exc": ALIVE, "inh": [0, 0, 1, 1]})
        monitor.start_epoch()
        monitor.update("exc", DEAD)
    assert watched.constraints == {"silent/exc": 0.9, "silent/inh": 0.4}


def test_layers_are_judged_by_their_own_limits() -> None:
    with SpikeMonitor(
        trial(), alpha={"exc": 1, "inh": 20}, beta={"exc": 0.1, "inh": 0.5}, warmup=0
    ) as monitor:
        monitor.update({"exc": ALIVE, "inh": ALIVE})
        assert monitor.verdict is not None and "'inh'" in monitor.verdict
        assert "'exc'" not in monitor.verdict


def test_counts_may_come_as_tensors_with_gradients() -> None:
    spikes = torch.zeros(25, 16, 100, requires_grad=True)  # time, batch, neurons
    with SpikeMonitor(trial(), warmup=0) as monitor:
        monitor.update("output", spikes.sum(0).sum(-1))
        assert monitor.is_silent


def test_an_undeclared_layer_is_refused_and_nothing_is_taken_in() -> None:
    with SpikeMonitor(trial(), warmup=0, layers=["exc", "inh"]) as monitor:
        with pytest.raises(ValueError, match=r"'output' was not declared.*'exc', 'inh'"):
            monitor.update({"exc": ALIVE, "output": ALIVE})
        with pytest.raises(ValueError, match=r"'inh'.*not a rate"):
            monitor.update({"exc": ALIVE, "inh": [0.5]})
        assert monitor.n_samples == 0
        monitor.update({"exc": ALIVE, "inh": ALIVE})


def test_an_update_without_a_layer_or_without_counts_is_refused() -> None:
    with SpikeMonitor(trial(), warmup=0) as monitor:
        for arguments in [(ALIVE,), ("output",), ({"output": ALIVE}, ALIVE)]:
            with pytest.raises(TypeError, match="a layer's name and its counts"):
                monitor.update(*arguments)  # type: ignore[arg-type]
        monitor.update("output", ALIVE)


def test_a_monitor_works_inside_its_block_only() -> None:
    monitor = SpikeMonitor(trial(), warmup=0)
    with pytest.raises(RuntimeError, match=r"update\(\).*with SpikeMonitor"):
        monitor.update("output", ALIVE)
    with monitor:
        monitor.update("output", ALIVE)
        with pytest.raises(RuntimeError, match="one with-block"):
            monitor.__enter__()
    with pytest.raises(RuntimeError, match=r"start_epoch\(\)"):
        monitor.start_epoch()
    with pytest.raises(RuntimeError, match="one with-block"):
        monitor.__enter__()
    assert monitor.n_samples == 16  # what it found stays readable


@pytest.mark.parametrize(
    ("options", "complaint"),
    [
        ({"alpha": 0}, "alpha must be a whole number >= 1, got 0"),
        ({"beta": 1.0}, "0 <= beta < 1, got beta=1.0"),
        ({"beta": 0}, "beta > 0"),
        ({"delta": 0.0}, "0 < delta < 1, got delta=0.0"),
        ({"rule": "strict"}, "paper, sequential, record; got 'strict'"),
        ({"rule": "paper"}, "pass epoch_size"),
        ({"warmup": -1}, "warmup must be an integer >= 0, got -1"),
        ({"min_samples": 0}, "min_samples must be an integer >= 1, got 0"),
        ({"planned_samples": 0}, "planned_samples must be an integer >= 1, got 0"),
        ({"report_interval_s": -1.0}, "report_interval_s >= 0, got -1.0"),
        ({"report_interval_s": float("nan")}, "report_interval_s >= 0, got nan"),
        ({"layers": ["exc"], "beta": {"inh": 0.1}}, "layers and beta"),
    ],
)
def test_options_out_of_range_are_refused_before_training(
    options: dict[str, object], complaint: str
) -> None:
    with pytest.raises(ValueError, match=complaint):
        SpikeMonitor(trial(), **options)  # type: ignore[arg-type]


def test_without_a_pruner_the_monitors_own_verdict_stops_a_multi_objective_trial() -> None:
    def objective(running: optuna.Trial) -> tuple[float, float]:
        with SpikeMonitor(running, warmup=32) as monitor:
            for _ in range(10):
                monitor.update("output", DEAD)
                if monitor.is_silent:
                    raise optuna.TrialPruned(monitor.verdict)
        return 0.0, 0.0

    study = optuna.create_study(directions=["maximize", "minimize"])
    study.optimize(objective, n_trials=1)
    assert study.trials[0].state.name == "PRUNED"
    assert study.trials[0].constraints == {"silent/output": 0.9}


@pytest.mark.parametrize(
    ("batch_size", "planned_samples", "warmup"),
    [(1, None, 256), (8, None, 256), (32, None, 1024), (9999, None, 4096), (32, 1000, 500)],
)
def test_the_warm_up_that_is_not_given_follows_from_the_first_batch(
    batch_size: int, planned_samples: int | None, warmup: int
) -> None:
    watched = trial()
    with SpikeMonitor(watched, beta=0.1, planned_samples=planned_samples) as monitor:
        n = 0
        while not monitor.is_silent:
            monitor.update({"exc": [0] * batch_size, "inh": [9] * batch_size})
            n += batch_size
    assert warmup + 16 <= n < max(warmup + 16 + batch_size, 2 * batch_size)
    assert json.loads(json.dumps(watched.user_attrs[SPIKES_KEY]))["warmup"] == warmup
