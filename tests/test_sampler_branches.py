"""Conditional parameters: each is chosen by the trials that have it."""

import logging
import pickle
from typing import Any

import numpy as np
import optuna
import pytest
from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution
from optuna.trial import Trial, TrialState

from optuna_snn import SCBOSampler, branches
from optuna_snn.history import Plan, Plans, read_tag
from optuna_snn.history.attributes import HYPER_KEY, read_hyper
from optuna_snn.scbo import fitting
from optuna_snn.scbo.fitting import fit
from optuna_snn.scbo.options import Options
from optuna_snn.scbo.suggest import suggest
from tests.helpers import finished_trial, optimised, params_of

UNIT = FloatDistribution(0, 1)
KIND = CategoricalDistribution(["a", "b"])
SPACE_A = {"kind": KIND, "a0": UNIT, "a1": UNIT, "x": UNIT}


def objective(trial: Trial) -> float:
    """Two branches of two parameters, with their best at 0.2 and at 0.8; and one of all."""
    kind = trial.suggest_categorical("kind", ["a", "b"])
    best = 0.2 if kind == "a" else 0.8
    own = [trial.suggest_float(f"{kind}{k}", 0, 1) for k in range(2)]
    return sum((v - best) ** 2 for v in own) + 0.1 * (trial.suggest_float("x", 0, 1) - best) ** 2


def study_of_a(
    n_trials: int, n_other: int = 3, state: TrialState = TrialState.COMPLETE, **options: Any
) -> optuna.Study:
    """Finished trials of branch a at random points, and some of branch b."""
    options = {"seed": 0, "n_startup_trials": 2, "warn_independent_sampling": False, **options}
    study = optuna.create_study(sampler=SCBOSampler(**options))
    rng = np.random.default_rng(0)
    for _ in range(n_trials):
        params = {"kind": "a", **{n: rng.random() for n in ("a0", "a1", "x")}}
        value = None if state == TrialState.FAIL else params["a0"] + params["a1"]
        trial = finished_trial(params, value, state=state, distributions=SPACE_A)
        study.add_trial(trial)
    for _ in range(n_other):
        other = {"kind": "b", "x": rng.random()}
        study.add_trial(finished_trial(other, 3.0, distributions={"kind": KIND, "x": UNIT}))
    return study


def ask_a(study: optuna.Study) -> Trial:
    """A trial of branch a that has its kind and nothing else."""
    study.enqueue_trial({"kind": "a"})
    trial = study.ask()
    trial.suggest_categorical("kind", ["a", "b"])
    return trial


@pytest.fixture
def steps(monkeypatch: pytest.MonkeyPatch) -> list[branches.Branch]:
    """The branches that were asked for a step, and had trials enough."""
    taken: list[branches.Branch] = []
    choose = branches.choose

    def recorded(branch: branches.Branch, *rest: Any) -> Any:
        params = choose(branch, *rest)
        if params is not None:
            taken.append(branch)
        return params

    monkeypatch.setattr(branches, "choose", recorded)
    return taken


@pytest.mark.slow
def test_a_branch_is_learnt() -> None:
    def late_median(group: bool) -> float:
        study = optimised(objective, 40, group=group, warn_independent_sampling=False)
        return float(np.median([t.value for t in study.trials[25:]]))

    # Uniform draws of two parameters lie at a mean squared distance of 2 (1/12 + 0.09) = 0.35.
    assert late_median(group=False) > 0.2
    assert late_median(group=True) < 0.05


def test_one_step_gives_all_parameters_of_a_branch(steps: list[branches.Branch]) -> None:
    trial = ask_a(study_of_a(8))
    values = [trial.suggest_float(name, 0, 1) for name in ("a0", "a1")]
    assert len(steps) == 1 and set(steps[0].held) == {"kind", "x"}
    assert all(0 <= v <= 1 for v in values) and values[0] != values[1]


def test_what_is_chosen_but_not_asked_for_yet_is_held(steps: list[branches.Branch]) -> None:
    trial = ask_a(study_of_a(8))
    trial.suggest_float("a0", 0, 1)
    assert steps[0].held == {"kind": "a", "x": trial.suggest_float("x", 0, 1)}


@pytest.mark.parametrize("n_trials", [0, 4, 5])
@pytest.mark.parametrize("state", [TrialState.COMPLETE, TrialState.FAIL])
def test_a_branch_with_too_few_finished_trials_is_drawn_uniformly(
    n_trials: int, state: TrialState, steps: list[branches.Branch]
) -> None:
    drawn = []
    for group in (True, False):
        trial = ask_a(study_of_a(n_trials, state=state, group=group))
        drawn.append([trial.suggest_float(name, 0, 1) for name in ("a0", "a1")])
    is_enough = n_trials == 5 and state == TrialState.COMPLETE  # four dimensions and one
    assert (drawn[0] != drawn[1]) == is_enough == bool(steps)


def test_pruned_trials_count_for_a_branch(steps: list[branches.Branch]) -> None:
    study = study_of_a(0)
    for k in range(6):
        params = {"kind": "a", "a0": k / 6, "a1": 0.5, "x": 0.5}
        constraints = {"c": k - 2.5}
        study.add_trial(
            finished_trial(
                params,
                state=TrialState.PRUNED,
                constraints=constraints,
                distributions=SPACE_A,
            )
        )
    ask_a(study).suggest_float("a0", 0, 1)
    assert len(steps) == 1


def test_a_lost_cache_costs_a_step_and_nothing_else(steps: list[branches.Branch]) -> None:
    study = study_of_a(8)
    trial = ask_a(study)
    first = trial.suggest_float("a0", 0, 1)
    study.sampler = pickle.loads(pickle.dumps(study.sampler))
    second = trial.suggest_float("a1", 0, 1)
    assert 0 <= second <= 1 and len(steps) == 2
    assert steps[1].held == {"kind": "a", "a0": first}
    study.tell(trial, 0.0)
    assert study.trials[-1].params == {"kind": "a", "a0": first, "a1": second}


def nested(trial: Trial) -> float:
    kind = trial.suggest_categorical("kind", ["a", "b"])
    if kind == "b":
        return 0.5 + trial.suggest_float("b", 0, 1)
    depth = trial.suggest_int("depth", 1, 3)
    widths = [trial.suggest_int(f"width{k}", 1, 64, log=True) for k in range(depth)]
    return abs(sum(widths) - 40) / 40 + 0.2 * (3 - depth)


@pytest.mark.slow
def test_a_step_in_a_branch_knows_how_many_trials_run(monkeypatch: pytest.MonkeyPatch) -> None:
    n_workers = []

    def recorded(*arguments: Any, **options: Any) -> Any:
        if "held" in options:  # not the step of the parameters that all share
            n_workers.append(arguments[2].n_workers)
        return suggest(*arguments, **options)

    monkeypatch.setattr("optuna_snn.scbo.suggest.suggest", recorded)
    study = study_of_a(n_trials=10)
    for _ in range(2):
        ask_a(study).suggest_float("a0", 0, 1)
    assert n_workers == [1, 2]


@pytest.mark.slow
def test_a_conditional_parameter_may_depend_on_another(steps: list[branches.Branch]) -> None:
    options = {"warn_independent_sampling": False}
    studies = [optimised(nested, 35, seed=seed, **options) for seed in range(5)]
    for study in studies:
        assert all(1 <= p.get("width2", 1) <= 64 for p in params_of(study))
    assert np.median([study.best_value for study in studies]) < 0.1
    # What was never tried together is chosen as before, by a step that holds what the trial has.
    inner = [s for s in steps if "width1" in s.distributions and "width1" not in s.held]
    assert all({"kind", "depth", "width0"} <= s.held.keys() for s in inner)


def joint_study(n_trials: int = 16, **options: Any) -> optuna.Study:
    """Finished trials of both branches, chosen by the sampler."""
    options = {"seed": 0, "n_startup_trials": 4, "warn_independent_sampling": False, **options}
    study = optuna.create_study(sampler=SCBOSampler(**options))
    study.optimize(objective, n_trials=n_trials)
    return study


@pytest.mark.slow
def test_branches_and_their_parameters_are_chosen_together(steps: list[branches.Branch]) -> None:
    study = joint_study(30)
    assert not steps  # none was chosen in turn, once both branches were known
    assert study.best_value < 0.01
    for params in params_of(study):
        assert set(params) == {"kind", "x", f"{params['kind']}0", f"{params['kind']}1"}


@pytest.mark.slow
def test_a_worker_that_knows_nothing_goes_on_from_what_is_stored() -> None:
    whole, study = joint_study(20), joint_study(10)
    for _ in range(10):
        study.sampler = SCBOSampler(seed=0, n_startup_trials=4, warn_independent_sampling=False)
        study.optimize(objective, n_trials=1)
    assert params_of(study) == params_of(whole)


def test_hyperparameters_of_all_branches_are_stored_and_used_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    is_cold = []

    def recorded(data: Any, start: Any, *rest: Any) -> Any:
        is_cold.append(start is None)
        return fit(data, start, *rest)

    monkeypatch.setattr(fitting, "fit", recorded)
    # A turn to another branch fits a model of its own.
    study = joint_study(20, options=Options(promising_choice_share=0.0))
    theta = [read_hyper(t)["theta"] for t in study.trials if HYPER_KEY in t.system_attrs]
    assert np.shape(theta[-1]) == (1, 6 + 2)  # kind, x and two of each branch
    assert not any(is_cold[-8:])


def test_a_trial_that_goes_another_way_than_was_chosen_is_completed() -> None:
    """The branch depends on nothing that the sampler sees."""

    def hidden(trial: Trial) -> float:
        kind = "ab"[trial.number % 2]
        own = trial.suggest_float(kind, 0, 1)
        return (own - 0.5) ** 2 + 0.1 * trial.suggest_float("x", 0, 1)

    study = optimised(hidden, 24, warn_independent_sampling=False)
    assert [set(p) for p in params_of(study)] == [{"x", "ab"[k % 2]} for k in range(24)]
    assert study.best_value < 0.05


@pytest.mark.slow
def test_one_name_may_have_a_range_in_each_branch() -> None:
    def scaled(trial: Trial) -> float:
        high = {"a": 1.0, "b": 9.0, "c": 4.0}[trial.suggest_categorical("kind", ["a", "b", "c"])]
        v = trial.suggest_float("v", 0, high)
        return (v - 0.7 * high) ** 2 / high**2 + 0.1 * trial.suggest_float("x", 0, 1)

    study = optimised(scaled, 30, warn_independent_sampling=False)
    highs = {"a": 1.0, "b": 9.0, "c": 4.0}
    assert all(0 <= p["v"] <= highs[p["kind"]] for p in params_of(study))
    assert study.best_value < 0.05


@pytest.mark.parametrize(
    "options", [{"group": False}, {"independent_sampler": optuna.samplers.RandomSampler(seed=0)}]
)
def test_independent_draws_do_not_exhaust_what_all_share(
    options: dict[str, Any], caplog: pytest.LogCaptureFixture
) -> None:
    """Two branches that share nothing but the choice between them."""

    def apart(trial: Trial) -> float:
        return trial.suggest_float(trial.suggest_categorical("kind", ["a", "b"]) + "0", 0, 1)

    with caplog.at_level(logging.WARNING, "optuna_snn"):
        optimised(apart, 10, n_startup_trials=4, warn_independent_sampling=False, **options)
    assert not caplog.records


@pytest.mark.slow
def test_all_combinations_of_discrete_branches_are_tried_before_it_is_said(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """Three switches, each of which brings two points or one: 27 points."""

    def switches(trial: Trial) -> float:
        total = 0
        for k in range(3):
            if trial.suggest_categorical(f"s{k}", ["a", "b"]) == "a":
                total += trial.suggest_int(f"n{k}", 0, 1)
        return float(total)

    options = {"n_startup_trials": 6, "warn_independent_sampling": False}
    with caplog.at_level(logging.WARNING, "optuna_snn"):
        study = optimised(switches, 34, **options)
    points = [tuple(sorted(p.items())) for p in params_of(study)]
    assert len(set(points)) == 27
    said = [r for r in caplog.records if "tried" in r.getMessage()]
    assert len(said) == 1


def test_once_all_is_tried_an_ask_chooses_once(monkeypatch: pytest.MonkeyPatch) -> None:
    def discrete(trial: Trial) -> float:
        kind = trial.suggest_categorical("kind", ["a", "b"])
        return float(trial.suggest_int(f"{kind}0", 0, 1))

    study = optimised(discrete, 9, n_startup_trials=2, warn_independent_sampling=False)
    choose, n_choices = SCBOSampler._choose, []

    def counted(*asked: Any) -> Any:
        n_choices.append(1)
        return choose(*asked)

    monkeypatch.setattr(SCBOSampler, "_choose", counted)
    study.optimize(discrete, n_trials=3)
    assert len(n_choices) == 3


@pytest.mark.slow
def test_a_parameter_that_came_later_is_chosen_as_in_a_branch(
    steps: list[branches.Branch],
) -> None:
    def growing(trial: Trial) -> float:
        value = (trial.suggest_float("x", 0, 1) - 0.3) ** 2
        if trial.number < 12:
            return value + 0.5
        return value + (trial.suggest_float("z", 0, 1) - 0.9) ** 2

    study = optimised(growing, 40, warn_independent_sampling=False)
    assert len(steps) > 15 and all(set(s.held) == {"x"} for s in steps)
    assert study.best_value < 0.01


def test_a_discrete_space_is_not_exhausted_where_a_range_differs_from_trial_to_trial(
    caplog: pytest.LogCaptureFixture,
) -> None:
    def moving(trial: Trial) -> float:
        kind = trial.suggest_categorical("kind", ["a", "b"])
        return trial.suggest_float("v", 0, 1 + trial.number) + (kind == "b")

    with caplog.at_level(logging.WARNING, "optuna_snn"):
        study = optimised(moving, 10, n_startup_trials=4, warn_independent_sampling=False)
    assert {p["kind"] for p in params_of(study)} == {"a", "b"}
    assert not caplog.records


@pytest.mark.parametrize("n_jobs", [1, 3])
def test_points_of_discrete_branches_are_tried_once_each(
    n_jobs: int, caplog: pytest.LogCaptureFixture
) -> None:
    """Three points of a, four of b; once they are tried, and not before, it is said so."""

    def discrete(trial: Trial) -> float:
        kind = trial.suggest_categorical("kind", ["a", "b"])
        return float(trial.suggest_int(f"{kind}0", 1, 3 + (kind == "b")))

    sampler = SCBOSampler(seed=0, n_startup_trials=2, warn_independent_sampling=False)
    study = optuna.create_study(sampler=sampler)
    with caplog.at_level(logging.WARNING, "optuna_snn"):
        study.optimize(discrete, n_trials=6, n_jobs=n_jobs)
    points = {tuple(sorted(p.items())) for p in params_of(study)}
    assert not [r for r in caplog.records if "tried" in r.getMessage()]
    # The first of each branch are drawn before it is known.
    assert len(points) >= (5 if n_jobs == 1 else 4)
    with caplog.at_level(logging.WARNING, "optuna_snn"):
        study.optimize(discrete, n_trials=6)
    assert len({tuple(sorted(p.items())) for p in params_of(study)}) == 7
    said = [r.getMessage() for r in caplog.records if "tried" in r.getMessage()]
    assert len(said) == 1 and said[0].startswith("All points of the search space")


def test_a_range_that_changed_is_learnt_anew(steps: list[branches.Branch]) -> None:
    study = study_of_a(8)
    trial = ask_a(study)
    assert trial.suggest_float("a0", 2, 3) >= 2 and not steps
    assert 0 <= trial.suggest_float("a1", 0, 1) <= 1
    assert set(steps[0].distributions) == {"kind", "x", "a1"}


def test_a_value_that_was_planned_for_another_range_is_not_given() -> None:
    study = study_of_a(8)
    trial = ask_a(study)
    trial.suggest_float("a0", 0, 1)
    assert 5 <= trial.suggest_float("a1", 5, 6) <= 6


def test_trials_without_a_common_parameter_are_learnt_from(steps: list[branches.Branch]) -> None:
    def apart(trial: Trial) -> float:
        names = "pq" if trial.number % 2 else "rs"
        return sum(trial.suggest_float(n, 0, 1) ** 2 for n in names)

    study = optimised(apart, 14, warn_independent_sampling=False)
    assert steps and {frozenset(s.distributions) for s in steps} == {
        frozenset("pq"),
        frozenset("rs"),
    }
    assert [t for t in map(read_tag, study.trials[2:]) if t] == []


def test_the_tag_is_that_of_the_parameters_that_all_share() -> None:
    study = study_of_a(8)
    trial = study.ask()
    trial.suggest_float(f"{trial.suggest_categorical('kind', ['a', 'b'])}0", 0, 1)
    tag = read_tag(study.trials[-1])
    assert tag is not None and tag.tag.n_dims == 2


def test_threads_choose_in_branches_at_once() -> None:
    study = optuna.create_study(
        sampler=SCBOSampler(seed=0, n_startup_trials=3, warn_independent_sampling=False)
    )
    study.optimize(objective, n_trials=18, n_jobs=3)
    assert {t.state for t in study.trials} == {TrialState.COMPLETE}
    assert all(set(p) == {"kind", "x", f"{p['kind']}0", f"{p['kind']}1"} for p in params_of(study))


def test_only_what_no_model_will_see_is_said_to_be_drawn_independently(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """Conditional parameters are seen in time; one whose range is another each time is not."""

    def moving(trial: Trial) -> float:
        v = trial.suggest_float("moving", 0, 1 + trial.number)
        return v + objective(trial)

    with caplog.at_level(logging.WARNING, "optuna_snn"):
        optimised(moving, 16)
    said = [r.getMessage() for r in caplog.records if "sampled independently" in r.getMessage()]
    assert len(said) == 1 and "'moving' in trial 12 " in said[0]


@pytest.mark.parametrize(
    "other", [{"group": False}, {"independent_sampler": optuna.samplers.RandomSampler(seed=0)}]
)
def test_branches_can_be_left_to_independent_draws(
    other: dict[str, Any], steps: list[branches.Branch]
) -> None:
    ask_a(study_of_a(8, **other)).suggest_float("a0", 0, 1)
    assert not steps


def test_parameters_that_the_trial_has_otherwise_are_left_out_of_its_branch() -> None:
    n = IntDistribution(0, 3)
    plan = Plan(
        {"kind": KIND, "x": UNIT, "n": IntDistribution(0, 5)}, {"kind": "a", "x": 0.5, "n": 4}
    )
    shared = {"kind": KIND, "x": UNIT, "n": n, "one": IntDistribution(1, 1), "new": UNIT}
    branch = branches.branch_of("new", shared, plan)
    assert set(branch.distributions) == {"kind", "x", "new"}
    assert branch.held == {"kind": "a", "x": 0.5}


def test_plans_of_trials_are_apart_and_the_oldest_are_forgotten() -> None:
    study = optuna.create_study()
    trials = [study.ask()._cached_frozen_trial for _ in range(3)]
    plans = Plans(n_most=2)
    for trial in trials:
        plans.put(study, trial, Plan({"x": UNIT}, {"x": trial.number / 10}))
    assert [plans.get(study, t).values.get("x") for t in trials] == [None, 0.1, 0.2]
    plans.drop(study, trials[1])
    assert [plans.get(study, t).values.get("x") for t in trials] == [None, None, 0.2]


@pytest.mark.parametrize(("kind", "best"), [("a", 0.2), ("b", 0.8)])
def test_a_parameter_of_several_choices_goes_where_the_held_choice_has_its_best(
    kind: str, best: float
) -> None:
    kinds = CategoricalDistribution(["a", "b", "c"])
    study = optuna.create_study(sampler=SCBOSampler(seed=0, n_startup_trials=2))
    rng = np.random.default_rng(0)
    for k in range(30):
        params = {"kind": "ab"[k % 2], "v": rng.random()}
        value = (params["v"] - (0.8 if k % 2 else 0.2)) ** 2 + 0.3 * (k % 2)
        space = {"kind": kinds, "v": UNIT}
        study.add_trial(finished_trial(params, value, distributions=space))
    study.add_trial(finished_trial({"kind": "c"}, 2.0, distributions={"kind": kinds}))
    study.enqueue_trial({"kind": kind})
    trial = study.ask()
    trial.suggest_categorical("kind", kinds.choices)
    assert trial.suggest_float("v", 0, 1) == pytest.approx(best, abs=0.08)
