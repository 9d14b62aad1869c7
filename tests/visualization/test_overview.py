"""The overview of a study shows each trial once, and what it shows is right."""

from __future__ import annotations

from pathlib import Path

import matplotlib.image
import numpy as np
import optuna
import pytest
from optuna.trial import TrialState

from optuna_snn.drawing.pictures import Line, Panel, Picture
from optuna_snn.visualization.overview import overview_picture
from optuna_snn.visualization.reading import read_study
from optuna_snn.visualization.silence import WINDOW
from optuna_snn.visualization.study_figure import save_study_figure
from tests.helpers import stored_tag, tag
from tests.visualization.studies import ALL, complete, other, silent, study_of


def overview(study: optuna.Study) -> Picture:
    return overview_picture(read_study(study))


def points(panel: Panel, label: str) -> list[tuple[float, float]]:
    """The points of the marks whose label begins with `label`; 0 as y in a rug."""
    for marks in panel.marks:
        if marks.label.startswith(label):
            return list(zip(marks.x, marks.y or [0.0] * len(marks.x), strict=True))
    return []


def only_line(panel: Panel) -> Line:
    (line,) = panel.lines
    return line


def test_each_trial_stands_at_its_number_with_its_kind() -> None:
    values, _ = overview(study_of(*ALL)).panels
    assert points(values, "feasible") == [(0, 0.2), (4, 0.5), (6, 0.4)]
    assert points(values, "infeasible") == [(2, 0.9)]
    assert points(values, "pruned") == [(5, 0.1)]
    assert [x for x, _ in points(values, "silent")] == [1]
    assert [x for x, _ in points(values, "failed")] == [3]
    assert values.y.title == "value"
    assert values.labels[0] == "best feasible (0.5)"


@pytest.mark.parametrize(
    ("direction", "line"),
    [
        ("maximize", [(0, 0.2), (4, 0.5), (6, 0.5), (8, 0.5)]),
        ("minimize", [(0, 0.2), (4, 0.2), (6, 0.2), (8, 0.2)]),
    ],
)
def test_the_best_line_follows_feasible_trials_to_the_end(
    direction: str, line: list[tuple[float, float]]
) -> None:
    best = only_line(overview(study_of(*ALL, direction=direction)).panels[0])
    assert list(zip(best.x, best.y, strict=True)) == line


def test_marks_without_a_value_stand_below_all_values() -> None:
    values = overview(study_of(*ALL)).panels[0]
    assert values.y.range is not None
    low, high = values.y.range
    foot = low + 0.05 * values.n_rug_rows * (high - low)
    assert values.n_rug_rows == 2 and foot < 0.1 and 0.9 < high


def test_the_stopped_share_is_that_of_the_last_finished_trials() -> None:
    """Against the slow rule, over more trials than the window holds."""
    rng = np.random.default_rng(0)
    is_silent = rng.random(3 * WINDOW) < 0.4
    trials = [silent() if each else complete(0.5) for each in is_silent]
    trials.insert(5, other(TrialState.FAIL))
    share = only_line(overview(study_of(*trials)).panels[1])
    assert share.x == [number for number in range(len(trials)) if number != 5]
    expected = [np.mean(is_silent[max(0, n + 1 - WINDOW) : n + 1]) for n in range(is_silent.size)]
    np.testing.assert_allclose(np.asarray(share.y, dtype=float), expected)


def test_saturated_trials_are_drawn_and_counted_beside_silent_ones() -> None:
    saturated = optuna.create_trial(
        state=TrialState.PRUNED, constraints={"silent/out": -0.1, "saturated/out": 0.9}
    )
    study = study_of(silent(), saturated, complete(0.5), complete(0.5))
    values, share = overview(study).panels
    assert {"silent (1)", "saturated (1)"} <= set(values.labels)
    np.testing.assert_allclose(np.asarray(only_line(share).y, dtype=float), [1, 1, 2 / 3, 1 / 2])


def test_the_trust_region_is_drawn_where_the_sampler_used_one() -> None:
    assert len(overview(study_of(*ALL)).panels) == 2
    lengths = [None, (0.8, True), (0.8, False), None, (0.4, False)]
    trials = [
        optuna.create_trial(
            value=0.5,
            system_attrs={}
            if each is None
            else {"optuna_snn:tag": stored_tag(tag(length=each[0], is_initial=each[1]))},
        )
        for each in lengths
    ]
    region = only_line(overview(study_of(*trials)).panels[2])
    assert (region.x, region.y) == ([2, 4], [0.8, 0.4])


def test_the_figure_of_a_run_is_a_png(tmp_path: Path) -> None:
    path = save_study_figure(study_of(*ALL), tmp_path / "figure.png")
    height, width = matplotlib.image.imread(path).shape[:2]
    assert width > 1000
    assert height > 600
