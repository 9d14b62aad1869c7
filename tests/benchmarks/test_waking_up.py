"""The benchmark of waking networks: what it keeps, and that it asks what the monitor would."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import hypothesis.strategies as st
import numpy as np
import pytest
from hypothesis import given
from numpy.typing import NDArray
from optuna.trial import FixedTrial

from benchmarks.waking_courses import (
    Group,
    expanded,
    groups,
    read,
    stretches,
    train_missing,
    trained,
)
from benchmarks.waking_networks import (
    KINDS,
    REST_MV,
    Batch,
    Kind,
    Params,
    mean_drive_mv,
    stdp_config_of,
    stdp_configurations,
)
from benchmarks.waking_up import (
    BETAS,
    MINIMA,
    WARMUPS,
    Options,
    best,
    draw,
    judged,
    losses,
    needed,
    needs,
    outcome,
    smallest_warmup,
    summary,
    table,
    warmups,
)
from optuna_snn import SpikeMonitor
from tests.helpers import repeatable

N_SAMPLES = 200


def wakes_after(n_silent: int) -> NDArray[np.bool_]:
    """A layer: (N_SAMPLES,)."""
    return np.arange(N_SAMPLES) < n_silent


def group(*layers: NDArray[np.bool_], batch: int = 1) -> Group:
    """Networks of one layer."""
    is_silent = np.array(layers)[:, np.newaxis]
    return Group("toy", batch, is_silent, accuracy=1 - is_silent.mean(axis=(1, 2)))


def train_toy(number: int, params: Params, batch: int, n_samples: int) -> Iterator[Batch]:
    for start in range(0, n_samples, batch):
        fires = np.arange(start, start + batch) >= params["n_silent"]
        yield Batch({"layer": 5 * fires}, n_correct=int(fires[0]))


TOY = Kind("toy", 4, N_SAMPLES, ("layer",), lambda: [{"n_silent": n} for n in (0, 50)], train_toy)


@repeatable
@given(st.lists(st.booleans(), min_size=1, max_size=50))
def test_stretches_say_which_samples_were_silent(silent: list[bool]) -> None:
    lengths = stretches(np.array(silent))
    assert expanded(lengths).tolist() == silent
    assert all(n > 0 for n in lengths[1:])


def test_networks_are_trained_once_and_their_courses_kept(tmp_path: Path) -> None:
    path = tmp_path / "new" / "kept.jsonl"
    train_missing(path, [TOY])
    first, *others = path.read_text().splitlines(keepends=True)
    assert len(others) == 1
    path.write_text(first)
    train_missing(path, [TOY])
    assert path.read_text() == first + others[0]
    (found,) = groups(read(path))
    assert (found.label, found.n_samples) == ("toy, batches of 4", N_SAMPLES)
    assert found.is_silent.tolist() == [[wakes_after(n).tolist()] for n in (0, 50)]
    assert found.accuracy.tolist() == [0.25, 0.25]  # one of each batch of four


@pytest.mark.parametrize("batch", [1, 16])
@pytest.mark.parametrize("n_layers", [1, 2])
def test_networks_are_stopped_where_the_monitor_stops_them(n_layers: int, batch: int) -> None:
    rng = np.random.default_rng(0)
    share = np.linspace(1, 0.05, N_SAMPLES) ** rng.uniform(0, 4, size=(12, n_layers, 1))
    made = Group("toy", batch, rng.random((12, n_layers, N_SAMPLES)) < share, np.zeros(12))
    for options in (Options(0.1, 16, 32), Options(0.3, 3, 0), Options(0.05, 32, 8)):
        is_stopped, samples = judged(made, options)
        assert 0 < is_stopped.sum()
        for own, *found in zip(made.is_silent, is_stopped, samples, strict=True):
            assert found == list(asked_of_monitor(own, options, batch))


def asked_of_monitor(
    is_silent: NDArray[np.bool_], options: Options, batch: int
) -> tuple[bool, int]:
    """Whether and when `SpikeMonitor` calls a network silent. is_silent: (n_layers, n_samples)."""
    names = [f"layer{i}" for i in range(len(is_silent))]
    with SpikeMonitor(
        FixedTrial({}),
        beta=options.beta,
        warmup=options.warmup,
        min_samples=options.min_samples,
        layers=names,
    ) as monitor:
        for start in range(0, is_silent.shape[1], batch):
            fired = np.where(is_silent[:, start : start + batch], 0, 7)
            monitor.update(dict(zip(names, fired, strict=True)))
            if monitor.is_silent:
                break
        return monitor.is_silent, monitor.n_samples


def test_networks_are_alive_waking_or_silent_by_their_shares() -> None:
    quarter = N_SAMPLES // 4
    barely = wakes_after(0) | (np.arange(N_SAMPLES) >= N_SAMPLES - quarter // 10)
    made = group(wakes_after(0), wakes_after(40), wakes_after(190), barely)
    assert made.is_alive(0.1).tolist() == [True, True, False, True]
    assert made.is_alive(0.05).tolist() == [True, True, False, False]
    assert made.is_waking(0.1).tolist() == [False, True, False, False]
    two = Group("toy", 1, np.array([[wakes_after(0), wakes_after(190)]]), np.zeros(1))
    assert not two.is_alive(0.3).any()


def test_what_is_lost_and_what_is_spent_are_counted() -> None:
    made = group(wakes_after(0), wakes_after(40), wakes_after(200), wakes_after(200))
    found = outcome(made, Options(0.1, 16, 0))
    assert (found.n_alive, found.n_waking, found.n_lost) == (2, 1, 1)
    assert (found.n_silent, found.n_stopped, found.median_spent) == (2, 2, 16)
    # 8 silent samples of 16 are not enough after a warm-up of 32.
    assert outcome(made, Options(0.1, 16, 32)).n_lost == 0
    smallest = smallest_warmup(made, 0.1, 16, part=0.0)
    assert smallest is not None and smallest[0] == 32 and smallest[1].median_spent == 48
    assert smallest_warmup(group(wakes_after(140)), 0.1, 16, part=0.0) is None
    few = group(*[wakes_after(0)] * 19, wakes_after(40))
    smallest = smallest_warmup(few, 0.1, 16, part=0.05)
    assert smallest is not None and smallest[0] == 0


def test_the_warm_up_that_a_waking_network_needs_is_found() -> None:
    made = group(wakes_after(0), wakes_after(40), wakes_after(70), wakes_after(200))
    # Eight of sixteen may be missed.
    assert needed(made, 0.1, 16).tolist() == [32, 64]
    relapsed = wakes_after(10) | ((np.arange(N_SAMPLES) >= 100) & (np.arange(N_SAMPLES) < 150))
    assert needed(group(relapsed), 0.1, 16).tolist() == [np.inf]
    assert needs([made]).splitlines()[3] == "| toy | 0.1 | 3 | 2 | 32 | 64 | 64 | 64 |"
    assert (
        needs([group(relapsed)]).splitlines()[3].endswith("| 1 | 1 | none | none | none | none |")
    )


def test_losses_are_counted_among_the_alive_and_among_the_most_accurate() -> None:
    made = group(*(wakes_after(n) for n in (*range(12), 40, 70, 200)))
    assert best(made, 0.1).nonzero()[0].tolist() == list(range(10))
    lines = losses([made]).splitlines()
    # Eight silent samples after the warm-up are forgiven.
    assert lines[3] == "| toy: 14 alive | 0.1 | 5 | 2 | 2 | 1 | 0 | 0 |  |  |  |"
    row = lines[2 + len(BETAS) + 1]
    assert row.startswith("| toy: the best 10, accuracy 0.95 and more | 0.1 | 1 | 0 | 0 | 0 ")
    unlabelled = Group("toy", 1, made.is_silent, np.full(15, np.nan))
    assert not best(unlabelled, 0.1).any()
    assert len(losses([unlabelled]).splitlines()) == 2 + len(BETAS) + 2


def test_tables_have_a_row_for_each_question_and_the_figure_is_drawn(tmp_path: Path) -> None:
    found = [group(wakes_after(0), wakes_after(40), wakes_after(200))]
    lines = table(found, 0.1).splitlines()
    assert warmups(found[0]) == [0, 8, 16, 32, 64, 128]
    assert lines[2].startswith("| toy: 2 alive, 1 of them waking, 1 silent | 0 | 1; 1; 4 |")
    assert lines[5].startswith("|  | 32 | ") and len(lines) == 2 + 6 + 2
    lines = summary(found).splitlines()
    assert len(lines) == 2 + len(BETAS) + 2
    assert lines[3].count("|") == 3 + len(MINIMA)
    draw(found, tmp_path / "figure.png")
    assert (tmp_path / "figure.png").stat().st_size > 0
    assert sorted(WARMUPS) == list(WARMUPS)


def test_configurations_are_the_same_each_time_and_those_at_the_edge_are_at_the_edge() -> None:
    drawn = stdp_configurations()
    assert drawn == stdp_configurations()
    edge = drawn[-1]
    network = stdp_config_of(edge, mean_intensity=0.13).network
    drive_mv = mean_drive_mv(edge, mean_intensity=0.13)
    assert (network.e_thresh_mv - REST_MV) / drive_mv == pytest.approx(edge["threshold_per_drive"])
    # 0.13 * 128 Hz are 0.01664 spikes a ms and input; the sum of the weights is norm.
    steady = mean_drive_mv({"norm": 10.0, "e_tc_decay": 1e-3}, mean_intensity=0.13)
    assert steady == pytest.approx(10 * 0.01664 * 1e-3)


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: f"{kind.name} {kind.batch}")
def test_networks_of_each_kind_train(kind: Kind) -> None:
    n_samples = 2 * kind.batch + 1
    short = Kind(kind.name, kind.batch, n_samples, kind.layers, kind.drawn, kind.train)
    params = kind.drawn()[-1]
    course = trained(short, 0, params)
    assert course.stretches.keys() == set(kind.layers)
    assert course.is_silent().shape == (len(kind.layers), n_samples)
    assert (course.accuracy is None) == (kind.name != "SLAYER")
    assert trained(short, 0, params) == course
