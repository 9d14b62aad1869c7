"""The figure of a study shows each trial once, and what it shows is right."""

from __future__ import annotations

from pathlib import Path

import matplotlib.image
import numpy as np
import optuna
import pytest
from matplotlib.axes import Axes
from matplotlib.collections import PathCollection
from matplotlib.figure import Figure
from optuna.trial import FrozenTrial, TrialState

from optuna_snn.figures import WINDOW, draw_study, save_study_figure
from tests.helpers import stored_tag, tag


def study_of(*trials: FrozenTrial, direction: str = "maximize") -> optuna.Study:
    study = optuna.create_study(direction=direction, study_name="toy")
    study.add_trials(trials)
    return study


def complete(value: float, c: float = -0.1) -> FrozenTrial:
    return optuna.create_trial(value=value, constraints={"silent/out": c})


def silent() -> FrozenTrial:
    return optuna.create_trial(state=TrialState.PRUNED, constraints={"silent/out": 0.9})


def pruned(value: float) -> FrozenTrial:
    return optuna.create_trial(
        state=TrialState.PRUNED,
        value=value,
        intermediate_values={0: value},
        constraints={"silent/out": -0.1},
    )


def other(state: TrialState) -> FrozenTrial:
    return optuna.create_trial(state=state)


def draw(study: optuna.Study) -> Figure:
    return draw_study(
        study.get_trials(),
        direction=study.direction.name.lower(),
        metric_name="accuracy",
        title="toy",
    )


def points(axes: Axes, label: str) -> list[tuple[float, float]]:
    """The points of the marks whose label begins with `label`."""
    for marks in axes.collections:
        if isinstance(marks, PathCollection) and str(marks.get_label()).startswith(label):
            return [(float(x), float(y)) for x, y in np.asarray(marks.get_offsets())]
    return []


def best_line(axes: Axes) -> list[tuple[float, float]]:
    (line,) = (x for x in axes.lines if str(x.get_label()).startswith("best"))
    x, y = line.get_data()
    return list(zip(np.asarray(x).tolist(), np.asarray(y).tolist(), strict=True))


ALL = (
    complete(0.2),  # 0
    silent(),  # 1
    complete(0.9, c=0.3),  # 2
    other(TrialState.FAIL),  # 3
    complete(0.5),  # 4
    pruned(0.1),  # 5
    complete(0.4),  # 6
    other(TrialState.RUNNING),  # 7
    other(TrialState.WAITING),  # 8
)


def test_each_trial_stands_at_its_number_with_its_kind() -> None:
    values, _ = draw(study_of(*ALL)).axes
    assert points(values, "feasible") == [(0, 0.2), (4, 0.5), (6, 0.4)]
    assert points(values, "infeasible") == [(2, 0.9)]
    assert points(values, "pruned") == [(5, 0.1)]
    assert [x for x, _ in points(values, "silent")] == [1]
    assert [x for x, _ in points(values, "failed")] == [3]
    assert values.get_ylabel() == "accuracy"


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
    assert best_line(draw(study_of(*ALL, direction=direction)).axes[0]) == line


def test_the_silent_share_is_that_of_the_last_finished_trials() -> None:
    """Against the slow rule, over more trials than the window holds."""
    rng = np.random.default_rng(0)
    is_silent = rng.random(3 * WINDOW) < 0.4
    trials = [silent() if each else complete(0.5) for each in is_silent]
    trials.insert(5, other(TrialState.FAIL))
    _, share = draw(study_of(*trials)).axes
    x, y = share.lines[0].get_data()
    counted = [number for number in range(len(trials)) if number != 5]
    assert np.asarray(x).tolist() == counted
    expected = [np.mean(is_silent[max(0, n + 1 - WINDOW) : n + 1]) for n in range(is_silent.size)]
    np.testing.assert_allclose(np.asarray(y), expected)


def test_saturated_trials_are_drawn_and_counted_beside_silent_ones() -> None:
    saturated = optuna.create_trial(
        state=TrialState.PRUNED, constraints={"silent/out": -0.1, "saturated/out": 0.9}
    )
    values, share = draw(study_of(silent(), saturated, complete(0.5), complete(0.5))).axes
    labels = values.get_legend_handles_labels()[1]
    assert {"silent (1)", "saturated (1)"} <= set(labels)
    np.testing.assert_allclose(np.asarray(share.lines[0].get_ydata()), [1, 1, 2 / 3, 1 / 2])
    assert share.get_ylabel().startswith("silent or\nsaturated")
    assert not draw(study_of(silent())).axes[1].get_ylabel().startswith("silent or")


def test_the_trust_region_is_drawn_where_the_sampler_used_one() -> None:
    assert len(draw(study_of(*ALL)).axes) == 2
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
    region = draw(study_of(*trials)).axes[2]
    x, y = region.lines[0].get_data()
    assert (np.asarray(x).tolist(), np.asarray(y).tolist()) == ([2, 4], [0.8, 0.4])


@pytest.mark.parametrize(
    "trials",
    [
        (),
        (other(TrialState.RUNNING),),
        (other(TrialState.FAIL),) * 3,
        (silent(),) * 3,
        (complete(0.1, c=1.0),),
        (complete(float("inf")), complete(0.3)),
    ],
)
def test_a_picture_is_saved_whatever_the_study_holds(
    tmp_path: Path, trials: tuple[FrozenTrial, ...]
) -> None:
    path = save_study_figure(study_of(*trials), tmp_path / "figure.png")
    height, width = matplotlib.image.imread(path).shape[:2]
    assert width > 1000
    assert height > 600
