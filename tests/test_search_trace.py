"""What the sampler knew at each ask can be read back by one public function."""

import csv
import dataclasses
import inspect
import io
import textwrap
from pathlib import Path

import optuna
import pytest
from optuna.distributions import FloatDistribution
from optuna.samplers import RandomSampler
from optuna.trial import Trial, TrialState

from optuna_snn import Ask, SCBOSampler, search_trace
from optuna_snn.history import TAG_KEY, read_state
from optuna_snn.scbo.trust_region import Settings
from tests.helpers import bowl, finished_trial, optimised, tag

UNIT = {"x": FloatDistribution(0, 1), "y": FloatDistribution(0, 1)}


def halfplane(trial: Trial) -> float:
    x, y = trial.suggest_float("x", 0, 1), trial.suggest_float("y", 0, 1)
    trial.set_constraint("sum", 0.5 - x - y)
    return x + 2 * y


def test_a_study_without_trials_has_an_empty_trace() -> None:
    assert search_trace(optuna.create_study()) == []


def test_every_trial_but_the_first_is_in_the_trace_of_a_plain_study() -> None:
    trace = search_trace(optimised(halfplane, n_trials=7))
    assert [ask.number for ask in trace] == [1, 2, 3, 4, 5, 6]
    assert [ask.is_initial for ask in trace] == [True] * 2 + [False] * 4
    assert {(ask.n_running, ask.n_dims) for ask in trace} == {(1, 2)}
    assert all(ask.ask_seconds > 0.0 for ask in trace)


def test_only_the_asks_of_the_model_have_a_centre_and_a_prediction() -> None:
    study = optimised(halfplane, n_trials=9)
    for ask in search_trace(study):
        if ask.is_initial:
            assert ask.center is None and ask.predicted_feasible is None
        else:
            assert ask.center is not None and ask.center < ask.number
            assert ask.predicted_feasible is not None and 0.0 <= ask.predicted_feasible <= 1.0


def test_the_trace_follows_the_region_through_halvings_and_restarts() -> None:
    """The region is folded from the storage before each ask, and compared with the trace."""
    options = {"length_min": 0.3, "failure_tolerance": 1}
    study = optuna.create_study(sampler=SCBOSampler(seed=0, n_startup_trials=2, **options))
    regions = []
    for _ in range(14):
        regions.append(read_state(study, Settings(**options)).region)
        trial = study.ask(UNIT)
        study.tell(trial, 1.0)
    trace = search_trace(study)
    assert [(a.epoch, a.generation, a.length) for a in trace] == [
        (r.epoch, r.generation, r.length) for r in regions[1:]
    ]
    assert {a.length for a in trace} == {0.8, 0.4} and trace[-1].epoch >= 2


def test_trials_that_run_together_are_counted() -> None:
    study = optimised(bowl(2, 0, 1), n_trials=4)
    space = study.trials[0].distributions
    for _ in range(3):
        study.ask(space)
    assert [ask.n_running for ask in search_trace(study)[-3:]] == [1, 2, 3]


def test_running_failed_and_pruned_trials_are_in_the_trace() -> None:
    study = optimised(bowl(2, 0, 1), n_trials=3)
    space = study.trials[0].distributions
    study.tell(study.ask(space), state=TrialState.FAIL)
    study.tell(study.ask(space), state=TrialState.PRUNED)
    study.ask(space)
    assert [ask.number for ask in search_trace(study)] == [1, 2, 3, 4, 5]


def test_enqueued_added_and_foreign_trials_are_left_out() -> None:
    study = optimised(halfplane, n_trials=4)
    own = [ask.number for ask in search_trace(study)]
    study.enqueue_trial({"x": 0.5, "y": 0.5})
    study.enqueue_trial({"x": 0.5})
    study.optimize(halfplane, n_trials=2)
    study.add_trial(finished_trial({"x": 0.1, "y": 0.2}, 1.0, constraints={"sum": 0.2}))
    study.sampler = RandomSampler(seed=0)
    study.optimize(halfplane, n_trials=2)
    assert [ask.number for ask in search_trace(study)] == own
    study.sampler = SCBOSampler(seed=0, n_startup_trials=3)
    study.optimize(halfplane, n_trials=1)
    assert [ask.number for ask in search_trace(study)] == [*own, 9]


def test_tags_of_another_version_are_left_out() -> None:
    study = optuna.create_study()
    ours = finished_trial({"x": 0.1}, 1.0, tag=tag(epoch=1, generation=5, length=0.4))
    other = finished_trial({"x": 0.1}, 1.0)
    other.system_attrs[TAG_KEY] = '{"epoch": 1}'
    study.add_trials([other, ours])
    assert search_trace(study) == [Ask(1, 1, 5, 0.4, None, None, None, 0.0, 1, 4, False)]


def test_any_process_reads_the_same_trace_whatever_its_sampler(tmp_path: Path) -> None:
    storage = f"sqlite:///{tmp_path}/study.db"
    study = optimised(halfplane, study=optuna.create_study(study_name="s", storage=storage))
    loaded = optuna.load_study(study_name="s", storage=storage, sampler=RandomSampler())
    trace = search_trace(loaded)
    assert trace == search_trace(study) and len(trace) == 5


def test_records_of_the_trace_cannot_be_changed() -> None:
    ask = search_trace(optimised(bowl(1)))[0]
    with pytest.raises(dataclasses.FrozenInstanceError):
        ask.length = 1.0  # type: ignore[misc]


def test_the_example_of_the_docstring_prints_a_table(
    capsys: pytest.CaptureFixture[str],
) -> None:
    _, _, example = (inspect.getdoc(search_trace) or "").partition(".. code-block:: python\n")
    exec(textwrap.dedent(example), {})
    rows = list(csv.DictReader(io.StringIO(capsys.readouterr().out)))
    assert [int(row["number"]) for row in rows] == list(range(1, 15))
    assert [row["is_initial"] for row in rows] == ["True"] * 9 + ["False"] * 5
    assert all(float(row["length"]) > 0.0 for row in rows)
