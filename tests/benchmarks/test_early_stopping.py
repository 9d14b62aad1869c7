"""The benchmark of early stopping asks what the rules ask, when they are asked."""

import math
from pathlib import Path

import hypothesis.strategies as st
import numpy as np
import pytest
from hypothesis import given

from benchmarks.early_stopping import (
    COLOURS,
    SETTINGS,
    SHARES,
    Curve,
    Setting,
    batch_ends,
    by_setting,
    curves,
    draw,
    fewest_silent,
    is_silent,
    paper_looks,
    read,
    simulate,
    spent,
    table,
    watch,
    watches,
    write,
)
from optuna_snn.spikes.rules import SilenceRule
from optuna_snn.spikes.warmup import default_warmup
from tests.helpers import repeatable

RULES = [
    SilenceRule("sequential", 0.05, 1e-3, 16),
    SilenceRule("sequential", 0.3, 0.05, 1, delta_share=0.5),
    SilenceRule("paper", 0.1, 1e-3, 16, epoch_size=300),
    SilenceRule("paper", 0.3, 1e-3, 16, epoch_size=10),
]
SMALL = Setting(200, 0.1, 40)


@repeatable
@given(st.sampled_from(RULES), st.integers(1, 3000), st.floats(0, 1))
def test_the_rules_on_arrays_agree_with_the_rules(rule: SilenceRule, n: int, share: float) -> None:
    k = round(share * n)
    fewest = int(fewest_silent(rule, np.array([n]))[0])
    assert bool(is_silent(rule, np.array([n]), np.array([k]))[0]) == rule.is_silent(n, k, 1)
    assert rule.is_silent(n, k, 1) == (k >= fewest)
    assert fewest > n or rule.is_silent(n, fewest, 1)
    assert not rule.is_silent(n, fewest - 1, 1)


@pytest.mark.parametrize("rule", RULES)
def test_networks_are_stopped_at_the_look_at_which_the_rule_stops_them(rule: SilenceRule) -> None:
    so_far = np.concatenate(
        [simulate(np.random.default_rng(0), share, 300, 8) for share in (0.05, 0.2, 0.5, 1.0)]
    )
    for warmup in (0, 32):
        looks = batch_ends(300, 7)
        samples, is_stopped = spent(watch(rule, warmup, looks), so_far)
        for own, *found in zip(so_far, samples, is_stopped, strict=True):
            stops = [
                n
                for n in looks.tolist()
                if n > warmup and rule.is_silent(n - warmup, int(own[n] - own[warmup]), 1)
            ]
            assert found == [min(stops, default=300), bool(stops)]


def test_a_rule_that_stops_nothing_is_refused() -> None:
    with pytest.raises(ValueError, match="'record'"):
        fewest_silent(SilenceRule("record", 0.1, 1e-3, 1), np.array([5]))


def test_the_papers_looks_are_strictly_further_apart_than_the_interval() -> None:
    assert paper_looks(4000, 1, 1000).tolist() == [1001, 2002, 3003]  # the last part is not seen
    assert paper_looks(100, 16, 40).tolist() == [48, 96]
    assert paper_looks(100, 16, 32).tolist() == [48, 96]
    assert paper_looks(40, 16, 10).tolist() == [16, 32]
    assert batch_ends(40, 16).tolist() == [16, 32, 40]


def test_dead_networks_are_stopped_as_in_the_papers_experiments() -> None:
    # Experiment 1 as run: N = 48,000, beta = .1, an interval of 1000 and batches of one image;
    # its dead networks stopped after 5005 images. 4800 / 48,000 is not more than beta.
    paper = SilenceRule("paper", 0.1, 1e-3, 16, epoch_size=48_000)
    dead = np.arange(48_001)[np.newaxis]
    assert spent(watch(paper, 0, paper_looks(48_000, 1, 1000)), dead)[0].tolist() == [5005]
    assert spent(watch(paper, 0, batch_ends(48_000, 1)), dead)[0].tolist() == [4801]


@pytest.mark.parametrize("setting", SETTINGS)
def test_ours_stops_dead_networks_after_warm_up_and_minimum(setting: Setting) -> None:
    n = setting.epoch_size
    dead, warmup = np.arange(n + 1)[np.newaxis], default_warmup(16, n)
    first_look = 16 * math.ceil((warmup + 16) / 16)
    assert spent(watches(setting)["sequential"], dead)[0].tolist() == [first_look]


def test_silent_samples_come_with_their_share() -> None:
    so_far = simulate(np.random.default_rng(0), 0.3, 1000, 50)
    assert so_far.shape == (50, 1001)
    assert set(np.diff(so_far).ravel()) == {0, 1} and not so_far[:, 0].any()
    # 50,000 samples: the standard error is .002.
    assert np.diff(so_far).mean() == pytest.approx(0.3, abs=0.01)
    assert simulate(np.random.default_rng(0), 1.0, 9, 1)[0, -1] == 9
    assert simulate(np.random.default_rng(0), 0.0, 9, 1)[0, -1] == 0


def some_curves() -> list[Curve]:
    return curves([SMALL], n_networks=20, shares=[0.0, 0.1, 0.5, 1.0])


def test_curves_are_kept_and_repeatable(tmp_path: Path) -> None:
    made = some_curves()
    write(tmp_path / "new" / "kept.json", made)
    assert read(tmp_path / "new" / "kept.json") == made == some_curves()
    draw(made, tmp_path / "figure.png")
    assert (tmp_path / "figure.png").stat().st_size > 0


def test_curves_fall_from_the_whole_epoch_to_a_dead_network() -> None:
    found = by_setting(some_curves())[SMALL]
    assert found.keys() == COLOURS.keys()
    for curve in found.values():
        assert (curve.median[0], curve.stopped[0], curve.stopped[-1]) == (200, 0.0, 1.0)
        assert curve.median == sorted(curve.median, reverse=True)
        assert all(
            a <= b <= c for a, b, c in zip(curve.low, curve.median, curve.high, strict=True)
        )
    assert [found[name].median[-1] for name in COLOURS] == [128, 48, 21]


def test_the_table_has_a_row_for_each_of_the_shares() -> None:
    lines = table(some_curves()).splitlines()
    assert len(lines) == 2 + 8
    assert lines[2] == "| 200 | 0.1 | 0 | 200, 0 % | 200, 0 % | 200, 0 % |"
    assert lines[-1] == "| 200 | 0.1 | 1 | 128, 100 % | 48, 100 % | 21, 100 % |"


def test_the_shares_go_from_nought_to_one_and_meet_those_of_the_table() -> None:
    assert (SHARES[0], SHARES[-1]) == (0.0, 1.0)
    assert sorted(set(SHARES)) == SHARES
    for beta in {setting.beta for setting in SETTINGS}:
        for factor in (0.5, 1.0, 1.2, 1.5, 2.0):
            assert any(abs(share - factor * beta) < 1e-9 for share in SHARES)
