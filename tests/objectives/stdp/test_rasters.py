"""Spikes of a trial's last sample as artifacts: what is stored, when, and that nothing else is."""

from __future__ import annotations

import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import optuna
import pytest
from optuna.artifacts import FileSystemArtifactStore
from optuna.trial import FrozenTrial, TrialState

from optuna_snn.objectives import STDPObjective
from optuna_snn.objectives.stdp import objective as stdp
from optuna_snn.objectives.stdp.engines import EngineName
from optuna_snn.objectives.stdp.training import STDPTraining
from optuna_snn.objectives.trial_rng import trial_rng
from optuna_snn.pruner import SpikeActivityPruner
from optuna_snn.rasters import RasterArtifacts
from tests.objectives.slayer.samples import split_of_stripes
from tests.objectives.stdp import test_checkpoints
from tests.objectives.stdp.raster_cases import LAYERS, SIMPLE, Case, cases
from tests.objectives.stdp.test_objective import results
from tests.rasters.stored import dense, has_kept_nothing, kept

Store = FileSystemArtifactStore


class Impatient(optuna.pruners.BasePruner):
    """Stops every trial at the first question."""

    def prune(self, study: optuna.Study, trial: FrozenTrial) -> bool:
        return True


@pytest.fixture
def store(tmp_path: Path) -> Store:
    (tmp_path / "artifacts").mkdir()
    return FileSystemArtifactStore(str(tmp_path / "artifacts"))


def run(
    objective: STDPObjective,
    params: list[dict[str, Any]],
    pruner: optuna.pruners.BasePruner | None = None,
) -> optuna.Study:
    study = optuna.create_study(direction="maximize", pruner=pruner or SpikeActivityPruner())
    for each in params:
        study.enqueue_trial(each)
    study.optimize(objective, n_trials=len(params), catch=(ArithmeticError,))
    return study


@cases
def test_complete_and_pruned_trials_leave_their_spikes_and_results_do_not_change(
    case: Case, store: Store, tmp_path: Path
) -> None:
    params = [case.params["lively"], case.params["silent"]]
    study = run(case.make(RasterArtifacts(store)), params)
    without = run(case.make(None), params)
    assert [trial.state for trial in study.trials] == [TrialState.COMPLETE, TrialState.PRUNED]
    for ours, theirs in zip(study.trials, without.trials, strict=True):
        assert results(ours) == results(theirs)
        assert has_kept_nothing(without, theirs.number, store, tmp_path)
    for number, is_lively in ((0, True), (1, False)):
        found = kept(study, number, store, tmp_path)
        assert list(found) == LAYERS
        for raster in found.values():
            assert raster.n_steps == case.setup.n_steps
            assert raster.n_neurons == params[number]["map_size"]
            assert (raster.dt_ms, raster.stride, raster.is_cut) == (1.0, 1, False)
            assert (raster.n_spikes > 0) == is_lively


@cases
def test_a_pruned_trial_keeps_the_spikes_of_its_training_as_it_was_left(
    case: Case, store: Store, tmp_path: Path
) -> None:
    objective = case.make(RasterArtifacts(store), warmup=0)
    params = case.params["lively"]
    study = run(objective, [params], SpikeActivityPruner(Impatient()))
    assert study.trials[0].state == TrialState.PRUNED
    config = stdp.stdp_config(params, objective._defaults)
    training = STDPTraining(
        config, case.split.train, case.setup, trial_rng(0, 0), engine=case.engine
    )
    next(training.batches())
    found = kept(study, 0, store, tmp_path)
    for layer, table in training.record_last_sample().items():
        assert np.array_equal(dense(found[layer]), table)
    assert found["excitatory"].n_spikes > 0


def test_what_is_kept_is_bounded_and_a_given_time_step_stays(store: Store, tmp_path: Path) -> None:
    all_of_it = run(SIMPLE.make(RasterArtifacts(store)), [SIMPLE.params["lively"]])
    bounded = RasterArtifacts(store, dt_ms=0.5, max_neurons=6, max_steps=30)
    study = run(SIMPLE.make(bounded), [SIMPLE.params["lively"]])
    whole, part = (kept(each, 0, store, tmp_path) for each in (all_of_it, study))
    for layer in LAYERS:
        raster = part[layer]
        assert (raster.n_steps, raster.n_neurons, raster.stride) == (30, 6, 2)
        assert raster.is_cut and raster.dt_ms == 0.5
        assert np.array_equal(dense(raster), dense(whole[layer])[:30, ::2])
    assert part["excitatory"].n_spikes > 0


@pytest.mark.parametrize("name", ["lively", "silent"])
def test_a_store_that_fails_costs_a_warning_and_not_the_trial(
    name: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    gone = tmp_path / "gone"
    gone.mkdir()
    rasters = RasterArtifacts(FileSystemArtifactStore(str(gone)))
    gone.rmdir()
    with caplog.at_level(logging.WARNING, "optuna_snn.rasters.artifacts"):
        study = run(SIMPLE.make(rasters), [SIMPLE.params[name]])
    without = run(SIMPLE.make(None), [SIMPLE.params[name]])
    assert study.trials[0].state == without.trials[0].state
    assert results(study.trials[0]) == results(without.trials[0])
    assert "The rasters of trial 0 could not be stored: FileNotFoundError: " in caplog.text


def test_failed_trials_leave_nothing(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*arguments: object) -> None:
        raise ArithmeticError("on purpose")

    monkeypatch.setattr(stdp, "decode", fail)
    study = run(SIMPLE.make(RasterArtifacts(store)), [SIMPLE.params["lively"]])
    assert study.trials[0].state == TrialState.FAIL
    assert has_kept_nothing(study, 0, store, tmp_path)
    assert list((tmp_path / "artifacts").iterdir()) == []


def counting(calls: list[str], name: str, function: Callable[..., Any]) -> Callable[..., Any]:
    def called(*arguments: Any, **options: Any) -> Any:
        calls.append(name)
        return function(*arguments, **options)

    return called


def test_without_rasters_nothing_of_it_is_called_and_with_them_once_in_a_trial(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls: list[str] = []
    for owner, name in (
        (STDPTraining, "record_last_sample"),
        (stdp, "last_sample_kept"),
        (RasterArtifacts, "save"),
    ):
        monkeypatch.setattr(owner, name, counting(calls, name, getattr(owner, name)))
    params = [SIMPLE.params["lively"], SIMPLE.params["silent"]]
    run(SIMPLE.make(None), params)
    assert calls == []
    run(SIMPLE.make(RasterArtifacts(store)), params)
    assert calls == 2 * ["last_sample_kept", "record_last_sample", "save"]


@pytest.mark.parametrize("engine", ["compiled", "bindsnet"])
def test_a_checkpoint_without_rasters_is_resumed_with_them_to_the_same_end(
    engine: EngineName, store: Store, tmp_path: Path
) -> None:
    split, params = split_of_stripes(), test_checkpoints.LIVELY
    folder = tmp_path / "checkpoints"
    before = test_checkpoints.make(split, folder, engine=engine)
    study = test_checkpoints.killed_at(before, params, 4)
    after = test_checkpoints.make(split, folder, engine=engine, rasters=RasterArtifacts(store))
    trial = test_checkpoints.retry_of_last(study)
    expected = test_checkpoints.uninterrupted(split, params, engine=engine)
    assert test_checkpoints.outcome(after, trial) == expected
    assert trial.user_attrs["resumed_at"] == 24
    assert kept(study, trial.number, store, tmp_path)["excitatory"].n_spikes > 0
