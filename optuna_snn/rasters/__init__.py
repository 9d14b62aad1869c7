"""Spikes of single samples, time step by time step: their record, their pictures, their file."""

from optuna_snn.rasters.artifacts import RasterArtifacts, load_rasters
from optuna_snn.rasters.record import SpikeRaster

__all__ = ["RasterArtifacts", "SpikeRaster", "load_rasters"]
