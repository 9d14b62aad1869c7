"""Spikes of the last batch's first sample as artifacts of a trial of SLAYER."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

import numpy as np
import optuna
import pytest
from optuna.artifacts import FileSystemArtifactStore
from optuna.trial import TrialState

from optuna_snn.objectives.slayer.objective import SLAYERObjective
from optuna_snn.objectives.slayer.training import SLAYERTraining, TrainingDivergedError
from optuna_snn.pruner import SpikeActivityPruner
from optuna_snn.rasters import RasterArtifacts
from tests.objectives.slayer.samples import split_of_event_stripes, split_of_stripes
from tests.objectives.slayer.trials import LIVELY, SETUP, SILENT, make, results
from tests.rasters.stored import has_kept_nothing, kept

Store = FileSystemArtifactStore
LAYERS = ["hidden", "output"]


@pytest.fixture
def store(tmp_path: Path) -> Store:
    (tmp_path / "artifacts").mkdir()
    return FileSystemArtifactStore(str(tmp_path / "artifacts"))


def run(objective: SLAYERObjective, *params: dict[str, Any]) -> optuna.Study:
    study = optuna.create_study(direction="maximize", pruner=SpikeActivityPruner())
    for each in params:
        study.enqueue_trial(each)
    study.optimize(objective, n_trials=len(params), catch=(TrainingDivergedError,))
    return study


class Emitted:
    """What the layers of the last training emitted in its last batch: layer -> (n, T) spikes."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.first_samples: dict[str, np.ndarray] = {}
        build = SLAYERTraining.__init__

        def build_and_listen(training: SLAYERTraining, *arguments: Any, **options: Any) -> None:
            build(training, *arguments, **options)
            for name in LAYERS:
                training.network.blocks[name].register_forward_hook(self._listener(name))

        monkeypatch.setattr(SLAYERTraining, "__init__", build_and_listen)

    def _listener(self, name: str) -> Any:
        def listen(module: Any, arguments: Any, output: Any) -> None:
            if module.training:
                first = output[0].detach().numpy()
                self.first_samples[name] = first.reshape(-1, first.shape[-1]).copy()

        return listen


@pytest.mark.parametrize(
    ("params", "state"), [(LIVELY, TrialState.COMPLETE), (SILENT, TrialState.PRUNED)]
)
def test_complete_and_pruned_trials_leave_the_spikes_that_their_layers_emitted(
    params: dict[str, Any],
    state: TrialState,
    store: Store,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    emitted = Emitted(monkeypatch)
    study = run(make(split_of_stripes(), warmup=16, rasters=RasterArtifacts(store)), params)
    assert study.trials[0].state == state
    found = kept(study, 0, store, tmp_path)
    assert list(found) == LAYERS
    for layer, raster in found.items():
        neurons, steps = np.nonzero(emitted.first_samples[layer])
        order = np.lexsort((neurons, steps))
        assert np.array_equal(raster.steps, steps[order])
        assert np.array_equal(raster.neurons, neurons[order])
        assert (raster.n_neurons, raster.n_steps) == emitted.first_samples[layer].shape
        assert (raster.n_spikes > 0) == (state == TrialState.COMPLETE)
        assert raster.n_steps == SETUP.n_steps and raster.dt_ms == 1.0


def test_no_result_changes(store: Store, tmp_path: Path) -> None:
    split = split_of_stripes()
    ours = run(make(split, warmup=16, rasters=RasterArtifacts(store)), LIVELY, SILENT)
    theirs = run(make(split, warmup=16), LIVELY, SILENT)
    for one, other in zip(ours.trials, theirs.trials, strict=True):
        assert results(one) == results(other)
        assert has_kept_nothing(theirs, other.number, store, tmp_path)


@pytest.mark.parametrize(("given", "expected"), [(None, None), (10.0, 10.0)])
def test_steps_of_recordings_are_as_long_as_the_user_says(
    given: float | None, expected: float | None, store: Store, tmp_path: Path
) -> None:
    objective = make(split_of_event_stripes(), rasters=RasterArtifacts(store, dt_ms=given))
    study = run(objective, LIVELY | {"epochs": 1})
    assert kept(study, 0, store, tmp_path)["output"].dt_ms == expected


def test_only_watched_layers_leave_theirs(store: Store, tmp_path: Path) -> None:
    rasters = RasterArtifacts(store)
    study = run(make(split_of_stripes(), layers=("output",), rasters=rasters), LIVELY)
    assert list(kept(study, 0, store, tmp_path)) == ["output"]


@pytest.mark.parametrize("params", [LIVELY, SILENT], ids=["lively", "silent"])
def test_a_store_that_fails_costs_a_warning_and_not_the_trial(
    params: dict[str, Any], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    gone = tmp_path / "gone"
    gone.mkdir()
    rasters = RasterArtifacts(FileSystemArtifactStore(str(gone)))
    gone.rmdir()
    split = split_of_stripes()
    with caplog.at_level(logging.WARNING, "optuna_snn.rasters.artifacts"):
        ours = run(make(split, warmup=16, rasters=rasters), params)
    assert results(ours.trials[0]) == results(run(make(split, warmup=16), params).trials[0])
    assert ours.trials[0].state.is_finished()
    assert ours.trials[0].state != TrialState.FAIL
    assert "The rasters of trial 0 could not be stored: FileNotFoundError: " in caplog.text


def test_failed_trials_leave_nothing(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def diverge(*arguments: object) -> None:
        raise TrainingDivergedError("on purpose")

    monkeypatch.setattr(SLAYERTraining, "evaluate", diverge)
    study = run(make(split_of_stripes(), rasters=RasterArtifacts(store)), LIVELY)
    assert study.trials[0].state == TrialState.FAIL
    assert has_kept_nothing(study, 0, store, tmp_path)
    assert list((tmp_path / "artifacts").iterdir()) == []


def test_without_rasters_a_network_has_no_hook_more_and_nothing_is_called(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    n_hooks, calls = [], []
    run_epoch = SLAYERTraining.run_epoch

    def run_and_count(training: SLAYERTraining) -> Any:
        n_hooks.append(len(training.network.blocks["output"]._forward_hooks))
        return run_epoch(training)

    save = RasterArtifacts.save
    monkeypatch.setattr(SLAYERTraining, "run_epoch", run_and_count)
    monkeypatch.setattr(
        RasterArtifacts, "save", lambda *given: (calls.append(given), save(*given))[1]
    )
    one_epoch = LIVELY | {"epochs": 1}
    run(make(split_of_stripes()), one_epoch)
    assert (len(n_hooks), calls) == (1, [])
    run(make(split_of_stripes(), rasters=RasterArtifacts(store)), one_epoch)
    assert n_hooks[1] == n_hooks[0] + 1
    assert len(calls) == 1
