"""Figures of a study and of recorded spikes, in the manner of ``optuna.visualization``.

Each function returns a plotly figure. A study may be of any sampler and in any state: without
trials, constraints or spikes, with trials that failed, were pruned or still run, with values that
are not finite, with several objectives. What cannot be shown is said in the figure. Only the
storage is read. ``theme`` is "light" or "dark"; plotly comes with
``pip install 'optuna-snn[figures]'``.

    >>> import optuna
    >>> from optuna_snn.visualization import plot_feasible_history
    >>> study = optuna.create_study()
    >>> study.optimize(lambda trial: trial.suggest_float("x", -1, 1) ** 2, n_trials=5)
    >>> figure = plot_feasible_history(study)
    >>> figure.layout.title.text
    '<b>Best feasible value</b>'
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from numpy.typing import ArrayLike
from optuna.study import Study

from optuna_snn.drawing.by_plotly import draw_with_plotly
from optuna_snn.drawing.palette import Theme
from optuna_snn.rasters.pictures import firing_rates_picture, raster_picture
from optuna_snn.rasters.record import SpikeRaster, rasters_of
from optuna_snn.visualization.activity import activity_picture
from optuna_snn.visualization.history import feasible_history_picture
from optuna_snn.visualization.overview import overview_picture
from optuna_snn.visualization.reading import read_study
from optuna_snn.visualization.region import trust_region_picture
from optuna_snn.visualization.savings import samples_saved_picture
from optuna_snn.visualization.silence import silent_share_picture

if TYPE_CHECKING:
    from plotly.graph_objects import Figure

__all__ = [
    "plot_activity",
    "plot_feasible_history",
    "plot_firing_rates",
    "plot_overview",
    "plot_raster",
    "plot_samples_saved",
    "plot_silent_share",
    "plot_trust_region",
]


def plot_overview(study: Study, *, theme: Theme = "light") -> Figure:
    """Values of all trials by kind, the share of stopped networks, and the trust region."""
    return draw_with_plotly(overview_picture(read_study(study)), theme)


def plot_feasible_history(study: Study, *, theme: Theme = "light") -> Figure:
    """Best feasible value over evaluations, and over the time since the first trial began.

    Evaluations are COMPLETE and PRUNED trials in the order in which they finished. A trial is
    feasible that has every constraint of the study and violates none.
    """
    return draw_with_plotly(feasible_history_picture(read_study(study)), theme)


def plot_silent_share(study: Study, *, theme: Theme = "light") -> Figure:
    """Share of silent samples in each layer of each trial, and of stopped networks over trials.

    The samples are those that the rule judged (`SpikeMonitor`), or all where it judged none yet.
    """
    return draw_with_plotly(silent_share_picture(read_study(study)), theme)


def plot_activity(
    study: Study, *, layers: Sequence[str] | None = None, theme: Theme = "light"
) -> Figure:
    """Mean spikes per sample of each layer against the objective value.

    layers: names of the layers to show; None shows all. ValueError for one that no trial has
        recorded.
    """
    return draw_with_plotly(activity_picture(read_study(study), layers), theme)


def plot_trust_region(study: Study, *, theme: Theme = "light") -> Figure:
    """Length of the trust region and restarts over trials, and what the model predicted.

    The length is a share of each parameter's range. The data are those of `search_trace`.
    """
    return draw_with_plotly(trust_region_picture(read_study(study)), theme)


def plot_samples_saved(study: Study, *, theme: Theme = "light") -> Figure:
    """Training samples as planned, and as spent with early stopping, summed over trials."""
    return draw_with_plotly(samples_saved_picture(read_study(study)), theme)


def plot_raster(
    spikes: ArrayLike | Mapping[str, ArrayLike | SpikeRaster],
    *,
    dt_ms: float | None = None,
    theme: Theme = "light",
) -> Figure:
    """A mark for each spike of one sample: time to the right, neurons upwards.

    spikes: (n_steps, n_neurons) zeros and ones, or a mapping layer -> such a table, or -> what
        `optuna_snn.rasters` recorded. Tensors of any device will do
    dt_ms: milliseconds of a time step; None counts time in steps

    Raises ValueError for another shape and for other values.
    """
    return draw_with_plotly(raster_picture(rasters_of(spikes, dt_ms)), theme)


def plot_firing_rates(
    spikes: ArrayLike | Mapping[str, ArrayLike | SpikeRaster],
    *,
    dt_ms: float | None = None,
    theme: Theme = "light",
) -> Figure:
    """Mean firing rate of a layer's neurons over the time of one sample, in at most 50 bins.

    The arguments are those of `plot_raster`. Rates are in Hz, or in spikes per step without
    dt_ms.
    """
    return draw_with_plotly(firing_rates_picture(rasters_of(spikes, dt_ms)), theme)
