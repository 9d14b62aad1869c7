"""Records of tables within bounds, their time step, and the folder that they are kept in."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import optuna
import pytest
from optuna.artifacts import FileSystemArtifactStore

from optuna_snn.rasters import RasterArtifacts
from optuna_snn.rasters.record import raster_of, stride_of
from tests.rasters.stored import dense, kept


def table(n_steps: int, n_neurons: int) -> np.ndarray:
    return np.random.default_rng(0).random((n_steps, n_neurons)) < 0.4


@pytest.mark.parametrize(
    ("n_neurons", "stride", "n_kept"), [(0, 1, 0), (1, 1, 1), (5, 1, 5), (6, 2, 3), (11, 3, 4)]
)
def test_of_many_neurons_an_even_selection_is_recorded(
    n_neurons: int, stride: int, n_kept: int
) -> None:
    spikes = table(30, n_neurons)
    raster = raster_of("out", spikes, max_neurons=5)
    assert stride_of(n_neurons, 5) == raster.stride == stride
    assert raster.n_neurons == n_kept <= 5
    steps, neurons = np.nonzero(spikes)
    is_kept = neurons % stride == 0
    assert np.array_equal(raster.steps, steps[is_kept])
    assert np.array_equal(raster.neurons, neurons[is_kept])


@pytest.mark.parametrize(("max_steps", "n_steps"), [(None, 30), (29, 29), (30, 30), (31, 30)])
def test_of_many_steps_the_first_are_recorded(max_steps: int | None, n_steps: int) -> None:
    spikes = table(30, 4)
    raster = raster_of("out", spikes, max_steps=max_steps)
    assert (raster.n_steps, raster.is_cut) == (n_steps, max_steps == 29)
    assert raster.n_spikes == spikes[:n_steps].sum()


def test_rasters_of_several_layers_have_the_bounds_and_the_time_step(tmp_path: Path) -> None:
    options = RasterArtifacts(
        FileSystemArtifactStore(str(tmp_path)), dt_ms=0.5, max_neurons=3, max_steps=7
    )
    rasters = options.rasters_of({"a": table(9, 4), "b": table(6, 3)})
    assert [(r.layer, r.n_steps, r.n_neurons, r.stride, r.is_cut, r.dt_ms) for r in rasters] == [
        ("a", 7, 2, 2, True, 0.5),
        ("b", 6, 3, 1, False, 0.5),
    ]


def test_a_known_time_step_fills_in_one_that_was_not_given(tmp_path: Path) -> None:
    store = FileSystemArtifactStore(str(tmp_path))
    assert RasterArtifacts(store, max_steps=9).in_steps_of(2.0) == RasterArtifacts(
        store, dt_ms=2.0, max_steps=9
    )
    assert RasterArtifacts(store, dt_ms=0.5).in_steps_of(2.0).dt_ms == 0.5
    assert RasterArtifacts(store).in_steps_of(None).dt_ms is None


def test_a_folder_that_is_missing_is_made_and_a_second_worker_finds_it(tmp_path: Path) -> None:
    folder, spikes = tmp_path / "runs" / "artifacts", table(9, 4)
    first, second = (RasterArtifacts.in_folder(folder, max_steps=7) for _ in range(2))
    study = optuna.create_study()
    for rasters in (first, second):
        rasters.save(study.ask(), rasters.rasters_of({"out": spikes}))
    for number in (0, 1):
        found = kept(study, number, FileSystemArtifactStore(folder), tmp_path)
        assert np.array_equal(dense(found["out"]), spikes[:7])
    assert second.max_neurons == RasterArtifacts(second.store).max_neurons


def test_a_folder_that_cannot_be_is_refused_before_the_first_trial(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(OSError, match="file"):
        RasterArtifacts.in_folder(tmp_path / "file" / "artifacts")
