import doctest
import math
from pathlib import Path

import numpy as np
import optuna
import pytest
from optuna.pruners import BasePruner
from optuna.testing.pruners import DeterministicPruner
from optuna.trial import FrozenTrial, TrialState, create_trial

import optuna_snn.monitor
import optuna_snn.pruner
from optuna_snn.monitor import SpikeMonitor
from optuna_snn.pruner import SpikeActivityPruner
from optuna_snn.stored_spikes import SPIKES_KEY, spike_report


class AskedPruner(BasePruner):
    """Counts how often it was asked, and keeps every trial."""

    def __init__(self) -> None:
        self.n_asked = 0

    def prune(self, study: optuna.Study, trial: FrozenTrial) -> bool:
        self.n_asked += 1
        return False


def toy_objective(trial: optuna.Trial, report_interval_s: float = 10.0) -> float:
    """Train a layer for 320 samples whose share of silent ones is a parameter."""
    silence = trial.suggest_float("silence", 0.0, 1.0)
    rng = np.random.default_rng(trial.number)
    with SpikeMonitor(
        trial,
        beta=0.2,
        planned_samples=320,
        warmup=32,
        layers=["output"],
        report_interval_s=report_interval_s,
    ) as monitor:
        for _ in range(20):
            monitor.update("output", 5 * (rng.random(16) >= silence))
            if trial.should_prune():
                raise optuna.TrialPruned(monitor.verdict)
    return silence


@pytest.mark.parametrize("is_sqlite", [False, True])
def test_silent_networks_are_pruned_and_their_constraints_stored(
    is_sqlite: bool, tmp_path: Path
) -> None:
    url = f"sqlite:///{tmp_path / 'study.db'}" if is_sqlite else None
    study = optuna.create_study(
        storage=url, study_name="toy", pruner=SpikeActivityPruner(), direction="maximize"
    )
    for silence in (1.0, 0.0, 0.7, 0.05):
        study.enqueue_trial({"silence": silence})
    study.optimize(toy_objective, n_trials=4)

    trials = optuna.load_study(study_name="toy", storage=url).trials if url else study.trials
    assert [trial.state.name for trial in trials] == ["PRUNED", "COMPLETE"] * 2
    dead, alive, sparse, nearly = trials
    assert dead.constraints == {"silent/output": 0.8}
    assert alive.constraints == {"silent/output": -0.2}
    assert dead.constraints["silent/output"] > sparse.constraints["silent/output"] > 0
    assert nearly.constraints["silent/output"] == pytest.approx(0.05 - 0.2, abs=0.05)
    reports = [spike_report(trial) for trial in trials]
    assert [report.samples_saved for report in reports if report] == [320 - 48, 0, 320 - 48, 0]
    assert study.best_trial.number == nearly.number


def test_the_pruner_agrees_with_the_monitor_after_every_update() -> None:
    n_silent = 0

    def objective(trial: optuna.Trial) -> float:
        nonlocal n_silent
        rng = np.random.default_rng(trial.number)
        with SpikeMonitor(trial, beta=0.2, warmup=0, min_samples=4) as monitor:
            for step in range(40):
                if step % 15 == 0:
                    monitor.start_epoch()
                silence = rng.choice([0.0, 0.2, 0.9])
                monitor.update({name: rng.random(4) > silence for name in ("exc", "inh")})
                assert trial.should_prune() == monitor.is_silent
                n_silent += monitor.is_silent
        return 0.0

    study = optuna.create_study(pruner=SpikeActivityPruner())
    study.optimize(objective, n_trials=15)
    assert 10 < n_silent < 500  # both answers were seen often


@pytest.mark.parametrize("report_interval_s", [0.0, 1e9])  # with a stored report, and without
@pytest.mark.parametrize(("silence", "n_asked"), [(0.0, 20), (1.0, 2)])
def test_the_wrapped_pruner_is_asked_only_about_networks_not_found_silent(
    silence: float, n_asked: int, report_interval_s: float
) -> None:
    asked = AskedPruner()
    study = optuna.create_study(pruner=SpikeActivityPruner(wrapped_pruner=asked))
    study.enqueue_trial({"silence": silence})
    study.optimize(lambda trial: toy_objective(trial, report_interval_s), n_trials=1)
    assert asked.n_asked == n_asked  # about a dead one: after each of two batches of warm-up


@pytest.mark.parametrize("answer", [False, True])
def test_a_trial_without_a_monitor_is_left_to_the_wrapped_pruner(answer: bool) -> None:
    trial = create_trial(value=0.0)
    study = optuna.create_study()
    assert SpikeActivityPruner(DeterministicPruner(answer)).prune(study, trial) == answer
    assert SpikeActivityPruner().prune(study, trial) is False


def test_accuracy_is_pruned_by_the_wrapped_pruner_while_the_network_fires() -> None:
    def objective(trial: optuna.Trial) -> float:
        with SpikeMonitor(trial, warmup=32) as monitor:
            for step in range(5):
                monitor.update("output", [3] * 16)
                trial.report(trial.number, step)
                if trial.should_prune():
                    raise optuna.TrialPruned(monitor.verdict)
        return float(trial.number)

    pruner = SpikeActivityPruner(optuna.pruners.ThresholdPruner(upper=0.5, n_warmup_steps=3))
    study = optuna.create_study(pruner=pruner)
    study.optimize(objective, n_trials=2)
    assert [trial.state.name for trial in study.trials] == ["COMPLETE", "PRUNED"]
    assert study.trials[1].value == 1.0  # the reported accuracy, not a firing rate
    assert study.trials[1].constraints == {"silent/output": -0.1}


def test_hyperband_can_be_wrapped() -> None:
    def objective(trial: optuna.Trial) -> float:
        silence = trial.suggest_float("silence", 0.0, 1.0)
        rng = np.random.default_rng(trial.number)
        with SpikeMonitor(trial, warmup=0) as monitor:
            for step in range(9):
                monitor.update("output", rng.random(16) >= silence)
                trial.report(silence, step)
                if trial.should_prune():
                    raise optuna.TrialPruned(monitor.verdict)
        return silence

    hyperband = optuna.pruners.HyperbandPruner(min_resource=1, max_resource=9)
    study = optuna.create_study(
        study_name="brackets",  # Hyperband deals out brackets by this name
        pruner=SpikeActivityPruner(hyperband),
        sampler=optuna.samplers.RandomSampler(seed=0),
    )
    study.optimize(objective, n_trials=30)
    pruned = study.get_trials(states=[TrialState.PRUNED])
    is_silent = [trial.constraints["silent/output"] > 0 for trial in pruned]
    assert any(is_silent) and not all(is_silent)
    assert study.get_trials(states=[TrialState.FAIL]) == []


def test_the_pruner_holds_no_state_so_another_process_gives_the_same_answer() -> None:
    study = optuna.create_study(pruner=SpikeActivityPruner())
    study.enqueue_trial({"silence": 1.0})
    study.optimize(toy_objective, n_trials=1)
    stored = study.trials[0]
    assert SpikeActivityPruner().prune(study, stored)
    del stored.user_attrs[SPIKES_KEY]
    assert not SpikeActivityPruner().prune(study, stored)


def test_a_damaged_report_is_an_error_not_a_verdict() -> None:
    trial = create_trial(value=0.0, user_attrs={SPIKES_KEY: {"version": math.inf}})
    with pytest.raises(ValueError, match="optuna_snn:spikes"):
        SpikeActivityPruner().prune(optuna.create_study(), trial)


def test_a_wrapped_pruner_that_is_none_is_refused() -> None:
    with pytest.raises(TypeError, match="wrapped_pruner must be an Optuna pruner or None"):
        SpikeActivityPruner(optuna.pruners.MedianPruner)  # type: ignore[arg-type]


@pytest.mark.parametrize("module", [optuna_snn.monitor, optuna_snn.pruner])
def test_the_examples_in_the_docstrings_run(module: object) -> None:
    result = doctest.testmod(module)  # type: ignore[arg-type]
    assert result.attempted > 4
    assert result.failed == 0
