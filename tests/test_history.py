"""Stored trials become observations and one state, whoever reads them and whenever."""

import gc
import math
import random
from dataclasses import replace
from pathlib import Path

import numpy as np
import optuna
import pytest
from optuna.distributions import BaseDistribution, FloatDistribution
from optuna.study import Study
from optuna.trial import FrozenTrial, TrialState

from optuna_snn import history
from optuna_snn.history import History, Snapshot, finished, read_state
from optuna_snn.history.rows import Rows
from optuna_snn.scbo.trust_region import Settings
from tests.helpers import finished_trial, tag

SETTINGS = Settings()


def snapshot(study: Study, reader: History | None = None) -> Snapshot:
    """What a new trial of the study would see."""
    asking = optuna.trial.create_trial(value=0.0)
    asking.number = len(study.get_trials(deepcopy=False))
    return (reader or History(SETTINGS)).read(study, asking, {"x": FloatDistribution(0, 1)})


def random_trial(rng: random.Random, finished_at: float | None = None) -> FrozenTrial:
    own = rng.choice([None, tag(), tag(0, 0, 0.8, 3), tag(0, 1, 0.4), tag(1, 2, 0.8)])
    state = rng.choice([TrialState.COMPLETE] * 4 + [TrialState.PRUNED, TrialState.FAIL])
    return finished_trial(
        {"x": rng.random()},
        None if state == TrialState.FAIL else round(rng.gauss(0, 1), 1),
        constraints={"c": rng.gauss(0, 1)} if rng.random() < 0.9 else {},
        state=state,
        # Ties are broken by the number.
        finished_at=rng.choice([rng.random(), 1.0]) if finished_at is None else finished_at,
        tag=own,
    )


@pytest.mark.parametrize("seed", range(15))
def test_reading_along_the_way_gives_the_state_of_a_fresh_reader(
    seed: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Trials appear in any order: late commits lie before what has been folded already.
    monkeypatch.setattr(finished, "ROWS_PER_STATE", 7)
    rng = random.Random(seed)
    study, along = (
        optuna.create_study(direction="maximize"),
        History(Settings(failure_tolerance=2)),
    )
    for _ in range(60):
        study.add_trial(random_trial(rng))
        if rng.random() < 0.5:
            ours, fresh = snapshot(study, along), snapshot(study, History(along._settings))
            assert ours == fresh
            for name in Rows.__dataclass_fields__:
                np.testing.assert_array_equal(getattr(ours.rows, name), getattr(fresh.rows, name))


@pytest.mark.parametrize("seed", range(10))
def test_the_order_of_insertion_does_not_matter(seed: int) -> None:
    rng = random.Random(seed)
    trials = [random_trial(rng, finished_at=float(i)) for i in range(60)]
    states = []
    for order in (trials, rng.sample(trials, len(trials))):
        study = optuna.create_study()
        study.add_trials(order)
        states.append(read_state(study))
    first, second = states
    assert first.region == second.region and first.scale == second.scale
    assert first.incumbent is not None and second.incumbent is not None
    # Numbers follow the insertion, the rest is the same.
    assert replace(first.incumbent, number=0) == replace(second.incumbent, number=0)


def test_each_kind_of_trial_teaches_what_the_table_says() -> None:
    study = optuna.create_study(direction="maximize")
    x = {"x": 0.5}
    pruned = TrialState.PRUNED
    study.add_trials(
        [
            finished_trial(x, 3.0, constraints={"c": -1.0}),
            finished_trial(x, 9.0, constraints={"c": 2.0}, state=pruned, finished_at=1),
            finished_trial(x, None, constraints={"c": 2.0}, state=pruned, finished_at=2),
            finished_trial(x, 7.0, constraints={"c": -2.0}, state=pruned, finished_at=3),
            finished_trial(x, None, state=TrialState.FAIL, finished_at=4),
        ]
    )
    study.enqueue_trial(x)
    seen = snapshot(study)
    np.testing.assert_equal(seen.rows.y.tolist(), [3.0, math.nan, math.nan, 7.0, math.nan])
    outcomes = [history.parse(t, 1.0).outcome for t in study.get_trials(deepcopy=False)[:5]]
    assert [o and o.value for o in outcomes] == [3.0, None, None, None, None]
    assert [o and o.is_feasible for o in outcomes] == [True, False, False, True, None]
    assert seen.rows.is_complete.tolist() == [True, False, False, False, False]
    np.testing.assert_equal(seen.rows.c.ravel(), [-1.0, 2.0, 2.0, -2.0, math.nan])
    assert seen.n_informative == 4 and seen.n_running == 1
    assert seen.state.incumbent == outcomes[0]


def test_a_pruned_trial_teaches_its_value_at_the_largest_step() -> None:
    study = optuna.create_study()
    trial = study.ask()
    for step, value in [(0, 5.0), (2, 1.0), (1, 3.0)]:
        trial.report(value, step)
    study.tell(trial, state=TrialState.PRUNED)
    assert snapshot(study).rows.y.tolist() == [-1.0]


@pytest.mark.parametrize(("direction", "sign"), [("minimize", -1.0), ("maximize", 1.0)])
def test_values_are_maximised_from_here_on(direction: str, sign: float) -> None:
    study = optuna.create_study(direction=direction)
    for value in (1.0, 2.0):
        study.add_trial(finished_trial({"x": 0.5}, value))
    seen = snapshot(study)
    assert seen.rows.y.tolist() == [sign, 2 * sign]
    assert seen.state.incumbent is not None
    assert seen.state.incumbent.value == max(sign, 2 * sign)


def test_running_trials_are_pending_workers_and_part_of_the_design() -> None:
    study = optuna.create_study()
    study.add_trial(finished_trial({"x": 0.5}, 0.0))
    first, second = study.ask(), study.ask()
    first.suggest_float("x", 0, 1)
    history.write_point(study, second._cached_frozen_trial, {"x": 0.25, "choice": None})
    seen = snapshot(study)
    assert seen.n_running == 3  # with the asking one
    assert seen.n_started == 3 and seen.n_informative == 1
    assert seen.pending == [{"x": first.params["x"]}, {"x": 0.25, "choice": None}]


def test_only_earlier_running_trials_count_towards_the_design() -> None:
    study = optuna.create_study()
    asking, later = study.ask(), study.ask()
    del later
    seen = History(SETTINGS).read(study, asking._cached_frozen_trial, {})
    assert seen.n_started == 0 and seen.n_running == 2


def test_failed_trials_are_replaced_in_the_design_and_a_new_epoch_begins_another() -> None:
    study = optuna.create_study()
    study.add_trial(finished_trial({"x": 0.5}, state=TrialState.FAIL))
    assert snapshot(study).n_started == 0
    quick = History(Settings(length_init=0.5, length_min=0.4, failure_tolerance=1))
    study.add_trial(finished_trial({"x": 0.5}, 0.0, finished_at=1, tag=tag(length=0.5)))
    study.add_trial(finished_trial({"x": 0.5}, 1.0, finished_at=2, tag=tag(length=0.5)))
    seen = snapshot(study, quick)
    assert seen.state.region.epoch == 1
    assert seen.n_started == seen.n_informative == 0
    study.add_trial(finished_trial({"x": 0.5}, 1.0, finished_at=3, tag=tag(1, 1, 0.5)))
    assert snapshot(study, quick).n_informative == 1


def space_of(study: Study) -> dict[str, BaseDistribution]:
    asking = study.ask()
    space = History(SETTINGS).search_space(study, asking._cached_frozen_trial)
    study.tell(asking, state=TrialState.FAIL)
    return space


def test_the_search_space_is_what_all_finished_trials_share_also_if_all_are_pruned() -> None:
    unit, wide = FloatDistribution(0, 1), FloatDistribution(0, 2)
    study = optuna.create_study()
    for names in (["b", "a", "wide"], ["a", "b", "wide", "sometimes"]):
        distributions = {n: wide if n == "wide" and len(names) == 4 else unit for n in names}
        params = dict.fromkeys(names, 0.5)
        study.add_trial(
            finished_trial(params, None, state=TrialState.PRUNED, distributions=distributions)
        )
    study.add_trial(finished_trial({"a": 0.5}, state=TrialState.FAIL))  # a failure teaches nothing
    assert list(space_of(study).items()) == [("a", unit), ("b", unit)]


def test_before_any_trial_has_finished_the_space_is_read_from_the_running_ones() -> None:
    study = optuna.create_study()
    running = study.ask()
    running.suggest_float("x", 0, 1)
    assert space_of(study) == {"x": FloatDistribution(0, 1)}
    assert space_of(optuna.create_study()) == {}


def test_a_reader_never_takes_one_study_for_another() -> None:
    # Python gives the address of a dead storage to the next one, SQLite the id of a deleted study.
    reader = History(SETTINGS)
    for k in range(10):
        study = optuna.create_study()
        study.add_trial(finished_trial({"x": 0.5}, float(k)))
        assert snapshot(study, reader).rows.y.tolist() == [-float(k)]
        del study
        gc.collect(1)
    assert len(reader._caches) <= 1


def test_a_reader_notices_that_a_study_was_deleted_and_created_anew(tmp_path: Path) -> None:
    storage, reader = optuna.storages.get_storage(f"sqlite:///{tmp_path}/s.db"), History(SETTINGS)
    ids = []
    for value in (1.0, 2.0):
        study = optuna.create_study(storage=storage, study_name="s")
        for _ in range(int(value)):
            study.add_trial(finished_trial({"x": 0.5}, value))
        assert set(snapshot(study, reader).rows.y) == {-value}
        ids.append(study._study_id)
        optuna.delete_study(study_name="s", storage=storage)
        study = optuna.create_study(storage=storage, study_name="s")
        assert len(snapshot(study, reader).rows.number) == 0
        optuna.delete_study(study_name="s", storage=storage)
    assert ids[0] == ids[1]


def test_all_brackets_of_hyperband_are_seen() -> None:
    pruner = optuna.pruners.HyperbandPruner(max_resource=9)
    study = optuna.create_study(pruner=pruner)
    study.add_trials([finished_trial({"x": 0.1 * k}, k, finished_at=k) for k in range(9)])
    trial = study.ask()
    trial.report(1.0, 0)
    trial.should_prune()  # prepares the brackets
    bracket = optuna.pruners._filter_study(study, trial._cached_frozen_trial)
    assert len(bracket.get_trials(deepcopy=False)) < 10
    assert len(snapshot(bracket).rows.number) == 9


def test_tags_points_and_hyperparameters_come_back_as_they_were_written() -> None:
    study = optuna.create_study()
    trial = study.ask()._cached_frozen_trial
    own = history.SamplerTag(
        tag(1, 3, 0.1 + 0.2, 4, 7), center=12, predicted_feasible=None, ask_seconds=0.25
    )
    history.write_tag(study, trial, own)
    history.write_hyper(study, trial, "here", 17, np.array([[0.12345678, -1.0]]))
    assert history.read_tag(study.trials[0]) == own
    assert snapshot(study).hyper == {
        "signature": "here",
        "n_trials": 17,
        "theta": [[0.1235, -1.0]],
    }
    history.write_hyper(study, trial, "long", 18, np.ones((100, 100)))
    assert snapshot(study).hyper["signature"] == "here"  # type: ignore[index]


def test_digests_are_the_same_in_every_process_and_differ_with_their_parts() -> None:
    # The first four bytes of sha256(b"a\x1f1"), shifted right once, by sha256sum.
    assert history.digest("a", 1) == 0x839E11A4 >> 1
    assert len({history.digest("a", k) for k in range(1000)}) == 1000
    assert history.digest("ab", "c") != history.digest("a", "bc")


def test_a_parameter_is_left_out_where_the_finished_trials_do_not_share_it() -> None:
    study, reader = optuna.create_study(), History(Settings())
    unit, wider = FloatDistribution(0, 1), FloatDistribution(0, 2)
    study.ask({"x": unit})
    # Nothing has finished: what is drawn now will be modelled.
    assert not reader.leaves_out(study, "x", unit)
    study.add_trial(finished_trial({"x": 0.5, "sometimes": 0.5}, 1.0))
    study.add_trial(finished_trial({"x": 0.5}, 1.0))
    assert not reader.leaves_out(study, "x", unit)
    assert reader.leaves_out(study, "x", wider)
    assert reader.leaves_out(study, "sometimes", unit)
    assert reader.leaves_out(study, "sometimes", wider, n_least=1)
    assert not reader.leaves_out(study, "sometimes", unit, n_least=2)
    assert not reader.leaves_out(study, "new", unit, n_least=1)
