"""The objective with inhibition by distance, on recordings of events and on images."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import optuna
import pytest
from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution
from optuna.trial import FrozenTrial, TrialState

from optuna_snn.objectives import STDPObjective, STDPSetup, stdp_config
from optuna_snn.objectives.search_space import SearchSpace
from optuna_snn.objectives.stdp.distance import DistanceConfig
from optuna_snn.objectives.stdp.engines import EngineName, build_network
from optuna_snn.objectives.stdp.presenting import learn_from
from optuna_snn.objectives.stdp.spaces import DISTANCE_DECODERS, default_config
from optuna_snn.objectives.stdp.training import STDPTraining
from optuna_snn.pruner import SpikeActivityPruner
from tests.objectives.slayer.samples import (
    EventStripes,
    split_of_event_stripes,
    split_of_stripes,
)

SETUP = STDPSetup(n_steps=20, batch_size=1, n_assign=None, network="distance")
SPACE: SearchSpace = {
    "decoder": CategoricalDistribution(DISTANCE_DECODERS),
    "epochs": IntDistribution(1, 3),
    "map_size": IntDistribution(1, 30),
    "norm": FloatDistribution(1e-3, 60.0),
    "e_tc_trace": FloatDistribution(5, 5000),
    "reset_interval": IntDistribution(1, 100),
    "strength_inh": FloatDistribution(0, 300),
}
LIVELY = {
    "decoder": "log", "epochs": 2, "map_size": 15, "norm": 12.0, "e_tc_trace": 30.0,
    "reset_interval": 20, "strength_inh": 10.0,
}  # fmt: skip
SILENT = LIVELY | {"norm": 1e-3}
engines = pytest.mark.parametrize("engine", ["compiled", "bindsnet"])


def run(objective: STDPObjective, *params: dict[str, Any]) -> list[FrozenTrial]:
    study = optuna.create_study(direction="maximize", pruner=SpikeActivityPruner())
    for each in params:
        study.enqueue_trial(each)
    study.optimize(objective, n_trials=len(params))
    return study.trials


def make(split: Any, **options: Any) -> STDPObjective:
    given = {"space": SPACE, "setup": SETUP, "seed": 0, "warmup": 16} | options
    return STDPObjective(split, **given)


@engines
def test_a_network_learns_recordings_of_events(engine: EngineName) -> None:
    (trial,) = run(make(split_of_event_stripes(), engine=engine), LIVELY)
    assert trial.state == TrialState.COMPLETE
    assert trial.value == trial.user_attrs["accuracy/log"] >= 0.8  # a third by chance
    found = {n for n in trial.user_attrs if n.startswith("accuracy/")}
    assert found == {f"accuracy/{name}" for name in DISTANCE_DECODERS}
    assert set(trial.constraints) == {"silent/excitatory", "silent/inhibitory"}


def test_both_engines_end_at_the_same_accuracies() -> None:
    """They draw nothing but the initial weights, which are the same."""
    split = split_of_event_stripes()
    compiled, bindsnet = (
        run(make(split, engine=engine), LIVELY)[0] for engine in ("compiled", "bindsnet")
    )
    for name in DISTANCE_DECODERS:
        key = f"accuracy/{name}"
        assert compiled.user_attrs[key] == pytest.approx(bindsnet.user_attrs[key], abs=0.04)


@engines
def test_both_engines_begin_with_the_same_weights_and_learn_the_same(engine: EngineName) -> None:
    config = stdp_config(LIVELY, default_config("distance")).network
    first, other = (
        build_network(each, config, n_inputs=72, rng=np.random.default_rng(5))
        for each in ("compiled", engine)
    )
    samples, indices = split_of_event_stripes().train, np.arange(10)
    fired = [
        learn_from(each, samples, indices, SETUP, np.random.default_rng(0), reads_membranes=True)
        for each in (first, other)
    ]
    for layer in ("excitatory", "inhibitory"):
        assert np.array_equal(fired[0].counts[layer], fired[1].counts[layer])
        assert fired[0].gaps is not None and fired[1].gaps is not None
        np.testing.assert_allclose(fired[0].gaps[layer], fired[1].gaps[layer], atol=1e-4)
    assert fired[0].counts["excitatory"].sum() > 20
    np.testing.assert_allclose(first.learned.weights, other.learned.weights, atol=1e-4)


@engines
@pytest.mark.parametrize("membranes", [False, True])
def test_a_report_of_many_recordings_has_few_of_them_in_memory_and_learns_the_same(
    engine: EngineName, membranes: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Spikes of 1000 recordings of DVS128 Gesture are 3 GB."""
    samples = split_of_event_stripes().train
    config = stdp_config(LIVELY, default_config("distance"))
    n_shown: list[int] = []
    frames = EventStripes.frames

    def noted(self: EventStripes, indices: Any, *, n_steps: int) -> Any:
        n_shown.append(len(indices))
        return frames(self, indices, n_steps=n_steps)

    monkeypatch.setattr(EventStripes, "frames", noted)
    ends = []
    for report_every in (6, 60):
        setup = replace(SETUP, batch_size=3, report_every=report_every)
        training = STDPTraining(
            config, samples, setup, np.random.default_rng(0), membranes=membranes, engine=engine
        )
        reports = list(training.batches())
        ends.append((reports, training.network.learned))
    assert max(n_shown) == 15  # whole batches, and no more than 16
    assert [len(reports) for reports, _ in ends] == [20, 2]
    for field in ("counts", "gaps") if membranes else ("counts",):
        for layer in ("excitatory", "inhibitory"):
            few, many = (
                np.concatenate([getattr(each, field)[layer] for each in reports])
                for reports, _ in ends
            )
            assert np.array_equal(few, many)
    assert all(report.gaps is None for report in ends[0][0]) != membranes
    for one, other in zip(ends[0][1], ends[1][1], strict=True):
        assert np.array_equal(one, other)


@engines
def test_a_silent_network_is_pruned_before_it_is_decoded(engine: EngineName) -> None:
    (trial,) = run(make(split_of_event_stripes(), engine=engine), SILENT)
    assert trial.state == TrialState.PRUNED
    assert trial.constraints["silent/excitatory"] == pytest.approx(0.9)
    assert not [name for name in trial.user_attrs if name.startswith("accuracy/")]


def test_images_are_learnt_too() -> None:
    (trial,) = run(make(split_of_stripes(), setup=replace(SETUP, intensity_hz=700.0)), LIVELY)
    assert trial.value is not None and trial.value >= 0.8


def test_retraining_tests_the_network_on_recordings_it_never_saw() -> None:
    objective = make(split_of_event_stripes())
    found = objective.retrain(LIVELY, 3)
    assert found.test_accuracy >= 0.8
    assert found.spikes["excitatory"] > 1
    assert found.weights["weights"].shape == (72, 15)
    assert objective.retrain(LIVELY, 3).test_accuracy == found.test_accuracy


@pytest.mark.parametrize("n_batches", [1, 4])
def test_a_training_left_and_resumed_learns_the_same(n_batches: int) -> None:
    config = stdp_config(LIVELY, default_config("distance"))
    samples = split_of_event_stripes().train
    whole, left, resumed = (
        STDPTraining(config, samples, SETUP, np.random.default_rng(seed)) for seed in (1, 1, 2)
    )
    for _ in whole.batches():
        pass
    for _, _ in zip(range(n_batches), left.batches(), strict=False):
        pass
    resumed.restore(left.state())
    for _ in resumed.batches():
        pass
    assert np.array_equal(whole.network.learned.weights, resumed.network.learned.weights)


def test_the_network_of_diehl_and_cook_refuses_recordings() -> None:
    with pytest.raises(ValueError, match=r'take STDPSetup\(network="distance"\)'):
        make(split_of_event_stripes(), setup=STDPSetup(), space={})


def test_each_network_has_its_own_parameters_and_decoders() -> None:
    with pytest.raises(ValueError, match="Unknown hyperparameter 'e_tc_trace'"):
        make(split_of_stripes(), setup=STDPSetup(), space={"e_tc_trace": FloatDistribution(5, 9)})
    with pytest.raises(ValueError, match=r"decoder must be one of .*'svm'.*, got '3gram'"):
        make(split_of_stripes(), space={"decoder": CategoricalDistribution(["3gram"])})
    with pytest.raises(ValueError, match=r"decoder must be one of .*got 'svm'"):
        make(
            split_of_stripes(),
            setup=STDPSetup(),
            space={"decoder": CategoricalDistribution(["svm"])},
        )
    with pytest.raises(ValueError, match=r"network must be one of .*got 'ring'"):
        STDPSetup(network="ring")  # type: ignore[arg-type]


def test_the_parameters_of_a_trial_reach_the_network() -> None:
    network = stdp_config(LIVELY, default_config("distance")).network
    assert isinstance(network, DistanceConfig)
    assert (network.e_tc_trace_ms, network.reset_interval_ms) == (30.0, 20)
    assert network.map_size == 15
