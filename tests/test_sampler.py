"""The sampler's options, its initial design, its tags, and constraints_func."""

import logging
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import optuna
import pytest
from optuna.samplers import RandomSampler
from optuna.trial import FrozenTrial, Trial, TrialState

from optuna_snn import SCBOSampler, history
from optuna_snn.history import SamplerTag, read_state, read_tag
from optuna_snn.scbo.candidates import sobol
from optuna_snn.scbo.options import Options
from optuna_snn.scbo.suggest import Search, Suggestion, suggest
from tests.helpers import bowl, params_of

BAD_OPTIONS: list[tuple[dict[str, Any], type[Exception], str]] = [
    ({"n_startup_trials": 0}, ValueError, "n_startup_trials must be .* at least 1 .* got 0"),
    ({"n_startup_trials": 2.5}, ValueError, "n_startup_trials must be an integer .* got 2.5"),
    ({"n_startup_trials": True}, ValueError, "n_startup_trials must be an integer .* got True"),
    ({"seed": -1}, ValueError, "seed must be .* at least 0 .* got -1"),
    ({"seed": "7"}, ValueError, "seed must be an integer .* got '7'"),
    ({"device": "abacus"}, ValueError, "device 'abacus' is not known to torch"),
    ({"device": "cuda:0"}, ValueError, "device 'cuda:0' needs CUDA.*Use 'cpu'"),
    ({"device": None}, ValueError, "device None is not known to torch"),
    ({"independent_sampler": "random"}, TypeError, "independent_sampler must be .* got str"),
    ({"group": 1}, TypeError, "group must be True or False, got 1"),
    ({"constraints_func": 3}, TypeError, "constraints_func must be callable or None, got 3"),
    ({"length_init": 0.0}, ValueError, "0 < length_min <= length_init.* length_init=0.0"),
    ({"length_min": 0.9}, ValueError, "0 < length_min <= length_init.* length_min=0.9"),
    ({"length_max": 0.7}, ValueError, "0 < length_min <= length_init.* length_max=0.7"),
    ({"length_max": "wide"}, ValueError, "length_max must be a number, got 'wide'"),
    ({"success_tolerance": 0}, ValueError, "success_tolerance must be .* at least 1, got 0"),
    ({"success_tolerance": None}, ValueError, "success_tolerance must be .* got None"),
    ({"options": {"n_draws": 1}}, TypeError, "options must be .*Options, got {'n_draws': 1}"),
    ({"failure_tolerance": 1.5}, ValueError, "failure_tolerance must be .* got 1.5"),
]


@pytest.mark.parametrize(("option", "error", "message"), BAD_OPTIONS, ids=lambda x: str(x)[:30])
def test_a_bad_option_is_refused_with_its_value_and_the_rule(
    option: dict[str, Any], error: type[Exception], message: str
) -> None:
    if str(option.get("device", "")).startswith("cuda"):
        import torch

        if torch.cuda.is_available():
            pytest.skip("CUDA is there")
    with pytest.raises(error, match=message):
        SCBOSampler(**option)


def test_options_are_keywords_only_and_numpy_integers_will_do() -> None:
    with pytest.raises(TypeError):
        SCBOSampler(10)  # type: ignore[misc]
    SCBOSampler(seed=np.int64(3), n_startup_trials=np.int32(4))  # type: ignore[arg-type]


def test_several_objectives_are_refused() -> None:
    study = optuna.create_study(directions=["minimize", "maximize"], sampler=SCBOSampler())
    with pytest.raises(ValueError, match="multi-objective"):
        study.ask().suggest_float("x", 0, 1)


@pytest.mark.parametrize(("n_dims", "n_startup"), [(1, 10), (4, 10), (12, 13)])
def test_the_initial_design_has_ten_trials_or_one_more_than_dimensions(
    n_dims: int, n_startup: int
) -> None:
    study = optuna.create_study(sampler=SCBOSampler(seed=0))
    study.optimize(bowl(n_dims), n_trials=n_startup + 2)
    tags = [read_tag(t) for t in study.trials]
    assert tags[0] is None  # the first trial's parameters are not known before it runs
    assert [t.tag.is_initial for t in tags if t] == [True] * (n_startup - 1) + [False] * 2


def test_the_design_is_the_sobol_sequence_of_the_seed_at_the_number_of_the_trial() -> None:
    study = optuna.create_study(sampler=SCBOSampler(seed=5, n_startup_trials=8))
    study.optimize(bowl(3, 0, 1), n_trials=8)
    points = sobol(3, 8, history.digest(5, 0))
    for trial in study.trials[1:]:
        assert list(trial.params.values()) == pytest.approx(points[trial.number])


def test_without_a_seed_workers_share_the_design_of_their_study() -> None:
    designs = []
    for name in ("one", "one", "other"):
        study = optuna.create_study(study_name=name, sampler=SCBOSampler())
        study.optimize(bowl(2), n_trials=4)
        designs.append(params_of(study)[1:])
    assert designs[0] == designs[1] != designs[2]


def test_without_a_seed_draws_differ_from_run_to_run() -> None:
    points = []
    for _ in range(2):
        study = optuna.create_study(study_name="s", sampler=SCBOSampler(n_startup_trials=2))
        study.enqueue_trial({"x0": 0.1, "x1": 0.2})
        study.optimize(bowl(2), n_trials=5)
        points.append(params_of(study))
    assert points[0][:2] == points[1][:2]
    assert points[0][3:] != points[1][3:]


def test_each_tag_names_the_region_the_centre_and_the_running_trials() -> None:
    study = optuna.create_study(
        sampler=SCBOSampler(seed=0, n_startup_trials=3, failure_tolerance=1)
    )
    study.optimize(bowl(2), n_trials=6)
    state = read_state(study, SCBOSampler(failure_tolerance=1)._settings)
    asked = [study.ask() for _ in range(3)]
    for trial in asked:
        trial.suggest_float("x0", -1, 1)
    for k, trial in enumerate(asked):
        found = read_tag(study.trials[trial.number])
        assert found is not None and state.incumbent is not None
        own = found.tag
        region = state.region
        assert (own.epoch, own.generation, own.length) == (
            region.epoch,
            region.generation,
            region.length,
        )
        assert (own.n_running, own.n_dims, own.is_initial) == (3, 2, False), k
        assert found.center == state.incumbent.number
        assert found.predicted_feasible == 1.0 and found.ask_seconds > 0


def test_a_region_given_by_its_options_is_used() -> None:
    sampler = SCBOSampler(seed=0, n_startup_trials=3, length_init=0.01, length_min=0.005)
    study = optuna.create_study(sampler=sampler)
    study.optimize(bowl(2, 0, 1), n_trials=5)
    best = np.array(list(min(study.trials[:4], key=lambda t: t.value or 0).params.values()))
    assert np.abs(np.array(list(study.trials[4].params.values())) - best).max() <= 0.005 + 1e-9


class Recorder(RandomSampler):
    """Remembers which of its methods were called."""

    def __init__(self) -> None:
        super().__init__(seed=0)
        self.calls: list[str] = []

    def sample_independent(self, *args: Any) -> Any:
        self.calls.append("sample " + args[2])
        return super().sample_independent(*args)

    def before_trial(self, *args: Any) -> None:
        self.calls.append("before")

    def after_trial(self, *args: Any) -> None:
        self.calls.append("after")

    def reseed_rng(self) -> None:
        self.calls.append("reseed")


def test_the_independent_sampler_gets_the_parameters_outside_the_model_and_all_hooks() -> None:
    recorder = Recorder()
    sampler = SCBOSampler(seed=0, independent_sampler=recorder)
    optuna.create_study(sampler=sampler).optimize(bowl(1), n_trials=2)
    sampler.reseed_rng()
    assert recorder.calls == ["before", "sample x0", "after", "before", "after", "reseed"]


@pytest.mark.parametrize("warns", [True, False])
def test_independent_sampling_is_said_once_for_each_parameter(
    warns: bool, caplog: pytest.LogCaptureFixture
) -> None:
    def objective(trial: Trial) -> float:
        x = trial.suggest_float("x", 0, 1)
        return x + (trial.suggest_float("sometimes", 0, 1) if trial.number % 2 else 0.0)

    sampler = SCBOSampler(seed=0, group=False, warn_independent_sampling=warns)
    with caplog.at_level(logging.WARNING, "optuna_snn"):
        optuna.create_study(sampler=sampler).optimize(objective, n_trials=6)
    said = [r.getMessage() for r in caplog.records if "sampled independently" in r.getMessage()]
    assert len(said) == int(warns)
    assert all("'sometimes'" in s and "warn_independent_sampling=False" in s for s in said)


def constrained(func: Callable[[FrozenTrial], Sequence[float]]) -> optuna.Study:
    return optuna.create_study(
        sampler=SCBOSampler(seed=0, n_startup_trials=2, constraints_func=func)
    )


def test_constraints_func_is_stored_by_position_for_finished_and_pruned_trials() -> None:
    def objective(trial: Trial) -> float:
        x = trial.suggest_float("x", 0, 1)
        if trial.number == 1:
            raise optuna.TrialPruned
        if trial.number == 2:
            return float("nan")
        return x

    study = constrained(lambda t: (t.params["x"] - 0.5, -1))
    study.optimize(objective, n_trials=5)
    for trial in study.trials:
        expected = {"0": trial.params["x"] - 0.5, "1": -1.0}
        assert trial.constraints == ({} if trial.state == TrialState.FAIL else expected)
    assert read_state(study).known_constraints == {"0", "1"}


def test_constraints_func_beside_set_constraint_is_refused() -> None:
    def objective(trial: Trial) -> float:
        trial.set_constraint("own", -1.0)
        return trial.suggest_float("x", 0, 1)

    with pytest.raises(ValueError, match=r"Trial 0 has constraints.*\['own'\].*constraints_func"):
        constrained(lambda _: [0.0]).optimize(objective, n_trials=1)


@pytest.mark.parametrize("returned", [1.0, None, [[1.0]]])
def test_what_is_no_sequence_of_numbers_is_refused_with_the_trial_and_the_way_out(
    returned: Any,
) -> None:
    with pytest.raises(TypeError, match=r"constraints_func must return .* for trial 0; a single"):
        constrained(lambda _: returned).optimize(bowl(1), n_trials=1)


def test_a_nan_of_constraints_func_is_refused_and_infinity_is_not() -> None:
    with pytest.raises(ValueError, match=r"constraints_func gave NaN for trial 0: \[1.0, nan\]"):
        constrained(lambda _: [1.0, float("nan")]).optimize(bowl(1), n_trials=1)
    study = constrained(lambda t: [float("inf") if t.number % 2 else -float("inf")])
    study.optimize(bowl(2), n_trials=6)
    assert {t.state for t in study.trials} == {TrialState.COMPLETE}


def tags_of_a_flat_search(options: Options) -> list[SamplerTag]:
    # Nothing improves: 0.4, 0.2 and 0.1 are halved after one result each, and 0.05 is too small.
    sampler = SCBOSampler(
        seed=0,
        n_startup_trials=3,
        failure_tolerance=1,
        length_init=0.4,
        length_min=0.1,
        options=options,
    )
    study = optuna.create_study(sampler=sampler)
    study.optimize(lambda t: 0.0 * sum(t.suggest_float(n, 0, 1) for n in "xy"), n_trials=12)
    return [t for t in map(read_tag, study.trials[3:]) if t is not None]


def test_a_restart_begins_with_the_model_of_all_trials_and_without_a_centre() -> None:
    tags = tags_of_a_flat_search(Options(has_restart_design=False))
    assert [t.tag.epoch for t in tags] == [0] * 3 + [1] * 4 + [2] * 2
    assert [t.tag.length for t in tags] == [0.4, 0.2, 0.1, 0.4, 0.4, 0.2, 0.1, 0.4, 0.4]
    assert not any(t.tag.is_initial for t in tags)
    assert [k for k, t in enumerate(tags) if t.center is None] == [3, 7]
    assert [t.center for t in tags[4:7]] == [6, 6, 6] and tags[8].center == 10
    assert all(t.predicted_feasible == 1.0 for t in tags)


def test_a_restart_may_begin_with_a_new_design() -> None:
    tags = tags_of_a_flat_search(Options(has_restart_design=True))
    assert [t.tag.epoch for t in tags] == [0] * 3 + [1] * 6
    lengths = [0.4, 0.2, 0.1] + [0.4] * 3 + [0.4, 0.2, 0.1]
    assert [t.tag.length for t in tags] == lengths
    assert [t.tag.is_initial for t in tags] == [False] * 3 + [True] * 3 + [False] * 3
    assert [t.center for t in tags[3:6]] == [None] * 3
    for number, t in enumerate(tags, start=3):
        assert t.tag.is_initial or t.center in range(6 * t.tag.epoch, number)


def test_a_box_is_failing_once_two_fifths_of_its_tolerated_failures_came_in_a_row(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    said: list[tuple[int, bool]] = []

    def noted(space: Any, known: Any, search: Search, *more: Any) -> Suggestion:
        region = read_state(study, study.sampler._settings).region  # type: ignore[attr-defined]
        said.append((region.n_failures, search.is_failing))
        return suggest(space, known, search, *more)

    monkeypatch.setattr("optuna_snn.scbo.joint.suggest", noted)
    study = optuna.create_study(
        sampler=SCBOSampler(seed=0, n_startup_trials=3, failure_tolerance=5)
    )
    study.optimize(lambda t: t.suggest_float("x", 0, 1) * 0.0 + t.number, n_trials=16)
    assert {n for n, _ in said} == set(range(5))
    assert all(is_failing == (n >= 2) for n, is_failing in said)
