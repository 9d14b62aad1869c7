"""Figures of studies in every state: none fails, and what is missing is said in the figure."""

from __future__ import annotations

import doctest
from collections.abc import Callable
from pathlib import Path
from typing import Any

import matplotlib.image
import optuna
import pytest

from optuna_snn import visualization
from optuna_snn.reports.figures import report_pictures, save_pngs
from optuna_snn.visualization.reading import read_study
from tests.visualization.studies import ODD, spiking_study

PLOTS = {
    name: getattr(visualization, name)
    for name in visualization.__all__
    if name not in ("plot_raster", "plot_firing_rates")
}


def words_of(figure: Any) -> str:
    """Titles, notes and annotations of a figure."""
    return "\n".join([figure.layout.title.text, *(a.text for a in figure.layout.annotations)])


@pytest.mark.parametrize("plot", PLOTS.values(), ids=PLOTS)
@pytest.mark.parametrize("make", ODD.values(), ids=ODD)
@pytest.mark.parametrize("theme", ["light", "dark"])
def test_every_study_is_drawn(
    make: Callable[[], optuna.Study], plot: Callable[..., Any], theme: str
) -> None:
    figure = plot(make(), theme=theme)
    drawn = [trace for trace in figure.data if any(x is not None for x in trace.x)]
    assert drawn or "no " in words_of(figure) or "several objectives" in words_of(figure)
    assert figure.to_json()


@pytest.mark.parametrize("make", ODD.values(), ids=ODD)
def test_every_study_is_saved_as_png(make: Callable[[], optuna.Study], tmp_path: Path) -> None:
    pictures = report_pictures(read_study(make()))
    for path, picture in zip(save_pngs(pictures, tmp_path), pictures, strict=True):
        height, width = matplotlib.image.imread(path).shape[:2]
        assert path.name == f"{picture.name}.png"
        assert width == 1800 and height > 600


@pytest.mark.parametrize(
    ("study", "plot", "words"),
    [
        ("empty", "plot_overview", "no trial has finished"),
        ("empty", "plot_feasible_history", "no trial has finished"),
        ("empty", "plot_silent_share", "no trial has recorded spikes"),
        ("empty", "plot_activity", "no trial has recorded spikes"),
        ("empty", "plot_trust_region", "no trial was chosen by SCBOSampler"),
        ("empty", "plot_samples_saved", "no finished trial has told its planned samples"),
        ("infeasible", "plot_feasible_history", "no feasible trial yet"),
        ("two objectives", "plot_feasible_history", "a study of several objectives"),
        ("two objectives", "plot_overview", "The study has 2 objectives: no value is drawn."),
        ("without constraints", "plot_overview", "No trial has constraints: all count as"),
        ("infinite", "plot_overview", "Not drawn: 2 trials with a value that is not finite."),
        ("failed", "plot_feasible_history", "Without a result: 3 failed trials."),
        ("every kind", "plot_overview", "1 failed trial, 1 running trial, 1 waiting trial."),
        ("another sampler", "plot_trust_region", "no trial was chosen by SCBOSampler"),
        ("damaged report", "plot_silent_share", "Left out: 1 spike report of another version"),
        ("damaged report", "plot_activity", "Left out: 1 spike report of another version"),
    ],
)
def test_what_is_missing_is_said(study: str, plot: str, words: str) -> None:
    assert words in words_of(PLOTS[plot](ODD[study]()))


@pytest.mark.parametrize("plot", PLOTS.values(), ids=PLOTS)
def test_an_unknown_theme_is_refused(plot: Callable[..., Any]) -> None:
    with pytest.raises(ValueError, match='theme must be "light" or "dark", got \'blue\''):
        plot(ODD["empty"](), theme="blue")


def test_an_unknown_layer_is_refused_with_the_known_ones() -> None:
    with pytest.raises(ValueError, match="'input'; the study's are hidden, output"):
        visualization.plot_activity(spiking_study(), layers=["input"])


def test_the_example_of_the_package_runs() -> None:
    found = doctest.testmod(visualization)
    assert found.failed == 0 and found.attempted > 0


def test_drawing_writes_nothing_to_a_study() -> None:
    study = ODD["every kind"]()
    before = study.get_trials(), study.user_attrs
    for plot in PLOTS.values():
        plot(study)
    assert (study.get_trials(), study.user_attrs) == before


def test_names_of_studies_and_metrics_are_no_markup() -> None:
    study = optuna.create_study(study_name="<b>bold</b> $x_1$")
    study.set_metric_names(["<i>loss</i>"])
    figure = visualization.plot_overview(study)
    assert figure.layout.title.text == "<b>&lt;b&gt;bold&lt;/b&gt; $x_1$: all trials</b>"
    assert figure.layout.yaxis.title.text == "&lt;i&gt;loss&lt;/i&gt;"
