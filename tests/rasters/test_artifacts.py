"""Pictures and spikes of a trial's last sample, as artifacts of the trial."""

from __future__ import annotations

import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any

import matplotlib.image
import numpy as np
import optuna
import pytest
from optuna.artifacts import FileSystemArtifactStore, download_artifact, get_all_artifact_meta
from optuna.trial import TrialState

from optuna_snn import SpikeMonitor
from optuna_snn.rasters import RasterArtifacts, load_rasters
from optuna_snn.rasters.artifacts import save_rasters
from optuna_snn.rasters.record import raster_of
from optuna_snn.visualization import plot_raster
from tests.probes.models import TwoLayers, inputs, present

LAYERS = ["hidden", "output"]
N_STEPS = 10


@pytest.fixture
def store(tmp_path: Path) -> FileSystemArtifactStore:
    (tmp_path / "artifacts").mkdir()
    return FileSystemArtifactStore(str(tmp_path / "artifacts"))


def training(
    rasters: RasterArtifacts | None, models: list[TwoLayers], error: BaseException | None = None
) -> Callable[[optuna.trial.BaseTrial], float]:
    """An objective that trains for three batches, and then ends by `error` or well."""

    def objective(trial: optuna.trial.BaseTrial) -> float:
        model = TwoLayers()
        models.append(model)
        with SpikeMonitor(trial, warmup=0) as monitor:
            monitor.watch(model, LAYERS, axes="batch ...", rasters=rasters)
            for batch in range(3):
                present(model, inputs(N_STEPS, seed=batch))
                monitor.update()
            if error is not None:
                raise error
        return 1.0

    return objective


def downloaded(
    study: optuna.Study, trial: Any, store: FileSystemArtifactStore, folder: Path
) -> dict[str, Path]:
    """File name -> downloaded artifact of the trial."""
    found = {}
    for meta in get_all_artifact_meta(trial, storage=study._storage):
        found[meta.filename] = folder / meta.filename
        download_artifact(
            artifact_store=store,
            artifact_id=meta.artifact_id,
            file_path=str(found[meta.filename]),
        )
    return found


@pytest.mark.parametrize(
    ("error", "state"), [(None, TrialState.COMPLETE), (optuna.TrialPruned(), TrialState.PRUNED)]
)
def test_finished_and_pruned_trials_leave_their_spikes(
    store: FileSystemArtifactStore,
    tmp_path: Path,
    error: optuna.TrialPruned | None,
    state: TrialState,
) -> None:
    study, models = optuna.create_study(), list[TwoLayers]()
    study.optimize(training(RasterArtifacts(store, dt_ms=2.0), models, error), n_trials=1)
    (trial,) = study.trials
    assert trial.state == state and trial.constraints.keys() == {"silent/hidden", "silent/output"}
    files = downloaded(study, trial, store, tmp_path)
    assert files.keys() == {"spikes-hidden.png", "spikes-output.png", "spikes.npz"}
    found = load_rasters(files["spikes.npz"])
    assert list(found) == LAYERS
    for layer in LAYERS:
        last_batch = getattr(models[0], layer).emitted[-N_STEPS:]
        expected = np.array([step[0] for step in last_batch])
        steps, neurons = np.nonzero(expected)
        np.testing.assert_array_equal(found[layer].steps, steps)
        np.testing.assert_array_equal(found[layer].neurons, neurons)
        assert (found[layer].n_steps, found[layer].n_neurons) == expected.shape
        assert found[layer].dt_ms == 2.0
        assert matplotlib.image.imread(files[f"spikes-{layer}.png"]).shape[1] == 900
    drawn = [trace for trace in plot_raster(found).data if trace.mode == "markers"]
    assert sum(len(trace.x) for trace in drawn) == sum(r.n_spikes for r in found.values()) > 0


def test_failed_trials_leave_nothing(store: FileSystemArtifactStore, tmp_path: Path) -> None:
    study, models = optuna.create_study(), list[TwoLayers]()
    objective = training(RasterArtifacts(store), models, ArithmeticError("on purpose"))
    study.optimize(objective, n_trials=1, catch=(ArithmeticError,))
    assert study.trials[0].state == TrialState.FAIL
    assert downloaded(study, study.trials[0], store, tmp_path) == {}
    assert list((tmp_path / "artifacts").iterdir()) == []


def test_without_rasters_a_trial_has_no_hook_more_and_no_artifact(
    store: FileSystemArtifactStore, tmp_path: Path
) -> None:
    n_hooks = []

    def objective(trial: optuna.Trial) -> float:
        model = TwoLayers()
        for rasters in (None, RasterArtifacts(store)):
            with SpikeMonitor(optuna.trial.FixedTrial({}), warmup=0) as monitor:
                monitor.watch(model, LAYERS, axes="batch ...", rasters=rasters)
                n_hooks.append(len(model.hidden._forward_hooks))
                present(model, inputs())
                monitor.update()
            assert len(model.hidden._forward_hooks) == 0
        return training(None, [])(trial)

    study = optuna.create_study()
    study.optimize(objective, n_trials=1)
    assert n_hooks == [1, 2]
    assert downloaded(study, study.trials[0], store, tmp_path) == {}


def test_finished_trials_that_are_run_again_get_no_artifact(
    store: FileSystemArtifactStore, tmp_path: Path
) -> None:
    study = optuna.create_study()
    study.add_trial(optuna.create_trial(value=0.0))
    training(RasterArtifacts(store), [])(study.trials[0])
    assert downloaded(study, study.trials[0], store, tmp_path) == {}
    assert list((tmp_path / "artifacts").iterdir()) == []


@pytest.mark.parametrize("error", [None, optuna.TrialPruned()])
def test_a_store_that_fails_costs_a_warning_and_not_the_trial(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, error: optuna.TrialPruned | None
) -> None:
    gone = tmp_path / "gone"
    gone.mkdir()
    rasters = RasterArtifacts(FileSystemArtifactStore(str(gone)))
    gone.rmdir()
    study = optuna.create_study()
    with caplog.at_level(logging.WARNING, "optuna_snn.rasters.artifacts"):
        study.optimize(training(rasters, [], error), n_trials=1)
    assert study.trials[0].state == (TrialState.PRUNED if error else TrialState.COMPLETE)
    (message,) = (r.getMessage() for r in caplog.records if r.name.startswith("optuna_snn.ras"))
    assert message.startswith("The rasters of trial 0 could not be stored: FileNotFoundError: ")


def test_the_size_of_what_is_stored_is_bounded(
    store: FileSystemArtifactStore, tmp_path: Path
) -> None:
    """Each neuron fires at random at every second step, so that nothing can be compressed."""
    rng = np.random.default_rng(0)
    study = optuna.create_study()
    trial = study.ask()
    busy = [raster_of(f"layer{i}", rng.random((2000, 256)) < 0.5) for i in range(20)]
    RasterArtifacts(store).save(trial, busy)
    files = downloaded(study, study.trials[0], store, tmp_path)
    pictures = [path for name, path in files.items() if name.endswith(".png")]
    assert len(pictures) == 16
    assert max(path.stat().st_size for path in pictures) < 300_000
    assert files["spikes.npz"].stat().st_size < 20 * 1_000_000


def test_spikes_are_read_as_they_were_written(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    rasters = [
        raster_of("a b/c", rng.random((30, 4)) < 0.3, dt_ms=0.5),
        raster_of("", np.zeros((0, 7))),
        raster_of("silent", np.zeros((3, 7))),
    ]
    found = load_rasters(save_rasters(rasters, tmp_path / "x.npz"))
    for raster in rasters:
        again = found[raster.layer]
        np.testing.assert_array_equal(again.steps, raster.steps)
        np.testing.assert_array_equal(again.neurons, raster.neurons)
        for name in ("n_steps", "n_neurons", "dt_ms", "stride", "is_cut"):
            assert getattr(again, name) == getattr(raster, name)


def test_another_file_is_refused(tmp_path: Path) -> None:
    np.savez(tmp_path / "x.npz", a=np.ones(3))
    with pytest.raises(ValueError, match=r"x\.npz holds no spikes that RasterArtifacts wrote"):
        load_rasters(tmp_path / "x.npz")


@pytest.mark.parametrize(
    ("options", "error"),
    [
        ({"dt_ms": 0.0}, "Need dt_ms > 0"),
        ({"max_neurons": 0}, "max_neurons"),
        ({"max_steps": 1.5}, "max_steps"),
    ],
)
def test_wrong_options_are_refused(
    store: FileSystemArtifactStore, options: dict[str, Any], error: str
) -> None:
    with pytest.raises(ValueError, match=error):
        RasterArtifacts(store, **options)
