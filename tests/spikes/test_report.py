import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from optuna_snn.spikes.limits import Limits
from optuna_snn.spikes.report import SpikeReport
from optuna_snn.spikes.rules import RULE_NAMES, RuleName

repeatable = settings(derandomize=True, deadline=None, database=None)
streams = st.lists(st.integers(0, 3), max_size=80)


def report_of(
    rule: RuleName = "sequential",
    warmup: int = 0,
    planned_samples: int | None = None,
    **streams: list[int],
) -> SpikeReport:
    limits = Limits(1, 0.1, rule, 1e-3, min_samples=16, epoch_size=100, layers=[*streams])
    layers = {
        name: limits.first_report(name, 1).after(
            np.array(counts, dtype=float), epoch=1, warmup=warmup
        )
        for name, counts in streams.items()
    }
    return SpikeReport(rule, warmup, planned_samples, layers)


@repeatable
@given(
    st.sampled_from(RULE_NAMES), st.integers(0, 40), st.none() | st.integers(1), streams, streams
)
def test_the_json_form_returns_the_same_report(
    rule: RuleName, warmup: int, planned: int | None, exc: list[int], inh: list[int]
) -> None:
    report = report_of(rule, warmup, planned, exc=exc, inh=inh)
    assert SpikeReport.from_json(json.loads(json.dumps(report.to_json()))) == report


def test_the_network_is_silent_when_one_layer_is() -> None:
    report = report_of(exc=[5] * 40, inh=[0] * 40)
    assert report.is_silent
    assert report.stopped_layers == ("inh",)
    assert not report_of(exc=[5] * 40, inh=[5] * 40).is_silent


@repeatable
@given(st.sampled_from(RULE_NAMES), st.integers(0, 40), streams, streams)
def test_a_silent_layer_always_violates_its_constraint(
    rule: RuleName, warmup: int, exc: list[int], inh: list[int]
) -> None:
    report = report_of(rule, warmup, exc=exc, inh=inh)
    assert all(report.constraints[name] > 0 for name in report.stopped_layers)


def test_the_constraint_is_the_silent_share_above_beta_after_the_warm_up() -> None:
    report = report_of(warmup=4, exc=[0, 0, 0, 0, 3, 0, 3, 3], inh=[0, 0, 0, 0])
    assert report.constraints == {"exc": pytest.approx(0.25 - 0.1)}  # inh: nothing judged
    assert report_of(exc=[0] * 40).constraints == {"exc": 0.9}


def test_the_verdict_names_layer_numbers_and_limits() -> None:
    report = report_of(exc=[0] * 37 + [1] * 3, inh=[0] * 40)
    assert report.verdict == (
        "layer 'exc' is silent: 37 of 40 samples had no spike "
        "(share 0.925, beta 0.1, sequential rule, epoch 1); "
        "layer 'inh' is silent: 40 of 40 samples had no spike "
        "(share 1.000, beta 0.1, sequential rule, epoch 1)"
    )
    assert report_of(exc=[1] * 40).verdict is None


def test_saved_are_the_planned_samples_that_a_silent_network_did_not_see() -> None:
    dead, alive = [0] * 40, [2] * 60
    assert report_of(planned_samples=1000, exc=dead, inh=alive).samples_saved == 940
    assert report_of(planned_samples=1000, exc=alive).samples_saved == 0
    assert report_of(planned_samples=30, exc=dead).samples_saved == 0
    assert report_of(exc=dead).samples_saved is None


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        ({"version": 2}, "version 1"),
        ({"rule": "majority"}, "majority"),
        ({"warmup": -1}, "warmup"),
        ({"warmup": None}, "warmup"),
        ({"planned_samples": "many"}, "many"),
        ({"layers": []}, "layers"),
        ({"layers": {"exc": 3}}, "layers"),
        ({"layers": {"exc": {}}}, "alpha"),
        ({"layers": {"exc": report_of(exc=[1]).to_json()["layers"]["exc"] | {"beta": 2}}}, "beta"),
    ],
)
def test_a_damaged_json_form_is_refused(change: dict[str, object], complaint: str) -> None:
    with pytest.raises(ValueError, match=complaint):
        SpikeReport.from_json(report_of(exc=[1]).to_json() | change)


@pytest.mark.parametrize("value", [None, [], "silent", 3, {}])
def test_what_is_no_report_at_all_is_refused(value: object) -> None:
    with pytest.raises(ValueError, match="version 1"):
        SpikeReport.from_json(value)
