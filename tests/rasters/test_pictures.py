"""Rasters and firing rates of tables of spikes, against the tables."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from optuna_snn.rasters.pictures import MAX_MARKS, N_BINS, layer_picture
from optuna_snn.rasters.record import SpikeRaster, raster_of
from optuna_snn.visualization import plot_firing_rates, plot_raster
from tests.helpers import repeatable


def table_of(n_steps: int, n_neurons: int, share: float = 0.2, seed: int = 0) -> NDArray[Any]:
    return np.random.default_rng(seed).random((n_steps, n_neurons)) < share


tables = st.builds(
    table_of, st.integers(1, 230), st.integers(1, 40), st.floats(0, 1), st.integers(0, 9)
)


@repeatable
@given(tables, st.sampled_from([None, 0.5, 1.0]))
def test_each_spike_has_its_mark(table: NDArray[Any], dt_ms: float | None) -> None:
    figure = plot_raster(table, dt_ms=dt_ms)
    marks = [each for each in figure.data if each.mode == "markers"]
    drawn = {pair for each in marks for pair in zip(each.x, each.y, strict=True)}
    assert drawn == {(i * (dt_ms or 1.0), j) for i, j in zip(*np.nonzero(table), strict=True)}


@repeatable
@given(tables, st.sampled_from([None, 0.5, 1.0]))
def test_the_rate_over_time_holds_all_spikes(table: NDArray[Any], dt_ms: float | None) -> None:
    """The area under it, times the neurons, is their number."""
    (line,) = plot_firing_rates(table, dt_ms=dt_ms).data
    x, y = np.array(line.x), np.array(line.y[:-1])
    seconds = np.diff(x) * (1.0 if dt_ms is None else 1e-3)
    assert (y * seconds).sum() * table.shape[1] == pytest.approx(table.sum())
    assert len(y) <= N_BINS and x[-1] == table.shape[0] * (dt_ms or 1.0)


def test_the_rate_is_in_hertz_by_hand() -> None:
    """Two neurons, 100 ms, 3 spikes: 3 / 2 / 0.1 s = 15 Hz."""
    table = np.zeros((100, 2))
    table[[3, 50, 51], [0, 1, 1]] = 1
    raster = raster_of("out", table, dt_ms=1.0)
    assert raster.mean_rate == pytest.approx(15.0)
    figure = plot_firing_rates({"out": table}, dt_ms=1.0)
    assert "out: 2 neurons, 3 spikes, mean 15 Hz" in figure.layout.annotations[0].text
    assert figure.layout.yaxis.title.text == "firing rate per neuron<br>(Hz)"
    assert figure.layout.xaxis.title.text == "time (ms)"


def test_without_a_time_step_rates_are_per_step() -> None:
    figure = plot_firing_rates(np.ones((10, 3)))
    assert set(figure.data[0].y) == {1.0}
    assert figure.layout.yaxis.title.text == "firing rate per neuron<br>(spikes per step)"
    assert figure.layout.xaxis.title.text == "time step"


def test_each_layer_has_its_panel_and_colour() -> None:
    figure = plot_raster({"a": table_of(20, 5), "b": torch.ones(20, 3)})
    assert [trace.xaxis for trace in figure.data] == ["x", "x2"]
    assert len({trace.marker.color for trace in figure.data}) == 2
    assert figure.layout.xaxis.matches == "x2"  # one axis of time


def test_silence_and_nothing_at_all_are_said() -> None:
    for spikes, words in ((np.zeros((5, 2)), "no spike"), ({}, "no layer was recorded")):
        figure = plot_raster(spikes)
        assert words in [a.text for a in figure.layout.annotations]
    assert set(plot_firing_rates(np.zeros((5, 2))).data[0].y) == {0.0}
    assert plot_firing_rates(np.zeros((0, 2))).layout.annotations[0].text == "no time step"


def test_very_many_spikes_are_thinned_and_it_is_said() -> None:
    figure = plot_raster(np.ones((300, 200)))
    assert MAX_MARKS / 2 <= len(figure.data[0].x) <= MAX_MARKS
    assert "spikes: one spike of 3 is drawn." in [a.text for a in figure.layout.annotations]


def test_what_was_not_recorded_is_said() -> None:
    raster = SpikeRaster(
        "hidden", np.array([0, 7]), np.array([0, 99]), 2000, 50, stride=3, is_cut=True
    )
    assert list(layer_picture(raster, "t").notes) == [
        "hidden: one neuron of 3 was recorded.",
        "hidden: the first 2,000 time steps were recorded.",
    ]
    assert layer_picture(raster, "t").panels[0].y.range == (-0.5, 149.5)


@pytest.mark.parametrize(
    ("spikes", "error"),
    [
        (np.zeros(5), r"shape \(n_steps, n_neurons\), got shape \(5,\)"),
        (np.zeros((2, 3, 4)), r"got shape \(2, 3, 4\)"),
        (np.full((2, 2), 2), "Spikes are zeros and ones"),
        (np.full((2, 2), np.nan), "Spikes are zeros and ones"),
        (np.full((2, 2), "a"), "Spikes are zeros and ones"),
    ],
)
def test_what_is_no_table_of_spikes_is_refused(spikes: NDArray[Any], error: str) -> None:
    with pytest.raises(ValueError, match=error):
        plot_raster(spikes)


@pytest.mark.parametrize("dt_ms", [0.0, -1.0, float("nan")])
def test_a_time_step_that_is_none_is_refused(dt_ms: float) -> None:
    with pytest.raises(ValueError, match="Need dt_ms > 0"):
        plot_raster(np.ones((2, 2)), dt_ms=dt_ms)
