"""The comparison of samplers with and without known errors: its networks, and its table."""

import math

import numpy as np
import optuna
import pytest
from scipy.optimize import minimize

from benchmarks.weighing import (
    BATCH,
    BETA,
    N_SAMPLES,
    OPTIMA,
    TARGETS,
    D,
    WeighingRun,
    make_sampler,
    observed,
    run_once,
    silence,
    table,
    value,
)
from optuna_snn.constraint_errors import constraint_sds


def is_feasible(x: np.ndarray) -> bool:
    return bool(silence(x).max() <= BETA)


def test_one_network_of_twenty_is_feasible_and_most_are_dead() -> None:
    networks = np.random.default_rng(0).random((4000, D))
    worst = np.array([silence(x).max() for x in networks])
    assert 0 <= worst.min() and worst.max() <= 1
    assert 0.04 < (worst <= BETA).mean() < 0.06
    assert 0.5 < (worst > 0.9).mean() < 0.8


def test_at_the_edge_the_best_network_has_both_layers_as_silent_as_is_tolerated() -> None:
    assert not is_feasible(TARGETS["edge"]) and is_feasible(TARGETS["inside"])
    assert value("inside", TARGETS["inside"]) == OPTIMA["inside"] == 0
    limits = [{"type": "ineq", "fun": lambda x, j=j: BETA - silence(x)[j]} for j in (0, 1)]
    starts = np.random.default_rng(0).random((20, D))
    ends = [
        minimize(
            lambda x: value("edge", x), x, method="SLSQP", bounds=[(0, 1)] * D, constraints=limits
        )
        for x in starts
    ]
    best = min((end for end in ends if end.success), key=lambda end: end.fun)
    assert best.fun == pytest.approx(OPTIMA["edge"], abs=1e-5)
    assert silence(best.x) == pytest.approx([BETA, BETA], abs=1e-4)


@pytest.mark.parametrize(
    ("probabilities", "least", "most"), [((1.0, 0.0), 16, 16), ((0.0, 0.25), 32, 1000)]
)
def test_a_silent_network_is_stopped_and_its_share_rests_on_few_samples(
    probabilities: tuple[float, float], least: int, most: int
) -> None:
    study = optuna.create_study()
    for seed in range(5):
        trial = study.ask()
        is_stopped, n = observed(trial, np.array(probabilities), np.random.default_rng(seed))
        assert is_stopped and least <= n <= most and n % BATCH == 0
        assert max(trial.constraints.values()) > 0
        sds = constraint_sds(study.get_trials()[trial.number])
        assert sds.keys() == trial.constraints.keys()


def test_an_active_network_is_finished() -> None:
    trial = optuna.create_study().ask()
    found = observed(trial, np.array([0.01, 0.02]), np.random.default_rng(0))
    assert found == (False, N_SAMPLES)
    shares = [c + BETA for c in trial.constraints.values()]
    # The standard deviation of a share of 0.02 in 2,000 samples is 0.003.
    assert shares == pytest.approx([0.01, 0.02], abs=0.012)


def test_a_search_scores_networks_by_their_probabilities() -> None:
    run = run_once("random", "edge", seed=0, budget=60)
    space = {f"x{i:02d}": optuna.distributions.FloatDistribution(0, 1) for i in range(D)}
    study = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=0))
    drawn = [study.ask(space).params for _ in range(60)]
    networks = [np.array(list(params.values())) for params in drawn]
    numbers = [i + 1 for i, x in enumerate(networks) if is_feasible(x)]
    assert run.feasible == len(numbers) / 60 and run.first_feasible == numbers[0]
    least = min(value("edge", networks[n - 1]) for n in numbers)
    assert run.best[-1][1] == pytest.approx(least)
    n_finished = round(60 * (1 - run.stopped))
    assert n_finished * N_SAMPLES <= run.samples < 60 * N_SAMPLES


def test_the_two_samplers_differ_in_nothing_but_the_weights() -> None:
    weighed, unweighed = (make_sampler(what, seed=3) for what in ("weighed", "unweighed"))
    assert weighed._options.is_error_known and not unweighed._options.is_error_known
    first, second = (run_once(what, "edge", 1, budget=20) for what in ("weighed", "unweighed"))
    assert first.best == second.best  # the initial design, and the same samples
    assert first.samples == second.samples


def run_of(what: str, seed: int, best: float | None) -> WeighingRun:
    found = [] if best is None else [(40, best + 1), (100, best)]
    first = None if best is None else 40
    return WeighingRun(what, "inside", seed, 120, found, [1.0], 0.25, first, 0.5, 2, 9000)


def test_the_table_counts_paired_seeds_from_the_weighed_samplers_side() -> None:
    runs = [run_of("weighed", seed, 2.0) for seed in range(3)]
    runs += [
        run_of("unweighed", 0, 1.0),
        run_of("unweighed", 1, 3.0),
        run_of("unweighed", 2, None),
    ]
    weighed, unweighed = table(runs).splitlines()[2:]
    assert weighed.startswith(
        "| inside | weighed | 3 | 3 (3 to 3) | 2 (2 to 2) |  | 40 (40 to 40)"
    )
    assert unweighed.startswith(
        "| inside | unweighed | 3 | 4 (2 to inf) | 3 (1 to inf) | 2 : 1, 2 : 1 |"
    )
    assert "25 (25 to 25) | 50 (50 to 50) | 2 (2 to 2) | 9 (9 to 9) |" in weighed
    assert math.isinf(runs[-1].best_after(120))
