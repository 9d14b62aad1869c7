"""Gaps: how a constraint is graded, which samples count, and how the sums are stored."""

import json
import math
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from optuna_snn.spikes.activity import LayerActivity
from optuna_snn.spikes.gaps import RESOLUTION, gaps_of, graded
from optuna_snn.spikes.limits import Limits
from optuna_snn.spikes.replay import Settings, replayed
from optuna_snn.spikes.report import OverLayers, SpikeReport
from optuna_snn.spikes.window import Window
from tests.helpers import repeatable
from tests.spikes.test_window import held

shares = st.floats(0.0, 1.0)
samples = st.lists(st.tuples(st.integers(0, 3), shares), max_size=60)
sizes = st.sampled_from([None, 2, 4, 16])


def report_of(
    over_layers: OverLayers = "any", alpha: int = 1, warmup: int = 0, **layers: Any
) -> SpikeReport:
    """layers: name -> (count, gap) of each sample, or counts alone."""
    limits = Limits(
        alpha, 0.1, "sequential", 1e-3, 2, layers=[*layers], max_spikes=3, over_layers=over_layers
    )
    reports = {}
    for name, values in layers.items():
        table = np.array(values, dtype=float)
        counts, gaps = (table, None) if table.ndim == 1 else table.T
        first = limits.first_report(name, 1)
        reports[name] = first.after(counts, epoch=1, warmup=warmup, gaps=gaps)
    return SpikeReport("sequential", warmup, None, reports, over_layers)


def test_the_gap_is_what_the_peak_lacks_to_the_threshold() -> None:
    d = [0.0, 0.25, 1.0, 1.5, -2.0, np.inf, np.nan]
    assert gaps_of(d, [0] * 7).tolist() == [1.0, 0.75, 0.0, 0.0, 1.0, 0.0, 1.0]
    assert gaps_of([0.25, 0.25], [0, 1]).tolist() == [0.75, 0.0]  # the second was reset


def test_a_violation_is_graded_by_the_logarithm_of_the_depolarisation() -> None:
    assert graded(0.9, 0.0) == pytest.approx(0.09)  # almost fired: 0.9 * 0.1
    assert graded(0.9, 1 - math.exp(-1)) == pytest.approx(0.9 * 1.1)
    assert graded(0.9, 1.0) == pytest.approx(0.9 * (0.1 + math.log(1000)))
    assert graded(0.9, 0.9999) == graded(0.9, 1.0)
    assert graded(0.9, None) == 0.9  # nothing was read


@repeatable
@given(st.floats(-1.0, 1.0), shares, shares)
def test_grading_keeps_the_sign_and_grows_with_the_gap(excess: float, a: float, b: float) -> None:
    assert math.copysign(1, graded(excess, a)) == math.copysign(1, excess)
    assert graded(excess, min(a, b)) <= graded(excess, max(a, b))
    if excess <= 0:
        assert graded(excess, a) == excess


def test_the_constraint_rests_on_the_judged_silent_samples() -> None:
    # alpha 2: the samples with 0 and 1 spikes are silent; the first sample is warm-up.
    report = report_of(alpha=2, warmup=1, out=[(0, 1.0), (0, 0.75), (1, 0.25), (3, 0.875), (2, 0)])
    assert report.layers["out"].activity.mean_gap == 0.5
    assert report.constraints == {"out": pytest.approx((2 / 4 - 0.1) * (0.1 + math.log(2)))}
    assert report_of(alpha=2, out=[0, 0, 1, 3]).constraints == {"out": pytest.approx(0.65)}


def test_a_layer_that_keeps_to_beta_has_the_constraint_that_it_has_without_gaps() -> None:
    alive = [(3, 0.0)] * 19 + [(0, 1.0)]
    assert report_of(out=alive).constraints == report_of(out=[3] * 19 + [0]).constraints
    assert report_of(out=[(3, 0.5)] * 4).constraints == {"out": -0.1}  # no silent sample


@repeatable
@given(samples, samples)
def test_gaps_change_no_verdict_no_sign_and_nothing_of_saturation(first: Any, second: Any) -> None:
    for over_layers in ("any", "all"):
        graded_ = report_of(over_layers, exc=first or [(0, 1.0)], inh=second or [(3, 0.0)])
        plain = report_of(
            over_layers,
            exc=[count for count, _ in first or [(0, 1.0)]],
            inh=[count for count, _ in second or [(3, 0.0)]],
        )
        assert graded_.stopped_layers == plain.stopped_layers
        assert graded_.verdict == plain.verdict
        assert graded_.saturation_constraints == plain.saturation_constraints
        assert graded_.constraints.keys() == plain.constraints.keys()
        for name, value in graded_.constraints.items():
            assert np.sign(value) == np.sign(plain.constraints[name])
        for settings in (Settings(), Settings(beta=0.5, over_layers="all")):
            verdicts = [replayed(r, settings, is_censored=False) for r in (graded_, plain)]
            assert verdicts[0] == verdicts[1]


def test_over_all_layers_the_least_graded_constraint_counts() -> None:
    far, near = [(0, 1.0)] * 10, [(0, 0.5)] * 10
    value = pytest.approx(0.9 * (0.1 + math.log(2)))
    assert report_of("all", exc=far, inh=near).constraints == {"all": value}


def in_batches(values: Any, size: int | None, cut: int, warmup: int = 3) -> LayerActivity:
    activity = LayerActivity(2, 3, Window(size))
    for epoch, table in enumerate(values, start=1):
        counts, gaps = np.array([*table, (0, 0)], dtype=float)[:-1].T
        for i in range(0, len(counts), cut):
            activity = activity.after(
                counts[i : i + cut], epoch=epoch, warmup=warmup, gaps=gaps[i : i + cut]
            )
    return activity


@repeatable
@given(st.lists(samples, max_size=3), sizes, st.integers(1, 70))
def test_the_mean_gap_is_that_of_the_window_however_samples_are_batched(
    values: Any, size: int | None, cut: int
) -> None:
    activity, one_by_one = in_batches(values, size, cut), in_batches(values, size, 1)
    assert replace(activity, trace=one_by_one.trace) == one_by_one  # that tells batches apart
    # The samples of the window, by an independent division into halves of their positions.
    flat = [sample for table in values for sample in table]
    positions = iter(range(len(flat)))
    numbered = [[next(positions) for _ in table] for table in values]
    window = held(numbered, size or 1000, 3)[1]
    silent = [gap for count, gap in (flat[i] for i in window) if count < 2]
    if silent:
        assert activity.mean_gap == pytest.approx(np.mean(silent), abs=RESOLUTION)
    else:
        assert activity.mean_gap is None


def test_sums_of_gaps_are_exact_whatever_the_order_of_rounding() -> None:
    tenths = [[(0, i / 10) for i in range(10)] * 3]
    assert len({in_batches(tenths, None, cut).window.judged_gap for cut in range(1, 31)}) == 1


@repeatable
@given(st.lists(samples, max_size=3), sizes)
def test_the_json_form_returns_the_same_gaps(values: Any, size: int | None) -> None:
    activity = in_batches(values, size, 16)
    assert LayerActivity.from_json(json.loads(json.dumps(activity.to_json()))) == activity


def test_a_report_that_was_stored_before_there_were_gaps_is_read() -> None:
    report = report_of(out=[0, 0, 1, 3])
    stored = report.to_json()
    del stored["layers"]["out"]["gaps"]
    assert SpikeReport.from_json(stored) == report
    assert SpikeReport.from_json(stored).constraints == {"out": pytest.approx(0.4)}


@pytest.mark.parametrize(
    "gaps", [0.5, [1.0], [2.5, 0.0], [0.5, 0.75], [-1.0, 0.0], [True, False], ["a", "b"]]
)
def test_damaged_gaps_are_refused(gaps: object) -> None:
    stored = in_batches([[(0, 0.5), (0, 1.0), (3, 0.0)]], None, 5, warmup=0).to_json()
    assert stored["gaps"] == [1.5, 0.0]
    with pytest.raises(ValueError, match="gaps"):
        LayerActivity.from_json(stored | {"gaps": gaps})


def test_a_warm_up_that_is_judged_after_all_has_no_gaps() -> None:
    report = report_of(warmup=9, out=[(0, 0.5)] * 4).judged_whole()
    assert report.constraints == {"out": 0.9}
    assert SpikeReport.from_json(json.loads(json.dumps(report.to_json()))) == report


def test_samples_with_gaps_and_without_are_not_judged_together() -> None:
    counts, gaps = np.zeros(2), np.ones(2)
    activity = LayerActivity(1).after(counts, epoch=1, warmup=0, gaps=gaps)
    assert activity.after(np.zeros(0), epoch=1, warmup=0) == activity
    with pytest.raises(ValueError, match="all updates of a layer or in none"):
        activity.after(counts, epoch=1, warmup=0)
    with pytest.raises(ValueError, match="all updates of a layer or in none"):
        LayerActivity(1).after(counts, epoch=1, warmup=9).after(
            counts, epoch=1, warmup=9, gaps=gaps
        )
