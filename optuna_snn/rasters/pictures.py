"""Rasters and firing rates of recorded spikes, as pictures."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from optuna_snn.drawing.palette import LAYER_COLOURS, Colour
from optuna_snn.drawing.pictures import Axis, Line, Marks, Panel, Picture
from optuna_snn.rasters.record import SpikeRaster

__all__ = ["MAX_MARKS", "N_BINS", "firing_rates_picture", "layer_picture", "raster_picture"]

MAX_MARKS = 20_000
"""Spikes of a layer beyond which a raster shows some of them only."""
N_BINS = 50
"""Bins of time of a firing rate, at most."""


def raster_picture(rasters: Sequence[SpikeRaster], title: str = "Spikes of one sample") -> Picture:
    """A mark for each spike: time to the right, neurons upwards, one panel for each layer."""
    panels = [_raster_panel(raster, i) for i, raster in enumerate(rasters)] or [_empty()]
    notes = [note for raster in rasters for note in _notes(raster)]
    return Picture("raster", title, panels, notes, shares_x=_is_alike(rasters))


def firing_rates_picture(
    rasters: Sequence[SpikeRaster], title: str = "Firing rates in one sample"
) -> Picture:
    """The mean firing rate of each layer's neurons over time, one panel for each layer."""
    panels = [_rate_panel(raster, i) for i, raster in enumerate(rasters)] or [_empty()]
    return Picture("firing-rates", title, panels, shares_x=_is_alike(rasters))


def layer_picture(raster: SpikeRaster, title: str) -> Picture:
    """The spikes of one layer above its firing rate."""
    rate = replace(_rate_panel(raster, 0), title="")
    panels = [_raster_panel(raster, 0), rate]
    return Picture("spikes", title, panels, _notes(raster), shares_x=True)


def _raster_panel(raster: SpikeRaster, i: int) -> Panel:
    thin = _thinning(raster)
    steps, neurons = raster.steps[::thin], raster.neurons[::thin]
    x = steps * (1.0 if raster.dt_ms is None else raster.dt_ms)
    top = max(1, raster.n_neurons * raster.stride)
    return Panel(
        x=_time_axis(raster),
        y=Axis("neuron", is_whole=True, range=(-0.5, top - 0.5)),
        marks=[Marks("", x.tolist(), neurons.tolist(), _colour(i), "bar", size=_size(raster))]
        if raster.n_spikes
        else [],
        title=_words(raster),
        note="" if raster.n_spikes else "no spike",
        height=int(min(320, max(130, 2.2 * raster.n_neurons))),
    )


def _thinning(raster: SpikeRaster) -> int:
    """One spike of so many is drawn."""
    return max(1, -(-raster.n_spikes // MAX_MARKS))


def _notes(raster: SpikeRaster) -> list[str]:
    notes = []
    if raster.stride > 1:
        notes.append(f"{raster.layer}: one neuron of {raster.stride} was recorded.")
    if raster.is_cut:
        notes.append(f"{raster.layer}: the first {raster.n_steps:,} time steps were recorded.")
    if (thin := _thinning(raster)) > 1:
        notes.append(f"{raster.layer}: one spike of {thin} is drawn.")
    return notes


def _rate_panel(raster: SpikeRaster, i: int) -> Panel:
    unit = "step" if raster.dt_ms is None else "Hz"
    y = Axis(f"firing rate per neuron\n({'spikes per step' if unit == 'step' else 'Hz'})")
    if not raster.n_steps or not raster.n_neurons:
        return Panel(_time_axis(raster), y, title=_words(raster), note="no time step", height=150)
    width = -(-raster.n_steps // N_BINS)
    edges = np.append(np.arange(0, raster.n_steps, width), raster.n_steps)
    n_spikes = np.histogram(raster.steps, bins=edges)[0]
    rates = n_spikes / (np.diff(edges) * raster.step_s * raster.n_neurons)
    x = edges * (1.0 if raster.dt_ms is None else raster.dt_ms)
    line = Line("", x.tolist(), [*rates.tolist(), rates[-1]], _colour(i), is_step=True,
                is_filled=True)  # fmt: skip
    top = 1.1 * float(rates.max()) or 1.0
    return Panel(
        _time_axis(raster),
        Axis(y.title, range=(0.0, top)),
        lines=[line],
        title=_words(raster),
        height=150,
    )


def _words(raster: SpikeRaster) -> str:
    rate = raster.mean_rate
    unit = "spikes per neuron and step" if raster.dt_ms is None else "Hz"
    mean = "" if rate is None else f", mean {rate:.3g} {unit}"
    return f"{raster.layer}: {raster.n_neurons:,} neurons, {raster.n_spikes:,} spikes{mean}"


def _time_axis(raster: SpikeRaster) -> Axis:
    if raster.dt_ms is None:
        return Axis("time step", is_whole=True, range=(-0.5, max(1, raster.n_steps) + 0.5))
    end = max(1, raster.n_steps) * raster.dt_ms
    return Axis("time (ms)", range=(-0.01 * end, 1.01 * end))


def _is_alike(rasters: Sequence[SpikeRaster]) -> bool:
    """Whether the layers have one time axis."""
    return len({(raster.n_steps, raster.dt_ms) for raster in rasters}) <= 1


def _colour(i: int) -> Colour:
    return LAYER_COLOURS[i % len(LAYER_COLOURS)]


def _size(raster: SpikeRaster) -> float:
    """Pixels of a mark: as high as a neuron's row, within bounds that the eye can see."""
    return float(np.clip(200 / max(1, raster.n_neurons), 2.5, 8.0))


def _empty() -> Panel:
    return Panel(Axis("time step"), Axis("neuron"), note="no layer was recorded")
