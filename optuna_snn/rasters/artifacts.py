"""Rasters as artifacts of their trial: a picture of each layer, and one file with the spikes."""

from __future__ import annotations

import logging
import re
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, Protocol

import numpy as np
from numpy.typing import ArrayLike
from optuna.artifacts import FileSystemArtifactStore, upload_artifact
from optuna.trial import BaseTrial, Trial

from optuna_snn.rasters.folder import default_folder
from optuna_snn.rasters.pictures import layer_picture
from optuna_snn.rasters.record import SpikeRaster, checked_dt_ms, raster_of
from optuna_snn.spikes.checks import checked_integer

if TYPE_CHECKING:
    from optuna_snn.probes.watching import Watch
    from optuna_snn.rasters.recording import Recording

__all__ = ["DATA_FILE", "RasterArtifacts", "load_rasters"]

DATA_FILE = "spikes.npz"
MAX_NEURONS, MAX_STEPS = 256, 2000
"""Of a layer that are recorded, where nothing else is said."""
MAX_LAYERS = 16
"""Layers of which a picture is made, the first ones."""
PNG_LEVEL = 2
"""Of compression: half the time of Pillow's default, for files that are a third larger."""

_logger = logging.getLogger(__name__)


class ArtifactStore(Protocol):
    """What Optuna calls an artifact store: ``FileSystemArtifactStore``, ``Boto3ArtifactStore``."""

    def open_reader(self, artifact_id: str) -> BinaryIO:
        """Open an artifact."""

    def write(self, artifact_id: str, content_body: BinaryIO) -> None:
        """Store an artifact."""

    def remove(self, artifact_id: str) -> None:
        """Delete an artifact."""


@dataclass(frozen=True)
class RasterArtifacts:
    """How the spikes of a trial's last sample are kept.

    Pass it to ``SpikeMonitor.watch``, or to a built-in objective (``rasters=...``). When the
    monitor's block is left, by a pruned trial as well, the store gets ``spikes-<layer>.png`` for
    each watched layer (at most 16), its raster above its firing rate, and ``spikes.npz``, which
    `load_rasters` reads. They are of the first sample of the last batch. A trial that fails leaves
    none. A store that cannot be written to costs a warning, and not the trial.

    Args:
        store: where to, such as ``optuna.artifacts.FileSystemArtifactStore("artifacts")``, whose
            folder must be there; `in_folder` makes it, and knows one of its own.
        dt_ms: milliseconds of a time step; None counts time in steps.
        max_neurons: of a layer with more, an even selection is recorded.
        max_steps: time steps of the sample that are recorded, the first ones.

    Raises:
        ValueError: dt_ms is not positive, or a bound is less than 1.
        ImportError: without Pillow, which comes with matplotlib.
    """

    store: ArtifactStore
    dt_ms: float | None = None
    max_neurons: int = MAX_NEURONS
    max_steps: int = MAX_STEPS

    @classmethod
    def in_folder(
        cls,
        folder: str | Path | None = None,
        *,
        dt_ms: float | None = None,
        max_neurons: int = MAX_NEURONS,
        max_steps: int = MAX_STEPS,
    ) -> RasterArtifacts:
        """Return one that keeps them in a folder, which is made where it is missing.

        Without one it is that which the environment variable OPTUNA_SNN_ARTIFACTS names, else
        ``artifacts`` in the current folder: ``optuna-snn dashboard`` shows what is there on the
        pages of the trials, and of another folder with ``--artifacts FOLDER``. Raises OSError
        where there can be no such folder.
        """
        chosen = default_folder() if folder is None else Path(folder)
        chosen.mkdir(parents=True, exist_ok=True)
        return cls(FileSystemArtifactStore(chosen), dt_ms, max_neurons, max_steps)

    def __post_init__(self) -> None:
        checked_dt_ms(self.dt_ms)
        checked_integer("max_neurons", self.max_neurons, at_least=1)
        checked_integer("max_steps", self.max_steps, at_least=1)
        try:
            import PIL  # noqa: F401  # better now than when the training has ended
        except ModuleNotFoundError as error:
            raise ImportError(
                "Rasters are drawn by Pillow, which is not installed: "
                "pip install 'optuna-snn[figures]'."
            ) from error

    def recording(self, watch: Watch) -> Recording:
        """Begin to record the layers of a watch."""
        from optuna_snn.rasters.recording import Recording

        return Recording(
            watch,
            dt_ms=self.dt_ms,
            max_neurons=self.max_neurons,
            max_steps=self.max_steps,
        )

    def in_steps_of(self, dt_ms: float | None) -> RasterArtifacts:
        """The same with these milliseconds of a time step, unless it was given some."""
        return replace(self, dt_ms=dt_ms) if self.dt_ms is None else self

    def rasters_of(self, spikes: Mapping[str, ArrayLike]) -> list[SpikeRaster]:
        """The records of one sample within the bounds; layer -> (n_steps, n_neurons) 0 and 1."""
        return [
            raster_of(
                layer,
                table,
                self.dt_ms,
                max_neurons=self.max_neurons,
                max_steps=self.max_steps,
            )
            for layer, table in spikes.items()
        ]

    def save(self, trial: BaseTrial, rasters: Sequence[SpikeRaster]) -> None:
        """Store pictures and spikes as artifacts of a running trial; nothing of any other."""
        if not isinstance(trial, Trial) or not rasters:
            return
        with tempfile.TemporaryDirectory(prefix="optuna-snn-") as folder:
            try:
                for file in _write_files(rasters, Path(folder), trial.number):
                    upload_artifact(
                        artifact_store=self.store, file_path=str(file), study_or_trial=trial
                    )
            except Exception as error:
                # Stores raise what they like, and the training has ended: it is worth more.
                _logger.warning(
                    "The rasters of trial %d could not be stored: %s: %s",
                    trial.number,
                    type(error).__name__,
                    error,
                )


def load_rasters(path: str | Path) -> dict[str, SpikeRaster]:
    """Read a file spikes.npz, as ``optuna.artifacts.download_artifact`` saves it.

    Returns layer -> record, which ``optuna_snn.visualization.plot_raster`` takes. Raises
    ValueError for a file that is none.
    """
    with np.load(path, allow_pickle=False) as stored:
        if "layers" not in stored:
            raise ValueError(f"{path} holds no spikes that RasterArtifacts wrote.")
        names = [str(name) for name in stored["layers"]]
        found = {}
        for i, name in enumerate(names):
            n_steps, n_neurons, stride, is_cut = (int(n) for n in stored[f"sizes{i}"])
            dt_ms = float(stored[f"dt_ms{i}"])
            found[name] = SpikeRaster(
                name,
                stored[f"steps{i}"].astype(np.int64),
                stored[f"neurons{i}"].astype(np.int64),
                n_steps,
                n_neurons,
                dt_ms=None if np.isnan(dt_ms) else dt_ms,
                stride=stride,
                is_cut=bool(is_cut),
            )
    return found


def save_rasters(rasters: Sequence[SpikeRaster], path: Path) -> Path:
    """Write what `load_rasters` reads; return the path."""
    arrays: dict[str, np.ndarray] = {"layers": np.array([raster.layer for raster in rasters])}
    for i, raster in enumerate(rasters):
        arrays |= {
            f"steps{i}": raster.steps.astype(np.uint32),
            f"neurons{i}": raster.neurons.astype(np.uint32),
            f"sizes{i}": np.array(
                [raster.n_steps, raster.n_neurons, raster.stride, raster.is_cut]
            ),
            f"dt_ms{i}": np.array(np.nan if raster.dt_ms is None else raster.dt_ms),
        }
    np.savez_compressed(path, allow_pickle=False, **arrays)
    return path


def _write_files(rasters: Sequence[SpikeRaster], folder: Path, number: int) -> list[Path]:
    from optuna_snn.drawing.by_pillow import draw_with_pillow

    written = []
    for raster in rasters[:MAX_LAYERS]:
        title = f"Trial {number}: spikes of one sample, {raster.layer}"
        name = re.sub(r"[^\w.-]+", "_", raster.layer)
        file = folder / f"spikes-{name}.png"
        draw_with_pillow(layer_picture(raster, title)).save(file, compress_level=PNG_LEVEL)
        written.append(file)
    return [*written, save_rasters(rasters, folder / DATA_FILE)]
