"""Saturated samples: counted, judged and constrained as silent ones are, out of the same delta."""

import json
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from optuna_snn.spikes.activity import LayerActivity, checked_max_spikes
from optuna_snn.spikes.limits import Limits, PerLayer
from optuna_snn.spikes.report import OverLayers, SpikeReport
from optuna_snn.spikes.rules import RULE_NAMES, RuleName
from optuna_snn.spikes.tally import BIN_STARTS, Tally
from tests.helpers import repeatable
from tests.spikes.stopping import worst_stop_probability

DELTA = 1e-3
some_counts = st.lists(
    st.integers(0, 40) | st.sampled_from(BIN_STARTS) | st.integers(0, 10**9), max_size=60
)
streams = st.lists(st.sampled_from([0, 5, 600]), max_size=80)


def limits(
    max_spikes: PerLayer | None,
    layers: list[str] | None = None,
    over_layers: OverLayers = "any",
    rule: RuleName = "sequential",
    alpha: int = 1,
) -> Limits:
    return Limits(
        *(alpha, 0.1, rule, DELTA, 16, 100, layers),
        max_spikes=max_spikes,
        over_layers=over_layers,
    )


def report_of(
    max_spikes: PerLayer | None = 500,
    rule: RuleName = "sequential",
    over_layers: OverLayers = "any",
    planned: int | None = None,
    **streams: list[int],
) -> SpikeReport:
    own = limits(max_spikes, [*streams], over_layers, rule)
    layers = {
        name: own.first_report(name, 1).after(np.array(counts, dtype=float), epoch=1, warmup=0)
        for name, counts in streams.items()
    }
    return SpikeReport(rule, 0, planned, layers, over_layers)


@repeatable
@given(some_counts, some_counts, st.integers(1, 700))
def test_saturated_samples_are_those_with_more_than_max_spikes(
    first: list[int], second: list[int], most: int
) -> None:
    tallies = [Tally().after(np.array(c, dtype=float), 1, most) for c in (first, second)]
    n_saturated = sum(count > most for count in first + second)
    assert (tallies[0] + tallies[1]).n_saturated == n_saturated
    assert tallies[0].after(np.array(second, dtype=float), 1, most) == tallies[0] + tallies[1]
    assert Tally().after(np.array(first, dtype=float), 1).n_saturated == 0


@repeatable
@given(some_counts, some_counts, st.integers(1, 40), st.none() | st.integers(0, 600))
def test_the_trace_counts_them_too_and_the_json_form_returns_the_same_activity(
    first: list[int], second: list[int], alpha: int, above: int | None
) -> None:
    activity = LayerActivity(alpha, None if above is None else alpha + above)
    for epoch, counts in enumerate((first, second), start=1):
        activity = activity.after(np.array(counts, dtype=float), epoch=epoch, warmup=7)
    traced = sum(segment.tally.n_saturated for segment in activity.trace.segments)
    assert traced == activity.seen.n_saturated
    assert LayerActivity.from_json(json.loads(json.dumps(activity.to_json()))) == activity


def test_what_was_stored_before_there_was_saturation_still_reads() -> None:
    report = report_of(max_spikes=None, exc=[0] * 20 + [9] * 40)
    stored = json.loads(json.dumps(report.to_json()))
    del stored["over_layers"]
    for key in ("max_spikes", "window"):
        del stored["layers"]["exc"][key]
    assert stored["layers"]["exc"]["judged"] == [20, 0, 20, 0, 0, 0, 0, 0, 0, 0, 0, 40]
    assert SpikeReport.from_json(stored) == report


@repeatable
@given(
    *(st.sampled_from(RULE_NAMES), st.sampled_from(["any", "all"]), streams, streams),
    st.sampled_from([None, 500, {"exc": 500}]),
)
def test_a_stop_always_leaves_a_violated_constraint(
    rule: RuleName, over: OverLayers, exc: list[int], inh: list[int], most: PerLayer | None
) -> None:
    report = report_of(most, rule, over, exc=exc, inh=inh)
    assert SpikeReport.from_json(json.loads(json.dumps(report.to_json()))) == report
    assert not report.is_silent or max(report.constraints.values()) > 0
    assert not report.is_saturated or max(report.saturation_constraints.values()) > 0
    assert report.is_stopped == (report.is_silent or report.is_saturated)
    assert report.is_stopped == bool(report.stopped_layers) == (report.verdict is not None)


def test_a_saturated_layer_stops_the_network_and_the_verdict_says_why() -> None:
    report = report_of(planned=100, exc=[600] * 14 + [5] * 2, inh=[500] * 16)
    assert (report.is_stopped, report.is_silent, report.is_saturated) == (True, False, True)
    assert report.stopped_layers == ("exc",)
    assert report.verdict == (
        "layer 'exc' is saturated: 14 of 16 samples had more than 500 spikes "
        "(share 0.875, beta 0.1, sequential rule, epoch 1)"
    )
    assert report.constraints == {"exc": -0.1, "inh": -0.1}
    assert report.saturation_constraints == {"exc": 0.775, "inh": -0.1}
    assert report.samples_saved == 84


def test_a_layer_may_be_silent_and_saturated_at_once() -> None:
    report = report_of(exc=[0, 600] * 40)
    assert (report.is_silent, report.is_saturated, report.stopped_layers) == (True, True, ("exc",))
    assert report.verdict is not None
    assert "is silent: 40 of 80" in report.verdict and "is saturated: 40 of 80" in report.verdict


def test_layers_without_the_bound_are_never_saturated() -> None:
    report = report_of({"exc": 500}, exc=[5] * 40, inh=[10**6] * 40)
    assert not report.is_stopped
    assert report.saturation_constraints == {"exc": -0.1}
    assert report_of(None, exc=[10**6] * 40).saturation_constraints == {}


def test_the_paper_counts_saturated_samples_by_the_same_rule() -> None:
    assert not report_of(rule="paper", exc=[600] * 10 + [5] * 50).is_stopped
    assert report_of(rule="paper", exc=[600] * 11 + [5] * 50).is_saturated


def share_of_epoch(epoch: int) -> float:
    return 6 / (math.pi * epoch) ** 2


@pytest.mark.parametrize(
    ("layers", "max_spikes"),
    [(["a", "b", "c"], 500), (["a", "b", "c"], {"a": 500, "c": 20}), (None, 500)],
)
def test_both_questions_of_all_layers_together_spend_at_most_delta(
    layers: list[str] | None, max_spikes: PerLayer
) -> None:
    own, spent = limits(max_spikes, layers), 0.0
    for position, name in enumerate(layers or ["a", "b", "c"], start=1):
        layer = own.first_report(name, position)
        part = 1 / len(layers) if layers else share_of_epoch(position)  # the same series
        n_questions = 1 if layer.max_spikes is None else 2
        assert layer.rule.delta_share == pytest.approx(part / n_questions)
        for epoch in (1, 2, 3):
            worst = worst_stop_probability(layer.rule, range(1, 501), epoch)
            spent += n_questions * worst  # at worst the two never stop the same network
    assert 0 < spent <= DELTA


@pytest.mark.parametrize(
    ("max_spikes", "layers", "complaint"),
    [
        (4, None, "max_spikes must be a whole number >= alpha = 5, got 4: .*Pass None"),
        (7.5, None, "max_spikes must be a whole number >= alpha = 5, got 7.5"),
        ("many", None, "max_spikes must be a number, got 'many'"),
        (float("inf"), None, "got inf"),
        ({"a": 500, "b": 1}, ["a", "b"], "got 1"),
        ({"c": 500}, ["a", "b"], r"one declared layer or more, got \('c',\).*'a', 'b'"),
        ({"c": 500}, None, "declared are none. Declare them by layers="),
        ({}, ["a"], "one declared layer or more"),
    ],
)
def test_wrong_bounds_are_refused_at_once(
    max_spikes: PerLayer, layers: list[str] | None, complaint: str
) -> None:
    with pytest.raises(ValueError, match=complaint):
        limits(max_spikes, layers, alpha=5)


@pytest.mark.parametrize("most", [5, 5.0, np.int64(5), np.float32(5)])
def test_the_bound_may_be_any_whole_number_from_alpha_on(most: object) -> None:
    assert checked_max_spikes(most, alpha=5) == 5


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        ({"max_spikes": 1}, "max_spikes"),
        ({"max_spikes": "many"}, "max_spikes"),
        ({"max_spikes": None}, "1 saturated samples do not fit"),
        ({"max_spikes": 3}, "1 saturated samples do not fit"),
        ({"seen": [[0, 4], 4, 3]}, "more silent and saturated samples"),
        ({"seen": [[0], 4, 3]}, "list"),
        ({"seen": [[0, -1], 4, 3]}, "list"),
        ({"seen": [[0, 1]]}, "list"),
    ],
)
def test_a_damaged_json_form_is_refused(change: dict[str, object], complaint: str) -> None:
    stored = LayerActivity(2, 4).after(np.array([4.0, 4.0, 5.0]), epoch=1, warmup=0).to_json()
    assert stored["seen"] == [[0, 1], 4, 2, 1]
    with pytest.raises(ValueError, match=complaint):
        LayerActivity.from_json(stored | change)
