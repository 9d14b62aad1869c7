"""What to try next is said where data show it, with their numbers, and not otherwise."""

from __future__ import annotations

from typing import Any

import numpy as np
import optuna
import pytest
from optuna.distributions import BaseDistribution, FloatDistribution, IntDistribution
from optuna.trial import FrozenTrial, TrialState

from optuna_snn import SpikeMonitor
from optuna_snn.reports.contents import Finding
from optuna_snn.reports.findings import findings
from optuna_snn.reports.silence import strongest_trend
from optuna_snn.search_trace import trace_of
from optuna_snn.visualization.reading import read_study
from optuna_snn.workers.failures import FAIL_REASON
from tests.helpers import stored_tag, tag
from tests.visualization.studies import complete, other, study_of


def found(study: optuna.Study, ages: dict[int, float] | None = None) -> list[Finding]:
    reading = read_study(study)
    return findings(reading, trace_of(reading.trials), ages or {})


def silent_study(share_of: Any, n_trials: int = 24, n_silent_trials: int = 24) -> optuna.Study:
    """Trials of which the silent share follows from the threshold; the first ones are pruned."""
    study = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=1))

    def objective(trial: optuna.Trial) -> float:
        threshold = trial.suggest_float("threshold", 2.0, 6.0)
        trial.suggest_float("tau_ms", 5.0, 50.0)
        trial.suggest_categorical("decoder", ["a", "b"])
        n_silent = round(100 * share_of(trial.number, threshold))
        with SpikeMonitor(trial, beta=0.1, warmup=0) as monitor:
            monitor.update("output", [0] * n_silent + [5] * (100 - n_silent))
        if trial.number < n_silent_trials:
            raise optuna.TrialPruned
        return 1.0

    study.optimize(objective, n_trials=n_trials)
    return study


def test_a_silent_study_is_sent_to_where_its_silent_share_falls() -> None:
    study = silent_study(lambda _, threshold: 0.4 + 0.1 * threshold)
    (finding,) = found(study)
    assert finding.evidence.startswith(
        "All 24 networks so far were silent; the silent share falls with lower threshold "
        "(Spearman +1.00 over 24 trials): median "
    )
    assert finding.step == "Widen the range of threshold downwards; it ends at 2."
    low = [t for t in study.trials if t.params["threshold"] <= 2.9]
    assert low and "where it is at most 2." in finding.evidence


def test_the_way_may_be_upwards() -> None:
    (finding,) = found(silent_study(lambda _, threshold: 1.0 - 0.1 * threshold))
    assert "falls with higher threshold (Spearman -1.00 over 24 trials)" in finding.evidence
    assert finding.step == "Widen the range of threshold upwards; it ends at 6."


def test_silence_that_goes_with_nothing_sends_nowhere() -> None:
    rng = np.random.default_rng(0)
    assert found(silent_study(lambda *_: rng.uniform(0.5, 1.0))) == []


def test_stone_dead_networks_are_told_to_say_nothing() -> None:
    (finding,) = found(silent_study(lambda *_: 1.0))
    assert finding.evidence.startswith("All 24 networks so far were silent, and in each of them")
    assert "does not tell which way" in finding.step


def test_a_few_trials_are_no_evidence() -> None:
    assert found(silent_study(lambda _, threshold: 0.4 + 0.1 * threshold, n_trials=9)) == []


def test_a_study_that_finds_feasible_networks_is_left_to_the_search() -> None:
    """The last 20 trials hold 4 silent ones, and the first ones no longer matter."""

    def share(number: int, threshold: float) -> float:
        return 0.0 if number >= 24 else 0.4 + 0.1 * threshold

    assert found(silent_study(share, n_trials=40)) == []
    assert len(found(silent_study(share, n_trials=25))) == 1


def test_chance_alone_shows_a_trend_in_one_study_of_a_hundred_at_most() -> None:
    """The limit is p = 0.01 over all parameters; 300 studies, of which 3 +- 1.7 may pass."""
    rng = np.random.default_rng(5)
    spaces: dict[str, BaseDistribution] = {f"p{i}": FloatDistribution(0, 1) for i in range(5)}
    n_found = 0
    for _ in range(300):
        trials = [
            optuna.create_trial(value=0.0, params={n: rng.random() for n in spaces},
                                distributions=spaces)
            for _ in range(30)
        ]  # fmt: skip
        n_found += strongest_trend(trials, rng.random(30)) is not None
    assert n_found <= 8  # three standard deviations above the mean


def placed(value: float, x: float, distribution: BaseDistribution) -> FrozenTrial:
    return optuna.create_trial(
        value=value, params={"x": x}, distributions={"x": distribution}, constraints={"c": -1.0}
    )


@pytest.mark.parametrize(
    ("distribution", "at_end", "elsewhere", "words"),
    [
        (FloatDistribution(0, 10), 9.8, 5.0, "upper end of its range: 9.8 to 9.8, of 0 to 10"),
        (FloatDistribution(0, 10), 0.1, 5.0, "lower end"),
        (FloatDistribution(1e-4, 1, log=True), 1.2e-4, 0.1, "lower end"),
        (IntDistribution(1, 100), 100, 50, "upper end of its range: 100 to 100, of 1 to 100"),
    ],
)
def test_best_trials_at_an_end_of_a_range_are_told(
    distribution: BaseDistribution, at_end: float, elsewhere: float, words: str
) -> None:
    good = [placed(1.0 + i, at_end, distribution) for i in range(5)]
    rest = [placed(0.0, elsewhere, distribution) for _ in range(15)]
    (finding,) = found(study_of(*good, *rest))
    assert finding.evidence.startswith("The 5 best of 20 feasible trials all have x at the ")
    assert words in finding.evidence
    assert found(study_of(*good, *rest, direction="minimize")) == []  # the others are best then
    assert found(study_of(*good, *rest[:-1])) == []  # too few to tell
    assert found(study_of(*good[:-1], *rest, placed(9.0, elsewhere, distribution))) == []


def test_a_logarithmic_range_is_judged_on_its_scale() -> None:
    """0.04 lies 4 % up a range from 1e-4 to 1, but in its upper half for the search."""
    space = FloatDistribution(1e-4, 1, log=True)
    trials = [placed(1.0 + i, 0.04, space) for i in range(20)]
    assert found(study_of(*trials)) == []


def test_few_choices_have_no_edge() -> None:
    trials = [placed(1.0 + i, 3, IntDistribution(1, 3)) for i in range(20)]
    assert found(study_of(*trials)) == []


def failed(reason: str) -> FrozenTrial:
    return optuna.create_trial(state=TrialState.FAIL, user_attrs={FAIL_REASON: reason})


def test_failures_are_told_with_their_most_frequent_reason() -> None:
    study = study_of(*[failed("out of memory: a")] * 2, failed("b"), *[complete(0.5)] * 7)
    (finding,) = found(study)
    assert finding.evidence == ("3 of 10 finished trials failed, 2 of them so: out of memory: a.")
    assert found(study_of(*[failed("b")] * 3, *[complete(0.5)] * 28)) == []
    assert found(study_of(*[failed("b")] * 2)) == []


def test_a_running_trial_without_heartbeats_is_told() -> None:
    study = study_of(complete(0.1), other(TrialState.RUNNING), other(TrialState.RUNNING))
    (finding,) = found(study, {1: 620.0, 2: 3.0})
    assert finding.evidence == "1 running trial (1) without a heartbeat for 10:20 or longer."
    assert found(study, {1: 20.0, 2: -5.0}) == []
    assert found(study_of(complete(0.1)), {0: 999.0}) == []  # it has ended since


def overrunning(n_silent_trials: int, n_trials: int) -> optuna.Study:
    study = optuna.create_study()

    def objective(trial: optuna.Trial) -> float:
        with SpikeMonitor(trial, warmup=0, planned_samples=200) as monitor:
            monitor.update("output", [0 if trial.number < n_silent_trials else 5] * 200)
        return 1.0

    study.optimize(objective, n_trials=n_trials)
    return study


def test_silent_networks_that_are_trained_on_are_told() -> None:
    (finding,) = found(overrunning(4, 9))
    assert finding.evidence.startswith("4 of 9 complete trials were trained on though")
    assert found(overrunning(2, 9)) == []


def restarted(n_after: int, best_at: int = 3) -> optuna.Study:
    def trial(number: int) -> FrozenTrial:
        epoch = 0 if number < 5 else 1
        return optuna.create_trial(
            value=1.0 if number == best_at else 0.0,
            constraints={"c": -1.0},
            system_attrs={"optuna_snn:tag": stored_tag(tag(epoch=epoch))},
        )

    return study_of(*[trial(number) for number in range(5 + n_after)])


def test_a_search_that_stands_still_after_a_restart_is_told() -> None:
    (finding,) = found(restarted(40))
    assert finding.evidence == (
        "The search restarted 1 time; the best trial, 3, dates from before the last restart, and "
        "41 finished trials since brought nothing better."
    )
    assert found(restarted(20)) == []
    assert found(restarted(40, best_at=8)) == []
