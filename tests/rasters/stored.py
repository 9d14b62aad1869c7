"""Reads back what a trial stored, for tests of rasters."""

from __future__ import annotations

from pathlib import Path
from tempfile import mkdtemp

import numpy as np
import optuna
from optuna.artifacts import FileSystemArtifactStore

from optuna_snn.rasters import SpikeRaster, load_rasters
from tests.rasters.test_artifacts import downloaded


def kept(
    study: optuna.Study, number: int, store: FileSystemArtifactStore, folder: Path
) -> dict[str, SpikeRaster]:
    """Layer -> record of a trial's spikes; that there is a picture of each, and no more, holds."""
    files = downloaded(study, study.trials[number], store, Path(mkdtemp(dir=folder)))
    found = load_rasters(files["spikes.npz"])
    assert files.keys() == {*(f"spikes-{layer}.png" for layer in found), "spikes.npz"}
    return found


def has_kept_nothing(
    study: optuna.Study, number: int, store: FileSystemArtifactStore, folder: Path
) -> bool:
    return not downloaded(study, study.trials[number], store, folder)


def dense(raster: SpikeRaster) -> np.ndarray:
    """(n_steps, n_neurons) whether a neuron fired."""
    table = np.zeros((raster.n_steps, raster.n_neurons), dtype=bool)
    table[raster.steps, raster.neurons // raster.stride] = True
    return table
