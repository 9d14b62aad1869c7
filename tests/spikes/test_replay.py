"""What another rule would have done: against the rule itself, asked sample by sample."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from optuna_snn.spikes.limits import Limits
from optuna_snn.spikes.replay import Settings, Verdict, replayed
from optuna_snn.spikes.report import SpikeReport
from optuna_snn.spikes.rules import RuleName
from tests.helpers import repeatable


@st.composite
def streams(draw: st.DrawFn) -> list[list[int]]:
    """Up to three epochs, each of another silent share."""
    rng = np.random.default_rng(draw(st.integers(0, 2**32)))
    shares = draw(st.lists(st.sampled_from([0.0, 0.1, 0.5, 1.0]), max_size=3))
    lengths = [draw(st.integers(0, 120)) for _ in shares]
    return [
        np.where(rng.random(n) < share, 0, rng.choice([1, 2, 25, 60], n)).tolist()
        for n, share in zip(lengths, shares, strict=True)
    ]


def report_of(
    rule: RuleName = "record",
    warmup: int = 32,
    min_samples: int = 16,
    beta: float = 0.1,
    planned: int | None = None,
    batch: int = 1,
    **layers: list[list[int]],
) -> SpikeReport:
    """A report of layers, each with its samples by epoch, which came in batches."""
    limits = Limits(2, beta, rule, 1e-3, min_samples, epoch_size=100, layers=[*layers])
    reports = {}
    for name, epochs in layers.items():
        report = limits.first_report(name, 1)
        for epoch, counts in enumerate(epochs, start=1):
            for start in range(0, len(counts), batch):
                some = np.array(counts[start : start + batch], dtype=float)
                report = report.after(some, epoch=epoch, warmup=warmup)
        reports[name] = report
    return SpikeReport(rule, warmup, planned, reports)


def first_stop(epochs: list[list[int]], settings: Settings, looks: set[int]) -> int | None:
    """By the monitor's own arithmetic, sample by sample, with the other rule from the start."""
    assert settings.alpha and settings.beta and settings.rule and settings.warmup is not None
    limits = Limits(
        settings.alpha, settings.beta, settings.rule, 1e-3, 16, epoch_size=100, layers=["output"]
    )
    report, n = limits.first_report("output", 1), 0
    for epoch, counts in enumerate(epochs, start=1):
        for count in counts:
            report = report.after(np.array([float(count)]), epoch=epoch, warmup=settings.warmup)
            n += 1
            if n in looks and n > settings.warmup and report.is_silent:
                return n
    return None


@repeatable
@given(
    streams(),
    st.sampled_from([1, 2, 3]),
    st.sampled_from([0.05, 0.3, 0.6]),
    st.sampled_from(["paper", "sequential"]),
    st.sampled_from([0, 8, 32, 40]),
    st.sampled_from([1, 5, 16, 50]),
)
def test_the_answer_is_what_the_monitor_would_have_done_at_the_looks(
    epochs: list[list[int]], alpha: int, beta: float, rule: RuleName, warmup: int, batch: int
) -> None:
    settings = Settings(alpha=alpha, beta=beta, rule=rule, warmup=warmup)
    report = report_of(output=epochs, batch=batch, warmup=warmup)
    looks = {n for n, _ in report.layers["output"].activity.trace.looks()}
    expected = first_stop(epochs, settings, looks)
    verdict = replayed(report, settings, is_censored=False)
    if expected is None:
        assert verdict == Verdict(False, report.samples_seen)
    else:
        assert verdict == Verdict(True, expected, "output")


def test_the_rule_of_the_monitor_itself_is_answered_by_what_it_did() -> None:
    """Also where its warm-up ends between two looks."""
    for warmup in (30, 32):
        stopped = report_of("sequential", warmup, output=[[0] * (warmup + 16)])
        assert stopped.is_silent
        assert replayed(stopped, Settings(), is_censored=True).is_stopped
        kept = report_of("sequential", warmup, output=[[9] * 100])
        assert replayed(kept, Settings(), is_censored=False) == Verdict(False, 100)


@repeatable
@given(streams(), st.sampled_from(["paper", "sequential"]), st.integers(0, 60), st.integers(1, 60))
def test_a_network_that_its_monitor_kept_is_never_called_stopped(
    epochs: list[list[int]], rule: RuleName, warmup: int, batch: int
) -> None:
    """Whatever the batches: the looks are some of those after which the monitor was asked."""
    fed: list[list[int]] = []
    for counts in epochs:
        fed.append([])
        for start in range(0, len(counts), batch):
            fed[-1] += counts[start : start + batch]
            so_far = report_of(rule, warmup, batch=batch, output=fed)
            if so_far.is_silent:
                verdict = replayed(so_far, Settings(), is_censored=True)
                assert verdict == Verdict(True, so_far.samples_seen, "output")
                return
    kept = report_of(rule, warmup, batch=batch, output=fed)
    assert replayed(kept, Settings(), is_censored=False) == Verdict(False, kept.samples_seen)
    recorded = report_of("record", warmup, batch=batch, output=fed)
    asked = replayed(recorded, Settings(rule=rule), is_censored=False)
    assert asked == Verdict(False, kept.samples_seen)


def test_the_end_of_a_warm_up_within_a_batch_is_no_look() -> None:
    report = report_of(warmup=40, batch=64, output=[[0] * 40 + [9] * 600])
    settings = Settings(rule="sequential", warmup=0, beta=0.7)
    assert replayed(report, settings, is_censored=False) == Verdict(False, 640)
    at_its_end = report_of(warmup=40, batch=40, output=[[0] * 40])
    assert replayed(at_its_end, settings, is_censored=False).is_stopped


def test_what_was_judged_whole_at_its_end_was_not_stopped() -> None:
    short = report_of("sequential", 256, batch=16, output=[[0] * 64]).judged_whole()
    assert (short.is_silent, short.warmup) == (True, 256)
    assert replayed(short, Settings(), is_censored=False) == Verdict(False, 64)
    other = replayed(short, Settings(warmup=0), is_censored=False)
    assert other == Verdict(True, 16, "output")


def test_segments_of_earlier_versions_that_ended_within_batches_are_read() -> None:
    """Eighty samples of one batch, cut at the checkpoints; the last segment is of a new batch."""
    trace = [[1, n, 0, n] for n in (64, 16)] + [[1, 0, 9, 16]]
    stored = report_of(warmup=0, output=[[0] * 80, [9] * 16]).to_json()
    stored["layers"]["output"]["trace"] = trace
    verdict = replayed(
        SpikeReport.from_json(stored), Settings(rule="sequential"), is_censored=False
    )
    assert verdict == Verdict(True, 64, "output")


def test_of_a_stopped_network_a_looser_rule_does_not_know() -> None:
    stopped = report_of("sequential", output=[[0] * 16 + [9] * 16 + [0, 9, 0, 0, 9] * 4])
    assert replayed(stopped, Settings(beta=0.9), is_censored=True) == Verdict(None, None)
    assert replayed(stopped, Settings(beta=0.9), is_censored=False).is_stopped is False


def test_of_a_stopped_network_a_stricter_rule_knows_when() -> None:
    dead = report_of("sequential", warmup=64, output=[[0] * 80])
    verdict = replayed(dead, Settings(warmup=16, min_samples=4, beta=0.05), is_censored=True)
    assert verdict == Verdict(True, 20, "output")


def test_within_a_bin_of_the_histogram_the_answer_is_unknown_only_where_it_matters() -> None:
    """Alpha 40 lies between 32 and 63: samples of 45 spikes may be silent or not."""
    settings = Settings(alpha=40, rule="sequential", warmup=0)
    assert replayed(report_of(output=[[45] * 90]), settings, is_censored=False).is_stopped is None
    low, high = report_of(output=[[25] * 90]), report_of(output=[[70] * 90])
    assert replayed(low, settings, is_censored=False).is_stopped is True
    assert replayed(high, settings, is_censored=False).is_stopped is False
    late = report_of(output=[[45] * 40 + [0] * 4000])
    assert replayed(late, settings, is_censored=False) == Verdict(True, None)


def test_the_layer_that_would_have_stopped_first_is_named() -> None:
    report = report_of(exc=[[9] * 50 + [0] * 100], inh=[[0] * 150])
    settings = Settings(rule="sequential", beta=0.3)
    assert replayed(report, settings, is_censored=False) == Verdict(True, 48, "inh")


def test_beyond_the_end_of_a_trace_nothing_is_claimed() -> None:
    report = report_of(output=[[9] for _ in range(300)])  # epochs of one sample
    assert replayed(report, Settings(rule="sequential", warmup=0), is_censored=False) == Verdict(
        None, None, is_cut=True
    )


def test_a_report_from_before_there_were_traces_answers_for_its_own_warm_up_alone() -> None:
    report = report_of(output=[[0] * 80])
    layer = report.layers["output"]
    stored = layer.activity.to_json()
    del stored["trace"]
    old = replace(
        report,
        layers={"output": replace(layer, activity=type(layer.activity).from_json(stored))},
    )
    settings = Settings(rule="sequential")
    assert replayed(old, settings, is_censored=True) == Verdict(True, 80, "output")
    other = replace(settings, warmup=0)
    assert replayed(old, other, is_censored=False).is_stopped is None


@pytest.mark.parametrize(
    "wrong",
    [
        {"beta": 1.5},
        {"beta": 0, "rule": "sequential"},
        {"delta": 0.0},
        {"rule": "loud"},
        {"alpha": 0},
        {"warmup": -1},
        {"min_samples": 0},
        {"epoch_size": 0},
    ],
)
def test_a_rule_that_there_is_not_is_refused_before_any_trial_is_asked(
    wrong: dict[str, object],
) -> None:
    with pytest.raises(ValueError, match=next(iter(wrong))):
        Settings(**wrong)  # type: ignore[arg-type]


def test_a_rule_that_a_trial_cannot_have_is_refused_when_it_is_asked() -> None:
    report, paper = report_of(output=[[0] * 9]), Settings(rule="paper", beta=0)
    assert replayed(report, paper, is_censored=False).is_stopped is False  # it has an epoch_size
    with pytest.raises(ValueError, match="beta > 0"):
        replayed(report_of("sequential", output=[[0] * 9]), Settings(beta=0), is_censored=False)
