"""Replays of networks whose monitor judged them otherwise than layer by layer and for silence."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from optuna_snn.spikes.limits import Limits
from optuna_snn.spikes.replay import Settings, Verdict, replayed
from optuna_snn.spikes.report import OverLayers, SpikeReport
from optuna_snn.spikes.rules import RuleName
from tests.helpers import repeatable

Epochs = list[list[int]]


@st.composite
def networks(draw: st.DrawFn) -> dict[str, Epochs]:
    """Layers in step, over up to three epochs, each epoch and layer of another silent share."""
    rng = np.random.default_rng(draw(st.integers(0, 2**32)))
    lengths = draw(st.lists(st.integers(0, 120), min_size=1, max_size=3))
    shares = st.sampled_from([0.0, 0.1, 0.5, 1.0, 1.0])
    return {
        name: [np.where(rng.random(n) < draw(shares), 0, 9).tolist() for n in lengths]
        for name in draw(st.sampled_from(["a", "ab", "abc"]))
    }


def report_of(
    network: dict[str, Epochs],
    rule: RuleName = "record",
    over_layers: OverLayers = "any",
    max_spikes: int | None = None,
    window: int | None = None,
    warmup: int = 32,
) -> SpikeReport:
    limits = Limits(
        *(1, 0.1, rule, 1e-3, 16, 100, [*network]),
        max_spikes=max_spikes,
        over_layers=over_layers,
        window=window,
    )
    layers = {}
    for name, epochs in network.items():
        layer = limits.first_report(name, 1)
        for epoch, counts in enumerate(epochs, start=1):
            for count in counts:
                layer = layer.after(np.array([float(count)]), epoch=epoch, warmup=warmup)
        layers[name] = layer
    return SpikeReport(rule, warmup, None, layers, over_layers)


def first_stop(network: dict[str, Epochs], over_layers: OverLayers, looks: set[int]) -> int | None:
    """By the monitor's own arithmetic, after each sample of all layers."""
    limits = Limits(*(1, 0.1, "sequential", 1e-3, 16, 100, [*network]), over_layers=over_layers)
    layers = {name: limits.first_report(name, 1) for name in network}
    n = 0
    for epoch, counts in enumerate(zip(*network.values(), strict=True), start=1):
        for sample in zip(*counts, strict=True):
            layers = {
                name: layer.after(np.array([float(count)]), epoch=epoch, warmup=32)
                for (name, layer), count in zip(layers.items(), sample, strict=True)
            }
            n += 1
            report = SpikeReport("sequential", 32, None, layers, over_layers)
            if n in looks and n > 32 and report.is_stopped:
                return n
    return None


@repeatable
@given(networks(), st.sampled_from(["any", "all"]), st.sampled_from(["any", "all"]))
def test_the_answer_is_what_a_monitor_of_such_networks_would_have_done(
    network: dict[str, Epochs], recorded: OverLayers, asked: OverLayers
) -> None:
    report = report_of(network, over_layers=recorded)
    looks = {n for n, _ in next(iter(report.layers.values())).activity.trace.looks()}
    expected = first_stop(network, asked, looks)
    settings = Settings(rule="sequential", over_layers=asked)
    verdict = replayed(report, settings, is_censored=False)
    assert verdict.is_stopped == (expected is not None)
    assert verdict.n_samples == (report.samples_seen if expected is None else expected)
    if recorded == asked:
        assert replayed(report, Settings(rule="sequential"), is_censored=False) == verdict


def test_all_layers_have_to_be_silent_at_the_same_look() -> None:
    report = report_of({"a": [[0] * 100, [9] * 100], "b": [[9] * 100, [0] * 100]}, warmup=0)
    together, each = (Settings(rule="sequential", over_layers=over) for over in ("all", "any"))  # type: ignore[arg-type]
    assert replayed(report, together, is_censored=False) == Verdict(False, 200)
    assert replayed(report, each, is_censored=False) == Verdict(True, 16, "a")


def test_together_no_layer_is_named_and_a_bin_of_the_histogram_leaves_it_open() -> None:
    settings = Settings(rule="sequential", over_layers="all", warmup=0)
    dead = report_of({"a": [[0] * 64], "b": [[0] * 64]})
    assert replayed(dead, settings, is_censored=False) == Verdict(True, 16, None)
    open_ = report_of({"a": [[0] * 64], "b": [[45] * 64]})
    within = Settings(alpha=40, rule="sequential", over_layers="all", warmup=0)
    assert replayed(open_, within, is_censored=False) == Verdict(None, None)
    fires = report_of({"a": [[70] * 64], "b": [[45] * 64]})
    assert replayed(fires, within, is_censored=False) == Verdict(False, 64)


def test_where_delta_is_divided_anew_the_two_questions_still_share_it() -> None:
    for recorded, asked, share in (
        ("any", "all", 1 / 2),
        ("all", "any", 1 / 4),
        ("all", "all", 1 / 2),
        ("any", "any", 1 / 4),
    ):
        report = report_of({"a": [[9]], "b": [[9]]}, over_layers=recorded, max_spikes=500)  # type: ignore[arg-type]
        settings = Settings(over_layers=asked)  # type: ignore[arg-type]
        assert settings.rule_for(report.layers["b"], report).delta_share == share


def test_a_network_that_was_stopped_for_saturation_is_censored_and_not_called_silent() -> None:
    report = report_of({"a": [[600] * 48]}, rule="sequential", max_spikes=500)
    assert report.is_saturated
    assert replayed(report, Settings(), is_censored=True) == Verdict(None, None)
    assert replayed(report, Settings(warmup=0), is_censored=True) == Verdict(None, None)


def test_where_a_window_slid_the_epoch_is_judged_all_the_same() -> None:
    late = report_of({"a": [[9] * 5000 + [0] * 64]}, rule="sequential", window=64)
    assert late.is_silent
    assert replayed(late, Settings(), is_censored=True) == Verdict(None, None)
    assert replayed(late, Settings(), is_censored=False) == Verdict(False, 5064)
    early = report_of({"a": [[0] * 80]}, rule="sequential", window=64)
    assert replayed(early, Settings(), is_censored=True) == Verdict(True, 48, "a")


def test_another_way_to_combine_layers_is_refused() -> None:
    with pytest.raises(ValueError, match="over_layers must be one of any, all; got 'most'"):
        Settings(over_layers="most")  # type: ignore[arg-type]
