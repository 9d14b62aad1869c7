"""The comparison of grades: what is compared, and what the table says of it."""

import math

import optuna
import pytest
from optuna.trial import TrialState, create_trial

from benchmarks.membrane_gap import GRADES, SEARCHES, GapRun, space_of, summary, table
from optuna_snn.monitor import SpikeMonitor
from optuna_snn.objectives.stdp.spaces import checked_space
from optuna_snn.spikes import gaps


def test_one_of_the_grades_is_the_packages_own_and_all_keep_the_sign() -> None:
    for mean_gap in (0.0, 0.25, 0.999, 1.0):
        values = {name: grade(mean_gap) for name, grade in GRADES.items() if grade is not None}
        assert values["log"] == pytest.approx(gaps.factor(mean_gap))
        assert min(values.values()) > 0


def test_the_wide_search_contains_the_demos() -> None:
    demo, wide = (checked_space(space_of(search)) for search in SEARCHES)
    assert demo.keys() == wide.keys()
    for name, distribution in demo.items():
        for bound in ("low", "high"):
            if hasattr(distribution, bound):
                assert wide[name]._contains(getattr(distribution, bound))


def test_a_summary_counts_what_is_feasible_and_what_was_silent() -> None:
    def objective(trial: optuna.Trial) -> float:
        with SpikeMonitor(trial, warmup=0) as monitor:
            monitor.update("output", [[0] * 16, [5] * 20][trial.number % 2])
            if monitor.is_silent:
                raise optuna.TrialPruned
        return {1: 0.3, 3: 0.2, 5: 0.4}[trial.number]

    study = optuna.create_study(direction="maximize")
    study.optimize(objective, n_trials=6)
    infeasible = create_trial(state=TrialState.COMPLETE, value=0.9, constraints={"silent/a": 0.1})
    study.add_trial(infeasible)
    run = summary("share", "demo", 0, study.trials)
    assert run.best == [(2, pytest.approx(0.7)), (6, pytest.approx(0.6))]
    assert (run.first_feasible, run.budget, run.samples) == (2, 7, 3 * 16 + 3 * 20)
    assert (run.silent, run.feasible) == (3 / 7, 3 / 7)


def test_the_table_says_never_where_nothing_was_feasible() -> None:
    run = GapRun("log", "wide", 0, 50, [], [0.0], 0.0, None, 1.0, 2400)
    assert table([run]).splitlines()[-1] == (
        "| wide | log | 1 | 100 (100 to 100) | inf (inf to inf) | 0 (0 to 0) | 0 (0 to 0) "
        "| 2.4 (2.4 to 2.4) |"
    )
    assert math.isinf(run.best_after(50))
