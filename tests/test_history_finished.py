"""Finished trials are read once, and the result is as if all had been read now."""

import random
from collections.abc import Sequence

import numpy as np
import optuna
import pytest
from optuna.distributions import BaseDistribution, FloatDistribution
from optuna.trial import FrozenTrial, TrialState

from optuna_snn.history import History, finished, read_state, write_hyper
from optuna_snn.history.finished import ROWS_PER_STATE, FinishedTrials, Numbered
from optuna_snn.history.records import Record, parse
from optuna_snn.history.rows import Rows
from optuna_snn.scbo.fold import Outcome, State, advance
from optuna_snn.scbo.trust_region import Settings
from tests.helpers import finished_trial, tag

SPACE: dict[str, BaseDistribution] = {"x": FloatDistribution(0, 1)}


def trials_at(times: Sequence[float]) -> list[FrozenTrial]:
    """Numbered trials that finished at these times; each fifth brings a constraint of its own."""
    rng = random.Random(0)
    study = optuna.create_study()
    for i, time in enumerate(times):
        names = ["c", f"only{i}"] if i % 5 == 0 else ["c"]
        constraints = {name: rng.gauss(0, 1) for name in names}
        study.add_trial(
            finished_trial(
                {"x": rng.random()},
                rng.gauss(0, 1),
                constraints=constraints,
                finished_at=time,
                tag=tag(),
            )
        )
    return study.get_trials(deepcopy=False)


def reader() -> FinishedTrials:
    return FinishedTrials(Settings(failure_tolerance=3), sign=-1.0)


def assert_as_read_at_once(ours: FinishedTrials, trials: Sequence[FrozenTrial]) -> None:
    fresh, numbered = reader(), Numbered(trials)
    fresh.read_on(numbered)
    assert ours.state == fresh.state and ours.space == fresh.space
    assert ours.unfinished == fresh.unfinished
    rows, expected = ours.rows(numbered, SPACE), fresh.rows(numbered, SPACE)
    for name in Rows.__dataclass_fields__:
        np.testing.assert_array_equal(getattr(rows, name), getattr(expected, name))


@pytest.fixture
def parsed(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Numbers of the trials that were parsed."""
    numbers: list[int] = []

    def counting(trial: FrozenTrial, sign: float) -> Record:
        numbers.append(trial.number)
        return parse(trial, sign)

    monkeypatch.setattr(finished, "parse", counting)
    return numbers


def test_what_was_read_is_not_read_again(parsed: list[int]) -> None:
    trials = trials_at(range(250))
    ours = reader()
    for n in (248, 249, 249, 250):
        ours.read_on(Numbered(trials[:n]))
    assert parsed == list(range(250))
    assert_as_read_at_once(ours, trials)


@pytest.mark.parametrize("late", [0.0, 98.5, 99.5, 150.5, 248.5])
def test_a_late_trial_is_folded_in_where_it_belongs_and_little_is_read_again(
    late: float, parsed: list[int]
) -> None:
    trials = trials_at([*range(250), late])
    ours = reader()
    for n in (60, 250, 251):
        ours.read_on(Numbered(trials[:n]))
    n_later = 250 - int(late)
    assert len(parsed) <= 251 + n_later + ROWS_PER_STATE
    assert_as_read_at_once(ours, trials)


def test_rows_that_were_handed_out_stay_as_they_were() -> None:
    trials = trials_at([*range(30), 4.5])
    ours = reader()
    ours.read_on(Numbered(trials[:30]))
    rows = ours.rows(Numbered(trials[:30]), SPACE)
    numbers, x = rows.number.copy(), rows.x.copy()
    ours.read_on(Numbered(trials))
    ours.rows(Numbered(trials), SPACE)
    np.testing.assert_array_equal(rows.number, numbers)
    np.testing.assert_array_equal(rows.x, x)


def test_a_trial_that_is_missing_for_a_moment_is_read_when_it_is_there() -> None:
    trials = trials_at(range(12))
    ours = reader()
    seen = Numbered([t for t in trials if t.number not in (0, 7)])
    ours.read_on(seen)
    assert ours.unfinished == [0, 7] and seen.get(7) is None and seen[8] is trials[8]
    assert ours.are_in(seen) and ours.are_in(Numbered(trials))
    assert not ours.are_in(Numbered([t for t in trials if t.number != 3]))
    ours.read_on(Numbered(trials))
    assert_as_read_at_once(ours, trials)


def test_unfinished_trials_are_looked_at_until_they_finish() -> None:
    study = optuna.create_study()
    study.enqueue_trial({"x": 0.5})
    asked = [study.ask() for _ in range(4)]
    study.enqueue_trial({"x": 0.25})
    ours = reader()
    for trial, state in [(2, TrialState.COMPLETE), (0, TrialState.PRUNED), (3, TrialState.FAIL)]:
        value = 1.0 if state == TrialState.COMPLETE else None
        asked[trial].suggest_float("x", 0, 1)
        study.tell(asked[trial], value, state)
        ours.read_on(Numbered(study.get_trials(deepcopy=False)))
    assert ours.table.number.tolist() == [2, 0, 3]
    assert ours.unfinished == [1, 4]
    assert_as_read_at_once(ours, study.get_trials(deepcopy=False))


def test_the_latest_hyperparameters_are_found_in_finished_and_running_trials() -> None:
    study, ours = optuna.create_study(), History(Settings())
    asked = [study.ask() for _ in range(5)]

    def latest() -> int:
        seen = ours.read(study, asked[4]._cached_frozen_trial, SPACE).hyper
        assert seen is not None
        return int(seen["n_trials"])

    def stored_by(number: int) -> int:
        theta = np.full((1, 1), number)
        write_hyper(study, asked[number]._cached_frozen_trial, "", number, theta)
        return latest()

    assert stored_by(1) == 1
    study.tell(asked[1], 0.0)
    assert stored_by(0) == 1 and stored_by(3) == 3
    study.tell(asked[3], state=TrialState.FAIL)
    assert latest() == 3
    study.tell(asked[0], 0.0)
    study.tell(asked[2], 0.0)
    assert latest() == 3


def test_an_interrupted_read_leaves_nothing_behind(monkeypatch: pytest.MonkeyPatch) -> None:
    study, ours = optuna.create_study(), History(Settings())
    study.add_trials(trials_at(range(5)))
    ours.read_state(study)
    study.add_trials(trials_at(range(5, 10)))

    def interrupted(state: State, outcome: Outcome, settings: Settings) -> State:
        if outcome.number == 7:
            raise KeyboardInterrupt
        return advance(state, outcome, settings)

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(finished, "advance", interrupted)
        ours.read_state(study)
    assert ours.read_state(study) == read_state(study)
    assert ours.read(study, study.ask()._cached_frozen_trial, SPACE).n_informative == 10


def test_another_study_of_as_many_trials_is_told_apart() -> None:
    ours = reader()
    ours.read_on(Numbered(trials_at([1.0, 2.0])))
    assert ours.are_in(Numbered(trials_at([1.0, 2.0, 3.0])))
    assert not ours.are_in(Numbered(trials_at([1.0, 2.5])))
    assert not ours.are_in(Numbered(trials_at([1.0])))


def conditional_of(trials: Sequence[FrozenTrial]) -> dict[str, BaseDistribution]:
    ours = reader()
    ours.read_on(Numbered(trials))
    return ours.conditional_space().space


def study_of(*spaces: dict[str, BaseDistribution], fail: Sequence[int] = ()) -> list[FrozenTrial]:
    """Trials with one value of each of their parameters, some of them failed."""
    study = optuna.create_study()
    for number, space in enumerate(spaces):
        state = TrialState.FAIL if number in fail else TrialState.COMPLETE
        params = {name: 0.5 for name in space}
        value = None if number in fail else 0.0
        study.add_trial(finished_trial(params, value, state=state, distributions=space))
    return study.get_trials(deepcopy=False)


HALF, WHOLE, WIDE = FloatDistribution(0, 0.5), FloatDistribution(0, 1), FloatDistribution(0, 9)


@pytest.mark.parametrize(
    ("spaces", "expected"),
    [
        ([{"x": WHOLE, "a": WHOLE}] * 3, {}),
        ([{"x": WHOLE, "a": WHOLE}, {"x": WHOLE}], {"a": WHOLE}),
        ([{"x": WHOLE}, {"x": WHOLE, "a": WHOLE}], {"a": WHOLE}),
        ([{"x": WHOLE, "a": WHOLE}, {"x": WHOLE, "b": HALF}], {"a": WHOLE, "b": HALF}),
        ([{"a": WHOLE}, {"b": HALF}], {"a": WHOLE, "b": HALF}),
        ([{"a": HALF}, {"a": WHOLE}, {"a": WHOLE}], {"a": WHOLE}),
        ([{"a": HALF}, {"a": WHOLE}, {"a": WIDE}], {}),
    ],
)
def test_conditional_parameters_are_those_that_some_trials_lack(
    spaces: list[dict[str, BaseDistribution]], expected: dict[str, BaseDistribution]
) -> None:
    assert conditional_of(study_of(*spaces)) == expected


def test_failed_trials_make_no_parameter_conditional() -> None:
    both = {"x": WHOLE, "a": WHOLE}
    trials = study_of(both, {"x": WHOLE}, both, {"x": WHOLE, "b": WHOLE}, fail=[1, 3])
    assert conditional_of(trials) == {}


def test_conditional_parameters_are_counted_as_trials_come() -> None:
    trials = study_of({"x": WHOLE, "a": HALF}, {"x": WHOLE, "a": WHOLE}, {"x": WHOLE, "a": WHOLE})
    ours = reader()
    found = []
    for n in (1, 2, 3, 3):
        numbered = Numbered(trials[:n])
        ours.read_on(numbered)
        found.append(ours.conditional_space())
    assert found == [({}, True), ({}, False), ({"a": WHOLE}, False), ({"a": WHOLE}, False)]


def test_which_distribution_counts_does_not_depend_on_the_order_of_reading() -> None:
    spaces = [{"a": WHOLE}, {"a": HALF}, {"a": WHOLE}, {"a": HALF}, {"a": WIDE}]
    trials = study_of(*spaces)
    late = list(trials)
    for k in (0, 2):
        late[k] = optuna.create_trial(state=TrialState.RUNNING)
        late[k].number = k
    ours = reader()
    ours.read_on(Numbered(late))
    assert ours.conditional_space().space == {"a": HALF}
    ours.read_on(Numbered(trials))
    assert ours.conditional_space() == ({"a": WHOLE}, False)


def test_points_lack_what_their_trials_lack_and_are_kept() -> None:
    space = {"a": WHOLE, "b": HALF, "x": WHOLE}
    trials = study_of({"x": WHOLE, "a": WHOLE}, {"x": WHOLE, "b": HALF}, {"a": WHOLE})
    ours = reader()
    ours.read_on(Numbered(trials[:2]))
    rows = ours.rows(Numbered(trials[:2]), space, frozenset("ab"))
    np.testing.assert_array_equal(rows.x, [[0.5, np.nan, 0.5], [np.nan, 1.0, 0.5]])
    assert ours.table.x is rows.x
    ours.read_on(Numbered(trials))
    x = ours.rows(Numbered(trials), space, frozenset("ab")).x
    np.testing.assert_array_equal(x[:2], rows.x)
    assert np.isnan(x[2]).all()  # it lacks one that is needed


def test_points_are_made_anew_once_a_parameter_turns_out_to_be_conditional() -> None:
    space = {"a": WHOLE, "x": WHOLE}
    trials = study_of(space, {"x": WHOLE}, {"x": WHOLE}, fail=[1])
    ours = reader()
    ours.read_on(Numbered(trials[:2]))
    before = ours.rows(Numbered(trials[:2]), space).x
    np.testing.assert_array_equal(before, [[0.5, 0.5], [np.nan, np.nan]])
    ours.read_on(Numbered(trials))
    after = ours.rows(Numbered(trials), space, frozenset("a")).x
    np.testing.assert_array_equal(after, [[0.5, 0.5], [np.nan, 0.5], [np.nan, 0.5]])
