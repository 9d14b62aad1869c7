"""The define-by-run problem is what its docstring says."""

import numpy as np
import optuna
import pytest

from benchmarks.conditional import (
    BRANCHES,
    DECODERS,
    ENCODERS,
    LEARNERS,
    SHARED,
    TREE_TARGET,
    evaluate,
    evaluate_tree,
    position,
    result,
)
from tests.helpers import params_of


@pytest.mark.parametrize("name", BRANCHES)
def test_about_a_tenth_of_each_branch_is_feasible(name: str) -> None:
    branch = BRANCHES[name]
    points = np.random.default_rng(0).random((5000, len(branch.target)))
    is_feasible = [max(result(branch, u)[1]) <= 0.0 for u in points]
    assert np.mean(is_feasible) == pytest.approx(0.1, abs=0.02)


def test_the_target_has_the_least_value_and_is_infeasible_by_a_little() -> None:
    for branch in BRANCHES.values():
        value, (speed, memory) = result(branch, np.array(branch.target))
        assert (value, speed, memory) == pytest.approx((branch.offset, 0.15, -0.21))


def test_a_trial_asks_for_the_shared_parameters_and_those_of_its_branch() -> None:
    study = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=0))
    study.optimize(lambda t: evaluate(t)[0], n_trials=12)
    for params in params_of(study):
        own = BRANCHES[params["optimizer"]].own
        assert params.keys() == {"optimizer", *SHARED, *own}
        assert all(0 <= position(params[n], d) <= 1 for n, d in {**SHARED, **own}.items())
    assert {p["optimizer"] for p in params_of(study)} == set(BRANCHES)


def test_the_tree_has_twelve_combinations_with_their_own_parameters() -> None:
    study = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=0))
    study.optimize(lambda t: evaluate_tree(t)[0], n_trials=80)
    combinations = set()
    for params in params_of(study):
        encoder, decoder, learner = (params.get(n) for n in ("encoder", "decoder", "learner"))
        own = {"encoder", "decoder", "threshold", "leak", "weight", f"{encoder}0", f"{encoder}1"}
        own |= {"tau"} if decoder == "first" else set()
        own |= {"learner", f"{learner}0", f"{learner}1"} if decoder == "learned" else set()
        assert params.keys() == own
        combinations.add((encoder, decoder, learner))
    assert len(combinations) == 12


@pytest.mark.parametrize("decoder", DECODERS)
@pytest.mark.parametrize("encoder", ENCODERS)
def test_the_target_of_the_best_combination_is_feasible_and_all_others_are_worse(
    encoder: str, decoder: str
) -> None:
    params = {"encoder": encoder, "decoder": decoder, "learner": "adam"} | TREE_TARGET
    params |= {f"{encoder}{k}": t for k, t in enumerate(ENCODERS[encoder][1:])}
    params |= {f"adam{k}": t for k, t in enumerate(LEARNERS["adam"][1:])}
    params["threshold"] = 10.0 ** (3.0 * (TREE_TARGET["threshold"] - 1.0))
    value, (c,) = evaluate_tree(optuna.trial.FixedTrial(params))
    best = (encoder, decoder) == ("latency", "learned")
    assert value == pytest.approx(ENCODERS[encoder][0] + DECODERS[decoder])
    assert (value < 0.01) == best and (c <= 0.0 or not best)
