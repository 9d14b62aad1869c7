"""Networks that are stopped only when all their layers are silent, and what that promises."""

import json
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from optuna_snn.spikes.limits import Limits
from optuna_snn.spikes.report import OverLayers, SpikeReport
from optuna_snn.spikes.rules import RULE_NAMES, RuleName
from tests.helpers import repeatable
from tests.spikes.stopping import stops, worst_stop_probability

DELTA = 1e-3
streams = st.lists(st.sampled_from([0, 0, 5, 600]), max_size=80)


def limits(
    layers: list[str] | None,
    over_layers: OverLayers = "all",
    max_spikes: int | dict[str, float] | None = None,
    rule: RuleName = "sequential",
    delta: float = DELTA,
    beta: float = 0.1,
) -> Limits:
    return Limits(
        *(1, beta, rule, delta, 16, 100, layers), max_spikes=max_spikes, over_layers=over_layers
    )


def report_of(
    rule: RuleName = "sequential",
    max_spikes: int | dict[str, float] | None = None,
    warmup: int = 0,
    **streams: list[int],
) -> SpikeReport:
    own = limits([*streams], "all", max_spikes, rule)
    layers = {
        name: own.first_report(name, 1).after(
            np.array(counts, dtype=float), epoch=1, warmup=warmup
        )
        for name, counts in streams.items()
    }
    return SpikeReport(rule, warmup, 1000, layers, "all")


@repeatable
@given(st.sampled_from(RULE_NAMES), streams, streams)
def test_the_network_is_silent_when_every_layer_is(
    rule: RuleName, exc: list[int], inh: list[int]
) -> None:
    report = report_of(rule, exc=exc, inh=inh)
    layers = report.layers.values()
    assert report.is_silent == all(layer.is_silent for layer in layers)
    assert report.stopped_layers == (("exc", "inh") if report.is_silent else ())
    assert not report.is_silent or report.constraints["all"] > 0
    own = [layer.constraint for layer in layers]
    known = [value for value in own if value is not None]
    assert report.constraints == ({"all": min(known)} if len(known) == 2 else {})
    assert SpikeReport.from_json(json.loads(json.dumps(report.to_json()))) == report


def test_one_layer_that_is_alive_keeps_the_network_and_its_constraint() -> None:
    report = report_of(exc=[0] * 400, inh=[5] * 400)
    assert (report.is_stopped, report.verdict, report.samples_saved) == (False, None, 0)
    assert report.constraints == {"all": -0.1}
    dead = report_of(exc=[0] * 40, inh=[0] * 30)
    assert (dead.is_stopped, dead.samples_saved) == (True, 960)
    assert dead.constraints == {"all": 0.9}
    assert dead.verdict is not None and "'exc'" in dead.verdict and "'inh'" in dead.verdict


def test_a_declared_layer_that_was_not_judged_keeps_the_network() -> None:
    report = report_of(exc=[0] * 400, inh=[])
    assert not report.is_stopped
    assert report.constraints == {}


def test_saturation_is_asked_of_all_layers_that_have_the_bound() -> None:
    both = report_of(max_spikes=500, exc=[600] * 40, inh=[5] * 40)
    assert (both.is_stopped, both.saturation_constraints) == (False, {"all": -0.1})
    one = report_of(max_spikes={"exc": 500}, exc=[600] * 40, inh=[5] * 40)
    assert (one.is_saturated, one.is_silent, one.stopped_layers) == (True, False, ("exc",))
    assert (one.constraints, one.saturation_constraints) == ({"all": -0.1}, {"all": 0.9})
    mixed = report_of(max_spikes=500, exc=[600] * 40, inh=[0] * 40)
    assert not mixed.is_stopped  # neither all silent nor all saturated
    assert report_of(exc=[5] * 40).saturation_constraints == {}


@pytest.mark.parametrize("layers", [["a"], ["a", "b", "c"], None])
def test_one_layer_that_keeps_to_beta_bounds_the_probability_of_a_stop_by_delta(
    layers: list[str] | None,
) -> None:
    # The others may be dead: the network is stopped only at looks at which this layer is silent.
    spent = 0.0
    for position, name in enumerate(layers or ["a", "b", "c"], start=1):
        rule = limits(layers).first_report(name, position).rule
        assert rule.delta_share == 1
        worst = [worst_stop_probability(rule, range(1, 1001), epoch) for epoch in (1, 2, 3)]
        allowed = [DELTA * 6 / (math.pi * epoch) ** 2 for epoch in (1, 2, 3)]
        assert all(w <= a for w, a in zip(worst, allowed, strict=True))
        spent = max(spent, sum(worst))
    assert 0.1 * DELTA < spent <= DELTA


@pytest.mark.parametrize("max_spikes", [500, {"a": 500.0}])
def test_two_questions_halve_delta_for_every_layer(
    max_spikes: int | dict[str, float],
) -> None:
    # Whichever layer keeps to beta, with or without the bound, silence spends one half at most.
    own = limits(["a", "b"], max_spikes=max_spikes)
    assert [own.first_report(name, 1).rule.delta_share for name in "ab"] == [0.5, 0.5]


def test_simulated_networks_with_one_layer_at_beta_are_stopped_as_often_as_it_is_silent() -> None:
    # Two dead layers and one at beta, in batches of 8; delta = .3 gives the test power.
    own, rng = limits(["a", "b", "c"], delta=0.3, beta=0.3), np.random.default_rng(0)
    law = np.array([math.comb(8, k) * 0.3**k * 0.7 ** (8 - k) for k in range(9)])
    exact = float(stops(law, own.first_report("c", 1).rule, range(8, 161, 8)).sum())
    assert 0 < exact <= 0.3 * 6 / math.pi**2
    n_stopped, n_networks = 0, 300
    for _ in range(n_networks):
        layers = {name: own.first_report(name, 1) for name in "abc"}
        for _ in range(20):
            counts = {"a": np.zeros(8), "b": np.zeros(8), "c": 1.0 * (rng.random(8) >= 0.3)}
            layers = {n: layers[n].after(c, epoch=1, warmup=0) for n, c in counts.items()}
            if SpikeReport("sequential", 0, None, layers, "all").is_stopped:
                n_stopped += 1
                break
    deviation = math.sqrt(exact * (1 - exact) / n_networks)
    assert n_stopped / n_networks == pytest.approx(exact, abs=3 * deviation)


@pytest.mark.parametrize("wrong", ["most", None, 1])
def test_another_way_to_combine_layers_is_refused(wrong: object) -> None:
    with pytest.raises(ValueError, match=r"over_layers must be one of any, all; got"):
        limits(["a"], wrong)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="over_layers"):
        SpikeReport.from_json(report_of(exc=[1]).to_json() | {"over_layers": wrong})


def test_the_error_of_all_layers_is_that_of_the_layer_that_tells_the_constraint() -> None:
    report = report_of(exc=[700] * 10 + [0] * 10, inh=[0] * 30 + [5] * 70, max_spikes=600)
    assert report.constraint_sds == {"all": report.layers["inh"].constraint_sd}
    assert report.constraint_sds != {"all": report.layers["exc"].constraint_sd}
    saturated = report.layers["inh"].saturation_constraint_sd
    assert report.saturation_constraint_sds == {"all": saturated}
    assert report_of(exc=[0] * 20, inh=[]).constraint_sds == {}
