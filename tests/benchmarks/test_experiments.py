"""The searches of experiments 1 and 3: what is run and kept, and what the table makes of it."""

from __future__ import annotations

import fcntl
import os
import time
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import optuna
import pytest
from matplotlib.figure import Figure
from optuna.distributions import FloatDistribution
from optuna.study import Study
from optuna.trial import FrozenTrial

from benchmarks import experiments_search
from benchmarks.experiments import COMPARED, combinations, main, parser
from benchmarks.experiments_figure import draw, save_figure
from benchmarks.experiments_kept import (
    Combination,
    Repeats,
    Search,
    Trials,
    append,
    claimed,
    read,
)
from benchmarks.experiments_search import (
    N_TRAIN,
    N_VALIDATION,
    REDUCED,
    REDUCED_BETA,
    search,
    study_file_of,
)
from benchmarks.experiments_table import table
from optuna_snn.backends import lava_dl
from optuna_snn.backends.errors import MissingPackageError

pytest.importorskip("mlxtend")

SMOKE = Combination(1, "smoke", "as_run", "tpe", "sequential", seed=3, n_trials=6)

TRIALS = Trials(
    states=["PRUNED", "COMPLETE", "COMPLETE", "FAIL", "COMPLETE", "COMPLETE"],
    values=[None, 0.9, 0.5, None, 0.4, 0.6],
    constraints={
        "silent/a": [0.2, -0.1, -0.1, None, 0.0, -0.1],
        "silent/b": [-0.1, 0.1, -0.1, None, 0.0, -0.1],
    },
    seconds=[1.0, 2.0, 3.0, 1.0, 2.0, 1.0],
    sampler_seconds=[0.5, 0.5, 0.5, 0.5, 0.0, 0.0],
    samples=[100, 400, 400, 50, 400, 400],
    planned=[400, 400, 400, 400, 400, 400],
)
"""One stopped, one silent although it ran to its end, one failed."""


def made(
    sampler: str = "scbo",
    rule: str = "sequential",
    seed: int = 0,
    trials: Trials = TRIALS,
    test: tuple[float, ...] = (0.5, 0.7),
) -> Search:
    retrained = [Repeats(5, 0.6, {"x": 1}, list(test), {"a": 3.0}, [1.0] * len(test))]
    return Search(
        combination=Combination(1, "laptop", "released", sampler, rule, seed, trials.n),
        trials=trials,
        retrained=retrained if test else [],
        samples={"train": 400},
        versions={"optuna": "5.0.0"},
    )


def test_a_silent_or_failed_trial_is_never_the_best() -> None:
    assert TRIALS.is_silent == [True, True, False, False, False, False]
    assert TRIALS.is_feasible == [False, False, True, False, True, True]
    assert TRIALS.best_so_far == [0.0, 0.0, 0.5, 0.5, 0.5, 0.6]
    # Nor is one that failed when its spikes had been judged.
    judged = {name: [*c[:3], -0.1, *c[4:]] for name, c in TRIALS.constraints.items()}
    assert not replace(TRIALS, constraints=judged).is_feasible[3]


def test_a_trial_counts_from_the_moment_it_ends() -> None:
    assert TRIALS.elapsed_seconds == [1.5, 4.0, 7.5, 9.0, 11.0, 12.0]
    assert [TRIALS.best_within(s) for s in (7.4, 7.5, 11.9, 12.0)] == [0.0, 0.5, 0.5, 0.6]


def test_only_stopping_saves_samples_and_a_stopped_network_would_have_kept_its_pace() -> None:
    assert TRIALS.share_of_samples_saved == pytest.approx(300 / 2400)
    # 300 samples at 1 s for 100: 3 s, beside the 10 s that were spent.
    assert TRIALS.share_of_seconds_saved == pytest.approx(3 / 13)


def test_a_search_comes_back_from_the_file_as_it_was(tmp_path: Path) -> None:
    kept = [made(seed=0), made(sampler="random", seed=1, test=())]
    assert read(tmp_path / "kept.jsonl") == []
    for each in kept:
        append(tmp_path / "new" / "kept.jsonl", each)
    assert read(tmp_path / "new" / "kept.jsonl") == kept


def test_a_search_runs_is_repeated_by_its_seed_and_is_kept_whole(tmp_path: Path) -> None:
    found = search(SMOKE, repeats=2)
    again = search(SMOKE, repeats=2)
    other = search(replace(SMOKE, seed=4), repeats=2)
    for name in ("states", "values", "constraints", "samples", "planned"):
        assert getattr(found.trials, name) == getattr(again.trials, name)
    assert [r.test_accuracies for r in found.retrained] == [
        r.test_accuracies for r in again.retrained
    ]
    assert found.trials.constraints != other.trials.constraints
    assert found.samples == {"train": 96, "validation": 50, "test": 50}
    assert found.trials.n == SMOKE.n_trials
    assert {len(column) for column in found.trials.constraints.values()} == {SMOKE.n_trials}
    assert all(seconds > 0 for seconds in found.trials.seconds)
    assert all(earlier < later for earlier, later in pairwise(found.trials.elapsed_seconds))
    best = found.trials.best_so_far[-1]
    assert best > 0 and found.retrained[0].validation == best
    assert len(found.retrained[0].test_accuracies) == 2
    append(tmp_path / "kept.jsonl", found)
    assert read(tmp_path / "kept.jsonl") == [found]


def test_a_search_ends_after_its_time_limit() -> None:
    found = search(SMOKE, time_limit_s=0.0, repeats=1)
    assert found.trials.n == 1 and found.time_limit_s == 0.0


class SlowSampler(optuna.samplers.RandomSampler):
    """Takes 5 seconds, by the clock it is given, to choose a point."""

    def __init__(self, clock: list[float]) -> None:
        super().__init__(seed=0)
        self.clock = clock

    def infer_relative_search_space(self, study: Study, trial: FrozenTrial) -> dict[str, Any]:
        return {"x": FloatDistribution(0.0, 1.0)}

    def sample_relative(self, study: Study, trial: FrozenTrial, space: object) -> dict[str, Any]:
        self.clock[0] += 5.0
        return {"x": 0.5}


def test_choosing_a_point_is_time_of_the_sampler_and_a_pruned_trial_has_no_value(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    clock = [0.0]
    monkeypatch.setattr(time, "process_time", lambda: clock[0])

    def objective(trial: optuna.Trial) -> float:
        trial.report(trial.suggest_float("x", 0.0, 1.0), 1)
        clock[0] += 2.0
        if trial.number == 1:
            raise optuna.TrialPruned
        return 0.7

    study = optuna.create_study(direction="maximize", sampler=SlowSampler(clock))
    watch = experiments_search._Stopwatch(objective, time_limit_s=14.0)
    study.optimize(watch.objective, n_trials=9, callbacks=[watch.after_trial])
    found = experiments_search._trials(study.trials, watch)
    assert found.states == ["COMPLETE", "PRUNED"]  # and then the limit was reached
    assert found.values == [0.7, None]
    assert found.seconds == [2.0, 2.0]
    assert found.sampler_seconds == [5.0, 5.0]


def test_the_command_runs_what_is_missing_and_nothing_twice(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    results = tmp_path / "kept.jsonl"
    words = ["--experiment", "1", "--scale", "smoke", "--samplers", "random", "--n-trials", "2"]
    words += ["--repeats", "1", "--results", str(results), "--figures", str(tmp_path)]
    main([*words, "--seeds", "0"])
    first = results.read_text()
    main([*words, "--seeds", "0", "1"])
    assert results.read_text().startswith(first)
    assert [each.combination.seed for each in read(results)] == [0, 1]
    assert (tmp_path / "experiment_1.png").stat().st_size > 10_000
    assert "| smoke | 2 | random | sequential | 2 |" in capsys.readouterr().out


def test_a_combination_that_another_process_runs_is_left_to_it(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    results = tmp_path / "kept.jsonl"
    combination = Combination(1, "smoke", "released", "random", "sequential", 0, 2)
    # Locks of two open files keep each other out within a process as they do between two.
    with claimed(results, combination) as is_ours, claimed(results, combination) as is_too:
        assert is_ours and not is_too
        words = ["--experiment", "1", "--scale", "smoke", "--samplers", "random"]
        words += ["--n-trials", "2", "--seeds", "0", "--results", str(results)]
        main([*words, "--figures", str(tmp_path)])
    assert "another process is at it" in capsys.readouterr().out
    assert read(results) == []
    with claimed(results, combination) as is_ours:
        assert is_ours


def test_a_line_is_written_under_a_lock(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    taken: list[int] = []
    monkeypatch.setattr(fcntl, "flock", lambda file, kind: taken.append(kind))
    append(tmp_path / "kept.jsonl", made())
    read(tmp_path / "kept.jsonl")
    assert taken == [fcntl.LOCK_EX, fcntl.LOCK_SH]


def test_the_command_compares_samplers_and_for_scbo_the_rules() -> None:
    default = combinations(parser().parse_args(["--experiment", "3"]))
    assert {(c.sampler, c.rule) for c in default} == set(COMPARED) and len(default) == 15
    assert {c.scale for c in default} == {"reduced"} and {c.seed for c in default} == {0, 1, 2}
    asked = parser().parse_args(
        ["--experiment", "1", "--rules", "paper", "record", "--seeds", "7", "--space", "as_run"]
    )
    assert [(c.sampler, c.rule, c.seed, c.space, c.scale) for c in combinations(asked)] == [
        ("scbo", "paper", 7, "as_run", "laptop"),
        ("scbo", "record", 7, "as_run", "laptop"),
    ]


@pytest.mark.parametrize("rule", ["sequential", "paper", "record"])
def test_the_reduced_experiment_differs_from_the_study_in_size_and_tolerance_alone(
    rule: str,
) -> None:
    try:
        lava_dl.load()
    except MissingPackageError as error:
        pytest.skip(str(error))
    whole = study_file_of(Combination(3, "laptop", "released", "scbo", rule, 1, 2)).objective
    reduced = study_file_of(Combination(3, "reduced", "released", "scbo", rule, 1, 2)).objective
    assert len(reduced.split.train) == N_TRAIN and len(reduced.split.validation) == N_VALIDATION
    assert len(reduced.split.test) == len(whole.split.test)
    assert reduced.setup == whole.setup
    assert reduced._seed == whole._seed == 1
    for name, value in whole._watch.keywords.items():
        assert name in ("epoch_size", "beta") or reduced._watch.keywords[name] == value
    assert reduced._watch.keywords["beta"] == REDUCED_BETA
    assert reduced._space == {**whole._space, **REDUCED}
    assert all(
        whole._space[name].low <= each.low and each.high <= whole._space[name].high
        for name, each in REDUCED.items()
    )


def test_the_study_file_leaves_the_environment_as_it_was(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPTUNA_SNN_SCALE", "paper")
    monkeypatch.delenv("OPTUNA_SNN_RULE", raising=False)
    assert study_file_of(SMOKE).name == "experiment_1_stdp_mnist-smoke-as_run-tpe-seed3"
    assert os.environ["OPTUNA_SNN_SCALE"] == "paper" and "OPTUNA_SNN_RULE" not in os.environ


def test_there_is_no_reduced_experiment_1() -> None:
    with pytest.raises(ValueError, match=r"Experiment 1 has no scale reduced; take laptop\."):
        study_file_of(replace(SMOKE, scale="reduced"))


def test_the_table_gives_medians_and_quartiles_over_seeds() -> None:
    better = replace(TRIALS, values=[None, 0.9, 0.5, None, 0.4, 0.8])
    slower = replace(
        TRIALS,
        seconds=[1.0, 2.0, 3.0, 1.0, 2.0, 9.0],
        constraints={**TRIALS.constraints, "silent/b": [-0.1, 0.1, -0.1, 0.5, 0.0, -0.1]},
    )
    shown = table(
        [
            made("random", seed=0, trials=slower, test=()),
            made(seed=2, trials=better, test=(0.9, 0.9)),
            made(seed=1),
            made(seed=0),
        ],
        1,
    )
    head, _, *rows = [
        [cell.strip() for cell in line.strip("|").split("|")] for line in shown.splitlines()
    ]
    assert len(rows) == 2 and all(len(row) == len(head) for row in rows)
    scbo, random = (dict(zip(head, row, strict=True)) for row in rows)
    assert scbo["sampler"] == "scbo" and scbo["seeds"] == "3" and random["sampler"] == "random"
    assert scbo["best validation accuracy, %"] == "60.0 [60.0, 80.0]"
    assert scbo["test accuracy when trained again, %"] == "60.0 [60.0, 90.0]"
    assert scbo["± over trainings"] == "9.4"  # sqrt(0.02) twice and 0, their mean
    assert scbo["silent, %"] == "33.3 [33.3, 33.3]"
    assert scbo["silent, last third, %"] == random["silent, last third, %"] == "0.0 [0.0, 0.0]"
    assert random["silent, %"] == "50.0 [50.0, 50.0]"
    assert scbo["training samples saved, %"] == "12.5 [12.5, 12.5]"
    assert scbo["seconds saved, %"] == "23.1 [23.1, 23.1]"
    assert scbo["seconds"] == "12 [12, 12]" and random["seconds"] == "20 [20, 20]"
    assert scbo["in the sampler, %"] == "16.7 [16.7, 16.7]"
    # Within the 12 s of the shortest search random has not ended its last trial.
    assert scbo["at equal time, %"] == "60.0 [60.0, 80.0]"
    assert random["at equal time, %"] == "50.0 [50.0, 50.0]"
    assert random["best validation accuracy, %"] == "60.0 [60.0, 60.0]"
    assert random["test accuracy when trained again, %"] == "0.0 [0.0, 0.0]"


def test_the_table_tells_settings_apart_and_says_which_searches_were_cut() -> None:
    other = made(seed=1)
    cut = replace(made(), combination=replace(made().combination, n_trials=99))
    as_run = replace(other, combination=replace(other.combination, space="as_run"))
    rows = table([cut, as_run], 1).splitlines()[2:]
    assert len(rows) == 2
    assert rows[0].startswith("| laptop, as_run | 6 | scbo |")
    assert rows[1].startswith("| laptop | 6 to 6 of 99 | scbo |")
    assert table([cut], 3).count("\n") == 1


def lines(figure: Figure) -> list[dict[str, list[list[float]]]]:
    return [
        {str(line.get_label()): [list(line.get_xdata()), list(line.get_ydata())]}  # type: ignore[arg-type]
        for ax in figure.axes
        for line in ax.get_lines()
    ]


def test_the_figure_shows_the_best_by_evaluations_and_by_seconds_and_the_silence() -> None:
    by_evaluations, by_seconds, silence = lines(draw([[made(seed=0), made(seed=1)]]))
    x, y = by_evaluations["scbo, sequential"]
    assert (x, y) == ([1, 2, 3, 4, 5, 6], TRIALS.best_so_far)
    seconds, best = by_seconds["scbo, sequential"]
    assert seconds[0] == 0 and seconds[-1] == 12 and best[-1] == 0.6
    assert best == [TRIALS.best_within(s) for s in seconds]
    assert silence["scbo, sequential"] == [[6.0], [pytest.approx(2 / 6)]]


def test_there_is_no_figure_of_nothing(tmp_path: Path) -> None:
    assert save_figure([made()], 3, tmp_path) is None
