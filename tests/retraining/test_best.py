"""The best feasible trials are trained again, and what that gave is kept."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import optuna
import pytest

from optuna_snn.objectives.retrained import Retrained
from optuna_snn.retraining import RetrainedTrial, read_results, retrain_best
from optuna_snn.workers.errors import RunError
from tests.retraining.toy import Toy, study_of

POINTS = [(0.5, -0.1), (0.9, 0.2), (0.7, -0.1), (0.6, 0.0), (0.3, -0.1)]
"""The second one is infeasible, though its value is the best."""


@pytest.fixture
def study() -> optuna.Study:
    return study_of(POINTS)


def retrain(study: optuna.Study, folder: Path, **options: Any) -> list[RetrainedTrial]:
    objective = options.pop("objective", Toy())
    return retrain_best(study, objective, **({"top": 2, "repeats": 3, "folder": folder} | options))


def test_the_best_feasible_trials_are_retrained_and_no_infeasible_one(
    study: optuna.Study, tmp_path: Path
) -> None:
    results = retrain(study, tmp_path, top=3)
    assert [trial.number for trial in results] == [2, 3, 0]
    assert [trial.validation for trial in results] == [0.7, 0.6, 0.5]


def test_a_study_with_fewer_feasible_trials_retrains_all_of_them(
    study: optuna.Study, tmp_path: Path
) -> None:
    assert len(retrain(study, tmp_path, top=10, repeats=1)) == 4


def test_each_training_has_a_seed_of_its_own_and_the_same_one_in_another_call(
    study: optuna.Study, tmp_path: Path
) -> None:
    first, again, other = Toy(), Toy(), Toy()
    retrain(study, tmp_path / "first", objective=first)
    retrain(study, tmp_path / "again", objective=again)
    retrain(study, tmp_path / "other", objective=other, seed=1)
    assert len({seed for _, seed in first.asked}) == 6
    assert first.asked == again.asked
    assert not {seed for _, seed in first.asked} & {seed for _, seed in other.asked}


def test_mean_spread_and_spikes_are_those_of_the_repeats(
    study: optuna.Study, tmp_path: Path
) -> None:
    best = retrain(study, tmp_path)[0]
    accuracies = [repeat.test_accuracy for repeat in best.repeats]
    assert None not in accuracies
    assert best.mean == pytest.approx(np.mean(accuracies))  # type: ignore[arg-type]
    assert best.spread == pytest.approx(np.std(accuracies, ddof=1))  # type: ignore[arg-type]
    assert best.mean is not None and best.mean < best.validation
    assert best.spikes == {"out": pytest.approx(10 * (0.7 - best.mean))}


def test_one_repeat_has_no_spread(study: optuna.Study, tmp_path: Path) -> None:
    assert retrain(study, tmp_path, repeats=1)[0].spread is None


def test_weights_results_and_the_studys_attributes_are_kept(
    study: optuna.Study, tmp_path: Path
) -> None:
    folder = tmp_path / "new" / "folder"
    results = retrain(study, folder)
    assert list(read_results(folder)) == results
    for trial in results:
        for repeat in trial.repeats:
            with np.load(folder / f"trial-{trial.number}-repeat-{repeat.index}.npz") as stored:
                assert trial.params["x"] - stored["w"][0] == repeat.test_accuracy
    content = json.loads((folder / "results.json").read_text())
    assert content["study"] == "toy"
    assert content["trials"][0]["test_mean"] == results[0].mean
    assert study.user_attrs["retrained/2"] == {
        "test_mean": results[0].mean,
        "test_spread": results[0].spread,
        "n_repeats": 3,
        "validation": 0.7,
    }
    assert not list(folder.glob("*.tmp"))


def test_results_are_kept_after_each_training(study: optuna.Study, tmp_path: Path) -> None:
    seen: list[int] = []
    retrain(
        study,
        tmp_path,
        on_repeat=lambda trial, repeat: seen.append(
            sum(len(each.repeats) for each in read_results(tmp_path))
        ),
    )
    assert seen == [1, 2, 3, 4, 5, 6]


def test_resume_trains_only_what_is_missing(study: optuna.Study, tmp_path: Path) -> None:
    before = retrain(study, tmp_path, repeats=2)
    (tmp_path / "trial-2-repeat-1.npz").unlink()
    toy = Toy()
    after = retrain(study, tmp_path, objective=toy, repeats=3, resume=True)
    assert [(x, index) for x, index in zip([0.7, 0.7, 0.6], [1, 3, 3], strict=True)] == [
        (x, next(r.index for t in after for r in t.repeats if r.seed == seed))
        for x, seed in toy.asked
    ]
    assert after[1].repeats[:2] == before[1].repeats


def test_resume_with_less_asked_for_loses_none_of_what_is_there(
    study: optuna.Study, tmp_path: Path
) -> None:
    before = retrain(study, tmp_path, top=2, repeats=3)
    toy = Toy()
    fewer = retrain(study, tmp_path, objective=toy, top=1, repeats=2, resume=True)
    assert fewer == before[:1]  # all three repeats: each was a training of the same params
    assert read_results(tmp_path) == tuple(before)
    assert retrain(study, tmp_path, objective=toy, top=2, repeats=3, resume=True) == before
    assert toy.asked == []
    assert study.user_attrs["retrained/2"]["n_repeats"] == 3


def test_results_of_another_study_are_not_resumed(study: optuna.Study, tmp_path: Path) -> None:
    retrain(study, tmp_path)
    file = tmp_path / "results.json"
    file.write_text(file.read_text().replace('"toy"', '"another"'))
    before = file.read_bytes()
    with pytest.raises(RunError, match="results of study 'another', not of 'toy'; name another"):
        retrain(study, tmp_path, resume=True)
    assert file.read_bytes() == before


def test_numbers_of_numpy_are_results(study: optuna.Study, tmp_path: Path) -> None:
    class OfNumPy(Toy):
        def retrain(self, params: Any, seed: int) -> Retrained:
            mean = np.float32(1.5)
            return Retrained(np.float32(0.5), {"out": mean}, {"w": np.zeros(2)})  # type: ignore[arg-type, dict-item]

    results = retrain(study, tmp_path, objective=OfNumPy())
    assert list(read_results(tmp_path)) == results
    assert (results[0].mean, results[0].spikes) == (0.5, {"out": 1.5})


def test_an_accuracy_that_is_no_number_is_a_failed_training(
    study: optuna.Study, tmp_path: Path
) -> None:
    class Wordy(Toy):
        def retrain(self, params: Any, seed: int) -> Retrained:
            return Retrained("good", {}, {})  # type: ignore[arg-type]

    with pytest.raises(RunError, match="every training failed; the first one: ValueError"):
        retrain(study, tmp_path, objective=Wordy())


def test_results_are_not_replaced_by_those_of_another_retraining(
    study: optuna.Study, tmp_path: Path
) -> None:
    before = retrain(study, tmp_path)
    with pytest.raises(RunError, match="holds the results of a retraining; --resume keeps them"):
        retrain(study, tmp_path, seed=1)
    assert read_results(tmp_path) == tuple(before)


def test_another_interruption_of_a_resumed_retraining_loses_nothing(
    study: optuna.Study, tmp_path: Path
) -> None:
    before = retrain(study, tmp_path)
    (tmp_path / "trial-2-repeat-2.npz").unlink()

    class Interrupted(Toy):
        def retrain(self, params: Any, seed: int) -> Retrained:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        retrain(study, tmp_path, objective=Interrupted(), resume=True)
    assert sum(len(each.repeats) for each in read_results(tmp_path)) == 5
    toy = Toy()
    after = retrain(study, tmp_path, objective=toy, resume=True)
    assert [seed for _, seed in toy.asked] == [before[0].repeats[1].seed]
    assert [each.index for each in after[0].repeats] == [1, 2, 3]
    assert after[1] == before[1]


def test_resume_trains_what_has_failed(study: optuna.Study, tmp_path: Path) -> None:
    retrain(study, tmp_path, objective=Toy(fails_at=0.65))
    toy = Toy()
    after = retrain(study, tmp_path, objective=toy, resume=True)
    assert {x for x, _ in toy.asked} == {0.6}
    assert [len(each.test_accuracies) for each in after] == [3, 3]


@pytest.mark.filterwarnings("ignore:Choices for a categorical distribution")
def test_resume_knows_params_again_that_the_file_gives_back_as_another_type(
    tmp_path: Path,
) -> None:
    """Choices may be tuples, which JSON makes lists."""
    sizes = optuna.distributions.CategoricalDistribution([(3, 4), (5, 6)])
    x = optuna.distributions.FloatDistribution(0, 1)
    study = optuna.create_study(direction="maximize", study_name="toy")
    study.add_trial(
        optuna.trial.create_trial(
            value=0.5, params={"x": 0.5, "sizes": (3, 4)}, distributions={"x": x, "sizes": sizes}
        )
    )
    retrain(study, tmp_path)
    toy = Toy()
    retrain(study, tmp_path, objective=toy, resume=True)
    assert toy.asked == []


def test_resume_does_not_take_the_results_of_other_params(
    study: optuna.Study, tmp_path: Path
) -> None:
    retrain(study, tmp_path)
    toy = Toy()
    others = study_of([(x - 0.01, silence) for x, silence in POINTS])
    retrain(others, tmp_path, objective=toy, resume=True)
    assert len(toy.asked) == 6


def test_a_training_that_fails_is_told_and_the_others_go_on(
    study: optuna.Study, tmp_path: Path
) -> None:
    good, bad = retrain(study, tmp_path, objective=Toy(fails_at=0.65))
    assert (len(good.test_accuracies), bad.test_accuracies, bad.mean) == (3, [], None)
    assert {repeat.error for repeat in bad.repeats} == {"ArithmeticError: diverged"}
    assert not (tmp_path / "trial-3-repeat-1.npz").exists()


def test_nothing_is_reported_where_every_training_failed(
    study: optuna.Study, tmp_path: Path
) -> None:
    with pytest.raises(RunError, match=r"every training failed; the first one: Arithm.*diverged"):
        retrain(study, tmp_path, objective=Toy(fails_at=math.inf))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"top": 0}, "--top must be 1 or more, got 0"),
        ({"repeats": 0}, "--repeats must be 1 or more, got 0"),
        ({"objective": lambda trial: 0.0}, r"no method retrain\(params, seed\)"),
    ],
)
def test_wrong_options_are_refused(
    study: optuna.Study, tmp_path: Path, options: dict[str, Any], message: str
) -> None:
    with pytest.raises(RunError, match=message):
        retrain(study, tmp_path, **options)


def test_a_study_of_several_objective_values_is_refused(tmp_path: Path) -> None:
    study = optuna.create_study(directions=["maximize", "minimize"], study_name="two")
    study.optimize(lambda trial: (0.5, 3.0), n_trials=1)
    with pytest.raises(RunError, match="study 'two' has 2 objective values"):
        retrain(study, tmp_path)


def test_failed_pruned_and_running_trials_are_never_retrained(
    study: optuna.Study, tmp_path: Path
) -> None:
    """All of them have params, and values better than any."""
    finished = study.trials[0]
    for state in (optuna.trial.TrialState.FAIL, optuna.trial.TrialState.PRUNED):
        trial = optuna.trial.create_trial(
            state=state,
            params={"x": 1.0, "silence": -0.1},
            distributions=finished.distributions,
            intermediate_values={1: 1.0},
        )
        study.add_trial(trial)
    study.ask(finished.distributions)
    results = retrain(study, tmp_path, top=10, repeats=1)
    assert [trial.number for trial in results] == [2, 3, 0, 4]


def test_a_study_without_a_feasible_trial_is_refused(tmp_path: Path) -> None:
    with pytest.raises(RunError, match="study 'toy' has no feasible COMPLETE trial"):
        retrain(study_of([(0.9, 0.2)]), tmp_path)


def test_damaged_results_are_named(study: optuna.Study, tmp_path: Path) -> None:
    (tmp_path / "results.json").write_text("{}")
    with pytest.raises(RunError, match=r"results\.json holds no results"):
        retrain(study, tmp_path, resume=True)


def test_a_folder_that_cannot_be_written_is_named(study: optuna.Study, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(RunError, match="name another --folder"):
        retrain(study, tmp_path / "file")
