"""Replays of trials by the way they ended: what each tells of the end, and of the good ones."""

from __future__ import annotations

import io
from collections.abc import Sequence
from typing import Any, Literal

import optuna
import pytest
from optuna.trial import TrialState
from rich.console import Console

from optuna_snn import SpikeMonitor, replay
from optuna_snn.replays.figure import draw_replays
from optuna_snn.replays.table import print_replays
from optuna_snn.stored_spikes import spike_report

Stream = Sequence[int]


def study_of(
    streams: Sequence[Stream],
    batch: int,
    at_stop: Literal["prune", "return", "go on"] = "prune",
    n_shown: int | None = None,
    **options: Any,
) -> optuna.Study:
    """A trial for each stream of spikes per sample, presented in batches; later ones are better.

    n_shown: samples after which the objective returns; None: all
    """

    def objective(trial: optuna.Trial) -> float:
        i = trial.suggest_int("i", 0, len(streams) - 1)
        with SpikeMonitor(trial, **options) as monitor:
            for start in range(0, n_shown or len(streams[i]), batch):
                monitor.update("output", streams[i][start : start + batch])
                if monitor.is_stopped and at_stop == "prune":
                    raise optuna.TrialPruned(monitor.verdict)
                if monitor.is_stopped and at_stop == "return":
                    return -1.0
        return float(i)

    study = optuna.create_study(direction="maximize")
    for i in range(len(streams)):
        study.enqueue_trial({"i": i})
    study.optimize(objective, n_trials=len(streams))
    return study


def answers(study: optuna.Study, **settings: Any) -> list[tuple[bool | None, int | None]]:
    return [(t.verdict.is_stopped, t.samples_spent) for t in replay(study, **settings).trials]


DEAD, WAKES = [0] * 4000, [0] * 60 + [5] * 3940


@pytest.mark.parametrize("rule", ["sequential", "record"])
def test_large_batches_are_asked_about_when_the_monitor_was(rule: str) -> None:
    study = study_of([DEAD, WAKES], 500, rule=rule, warmup=0)
    asked = {} if rule == "sequential" else {"rule": "sequential"}
    assert answers(study, **asked) == [(True, 500), (False, 4000)]


@pytest.mark.parametrize("batch", [20, 50, 128])
def test_a_network_that_wakes_up_is_stopped_where_and_only_where_it_was(batch: int) -> None:
    streams = [[0] * n + [5] * 1500 for n in range(32, 300, 12)]
    options = {"warmup": 32, "beta": 0.1}
    judged = study_of(streams, batch, **options)
    recorded = study_of(streams, batch, rule="record", **options)
    was_stopped = [t.state == TrialState.PRUNED for t in judged.trials]
    assert 0 < sum(was_stopped) < len(streams)
    for study, asked in ((judged, {}), (recorded, {"rule": "sequential"})):
        assert [stopped for stopped, _ in answers(study, **asked)] == was_stopped


def test_a_training_that_ended_within_the_warm_up_was_not_stopped() -> None:
    study = study_of([DEAD, WAKES], 500)  # the warm-up of batches of 500 is 4,096 samples
    assert [t.state for t in study.trials] == [TrialState.COMPLETE] * 2
    assert [t.constraints["silent/output"] > 0 for t in study.trials] == [True, False]
    reports = [spike_report(t) for t in study.trials]
    assert [(r.warmup, r.is_judged_whole) for r in reports if r] == [(4096, True)] * 2
    assert answers(study) == [(False, 4000), (False, 4000)]
    assert answers(study, warmup=0) == [(True, 500), (False, 4000)]


def test_a_value_that_was_returned_at_the_stop_ends_a_training_early_as_well() -> None:
    stream = [0, 0, 5, 5] * 500
    study = study_of([stream], 16, "return", warmup=32, planned_samples=2000)
    (trial,) = replay(study).trials
    assert (trial.state, trial.samples_seen) == (TrialState.COMPLETE, 64)
    assert (trial.verdict.is_stopped, trial.samples_planned) == (True, 2000)
    assert replay(study).samples_saved == 2000 - 64
    assert answers(study, beta=0.6) == answers(study, warmup=512) == [(None, None)]


@pytest.mark.parametrize(
    ("n_shown", "planned", "is_stopped"),
    [(800, 2000, None), (1792, 2000, None), (1808, 2000, False), (2000, 2000, False),
     (2000, 1500, False), (800, None, False)],
)  # fmt: skip
def test_a_complete_training_is_one_that_saw_nearly_all_planned_samples(
    n_shown: int, planned: int | None, is_stopped: bool | None
) -> None:
    study = study_of([[5] * 2000], 16, n_shown=n_shown, warmup=32, planned_samples=planned)
    assert study.trials[0].state == TrialState.COMPLETE
    (trial,) = replay(study).trials
    assert trial.verdict.is_stopped is is_stopped
    assert trial.samples_planned == (planned if is_stopped is None else n_shown)


def test_a_network_that_went_on_past_its_stop_is_known_to_the_end() -> None:
    study = study_of([[0] * 400], 16, "go on", warmup=32, planned_samples=400)
    assert answers(study, warmup=128) == [(True, 160)]
    assert answers(study, beta=0.99, min_samples=399) == [(False, 400)]


@pytest.fixture
def unknown() -> optuna.Study:
    """The best of two dozen networks fires 25 spikes, which share a bin with 21 to 31."""
    streams = [[9] * 320] * 12 + [[60] * 320, [25] * 320]
    return study_of(streams, 16, rule="record", warmup=32)


def test_good_networks_of_which_it_is_not_known_are_counted_apart(unknown: optuna.Study) -> None:
    found = {a: replay(unknown, rule="sequential", alpha=a) for a in (5, 27, 32)}
    counts = {a: (r.n_good_lost, r.n_good_unknown, r.n_good) for a, r in found.items()}
    assert counts == {5: (0, 0, 2), 27: (0, 1, 2), 32: (1, 0, 2)}


def test_the_table_gives_a_range_of_good_networks_lost(unknown: optuna.Study) -> None:
    replays = [replay(unknown, rule="sequential", alpha=a) for a in (5, 27, 32)]
    console = Console(width=200, record=True, file=io.StringIO())
    print_replays(console, replays, "value")
    rows = {line.split()[0]: line for line in console.export_text().splitlines()[2:5]}
    assert "  0 of 2  " in rows["5"]
    assert "  0 to 1 of 2  " in rows["27"]
    assert "  1 of 2  " in rows["32"]


def test_the_figure_has_a_band_of_good_networks_that_may_be_lost(unknown: optuna.Study) -> None:
    replays = [replay(unknown, rule="sequential", alpha=27, beta=b) for b in (0.1, 0.3)]
    lost = draw_replays(replays).axes[2]
    assert "band: unknown" in lost.get_ylabel()
    (path,) = lost.collections[0].get_paths()
    assert (path.vertices[:, 1].min(), path.vertices[:, 1].max()) == (0, 1)


@pytest.mark.parametrize(
    "wrong", [{"beta": 7.0}, {"rule": "loud"}, {"delta": 5.0}, {"min_samples": 0}]
)
def test_a_wrong_rule_is_refused_also_where_there_is_no_trial_to_ask(
    wrong: dict[str, Any],
) -> None:
    with pytest.raises(ValueError, match=next(iter(wrong))):
        replay(optuna.create_study(), **wrong)
