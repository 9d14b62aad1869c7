"""Which engine computes the networks, and what happens where one is missing."""

from __future__ import annotations

import logging
import sys
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from optuna_snn import stdp_engine
from optuna_snn.backends import MissingPackageError, bindsnet
from optuna_snn.objectives.datasets import DataSplit, stratified_split
from optuna_snn.objectives.stdp import compiled
from optuna_snn.objectives.stdp.compiled import CompiledNetwork
from optuna_snn.objectives.stdp.engines import build_network, chosen_engine
from optuna_snn.objectives.stdp.simulated import SimulatedNetwork
from optuna_snn.stdp_engine import compiler
from tests.objectives.stdp.test_diehl_cook import LIVELY as LIVELY_CONFIG
from tests.objectives.stdp.test_objective import LIVELY, SETUP, make, run, stripes


@pytest.fixture(scope="module")
def split() -> DataSplit:
    return stratified_split(stripes(), n_train=72, n_validation=30, n_test=30, seed=0)


def without_numba(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(compiler, "is_installed", lambda: False)


def without_bindsnet(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse() -> None:
        raise MissingPackageError("BindsNET is not installed")

    monkeypatch.setattr(bindsnet, "load", refuse)


def test_auto_takes_the_compiled_engine_on_a_cpu_and_bindsnet_elsewhere(
    caplog: pytest.LogCaptureFixture,
) -> None:
    with caplog.at_level(logging.INFO, "optuna_snn"):
        assert chosen_engine("auto") == "compiled"
        assert not caplog.records
        assert chosen_engine("auto", "cuda:1") == "bindsnet"
    assert caplog.messages == ["BindsNET computes the networks, since the device is cuda:1."]
    assert chosen_engine("bindsnet") == "bindsnet"


def test_auto_falls_back_to_bindsnet_and_says_why(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    without_numba(monkeypatch)
    with caplog.at_level(logging.INFO, "optuna_snn"):
        assert chosen_engine("auto") == "bindsnet"
    assert 'Numba is not installed (pip install "optuna-snn[fast]")' in caplog.text


def test_what_is_asked_for_by_name_must_be_there(monkeypatch: pytest.MonkeyPatch) -> None:
    without_numba(monkeypatch)
    without_bindsnet(monkeypatch)
    with pytest.raises(MissingPackageError, match=r"Numba.* not installed"):
        chosen_engine("compiled")
    with pytest.raises(MissingPackageError, match=r"^BindsNET is not installed$"):
        chosen_engine("bindsnet")
    with pytest.raises(MissingPackageError, match=r"No engine.*fast.*backends install bindsnet"):
        chosen_engine("auto")


def test_the_compiled_engine_on_another_device_and_an_unknown_one_are_refused() -> None:
    with pytest.raises(ValueError, match=r'runs on a CPU, and device=\'cuda\'; take device="cpu"'):
        chosen_engine("compiled", "cuda")
    with pytest.raises(ValueError, match=r"one of \('auto', 'compiled', 'bindsnet'\), got 'fast'"):
        chosen_engine("fast")  # type: ignore[arg-type]


def test_the_compiled_objective_does_without_bindsnet(
    split: DataSplit, monkeypatch: pytest.MonkeyPatch
) -> None:
    without_bindsnet(monkeypatch)
    monkeypatch.setitem(sys.modules, "bindsnet", None)
    objective = make(split)
    assert objective.engine == "compiled"
    (trial,) = run(objective, [LIVELY])
    assert trial.value is not None and trial.value >= 0.5


def test_the_objective_without_numba_runs_in_bindsnet(
    split: DataSplit, monkeypatch: pytest.MonkeyPatch
) -> None:
    without_numba(monkeypatch)
    monkeypatch.setattr(compiler, "load", compiler.require)
    objective = make(split)
    (trial,) = run(objective, [LIVELY])
    assert objective.engine == trial.user_attrs["engine"] == "bindsnet"
    assert trial.value is not None and trial.value >= 0.5


def test_both_engines_give_a_trial_the_same_attributes_and_judge_it_alike(
    split: DataSplit,
) -> None:
    """Batch by batch and sample by sample: the same keys, states and feasibility."""
    params: list[dict[str, Any]] = [LIVELY, LIVELY | {"norm": 1e-3}, LIVELY | {"norm": 0.05}]
    for batch_size in (1, 8):
        setup = replace(SETUP, batch_size=batch_size)
        ours_all, theirs_all = (
            run(make(split, setup=setup, engine=engine, membranes=True), params)
            for engine in ("compiled", "bindsnet")
        )
        for ours, theirs in zip(ours_all, theirs_all, strict=True):
            assert ours.state == theirs.state
            assert ours.user_attrs.keys() == theirs.user_attrs.keys()
            assert ours.constraints.keys() == theirs.constraints.keys()
            for name, value in ours.constraints.items():
                assert value == pytest.approx(theirs.constraints[name], rel=0.1, abs=0.05)
        assert ours_all[0].value == pytest.approx(theirs_all[0].value, abs=0.25)


def test_both_engines_begin_with_the_same_weights() -> None:
    ours, theirs = (
        build_network(engine, LIVELY_CONFIG, n_inputs=30, rng=np.random.default_rng(3))
        for engine in ("compiled", "bindsnet")
    )
    assert isinstance(ours, CompiledNetwork) and isinstance(theirs, SimulatedNetwork)
    np.testing.assert_allclose(ours.learned.weights, theirs.learned.weights, rtol=1e-6)
    assert not ours.learned.theta_mv.any() and not theirs.learned.theta_mv.any()


@pytest.mark.parametrize("engine", ["compiled", "bindsnet"])
def test_a_restored_network_goes_on_as_the_first_did(engine: Any) -> None:
    rates_hz = np.random.default_rng(0).uniform(0, 200, size=(8, 30))
    options: dict[str, Any] = {"n_steps": 60, "batch_size": 2}
    first, second = (
        build_network(engine, LIVELY_CONFIG, n_inputs=30, rng=np.random.default_rng(seed))
        for seed in (0, 1)
    )
    first.learn(rates_hz, **options, rng=np.random.default_rng(0))
    second.restore(first.learned)
    states = []
    for network in (first, second):
        fired = network.learn(rates_hz, **options, rng=np.random.default_rng(1))
        states.append((*network.learned, *fired.counts.values()))
    assert states[0][2].sum() > 0
    for ours, theirs in zip(*states, strict=True):
        assert np.array_equal(ours, theirs)


@pytest.mark.parametrize("engine", ["compiled", "bindsnet"])
def test_what_is_restored_must_fit_and_what_was_learned_is_a_copy(engine: Any) -> None:
    small, large = (
        build_network(
            engine,
            replace(LIVELY_CONFIG, map_size=size),
            n_inputs=30,
            rng=np.random.default_rng(0),
        )
        for size in (3, 4)
    )
    with pytest.raises(ValueError, match=r"weights \(30, 3\) and thetas \(3,\); .* has \(30, 4\)"):
        small.restore(large.learned)
    copy = small.learned
    copy.weights[:] = -1
    assert small.learned.weights.min() >= 0


def test_seeds_of_the_compiled_network_do_not_depend_on_how_samples_are_grouped() -> None:
    rates_hz = np.random.default_rng(0).uniform(0, 200, size=(5, 30))
    responses = []
    for groups in ([rates_hz], [rates_hz[:2], rates_hz[2:]]):
        network = CompiledNetwork(LIVELY_CONFIG, n_inputs=30, rng=np.random.default_rng(0))
        rng = np.random.default_rng(7)
        parts = [network.respond(group, n_steps=50, rng=rng).counts for group in groups]
        responses.append(np.concatenate(parts))
    assert responses[0].sum() > 20
    assert np.array_equal(*responses)


@pytest.mark.parametrize(("batch_size", "largest"), [(1, 4), (3, 3), (8, 8)])
def test_long_stretches_of_learning_keep_few_input_spikes_in_memory(
    batch_size: int, largest: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And neither what is learnt nor what is fired depends on it."""
    rates_hz = np.random.default_rng(0).uniform(0, 200, size=(21, 30))
    drawn: list[int] = []

    def draw(probabilities: Any, **options: Any) -> Any:
        drawn.append(len(probabilities))
        return stdp_engine.draw_spikes(probabilities, **options)

    outcomes = []
    monkeypatch.setattr(compiled, "stdp_engine", SimpleNamespace(**vars(stdp_engine)))
    monkeypatch.setattr(compiled.stdp_engine, "draw_spikes", draw)
    for chunk in (1000, 4):
        monkeypatch.setattr(compiled, "CHUNK", chunk)
        drawn.clear()
        network = CompiledNetwork(LIVELY_CONFIG, n_inputs=30, rng=np.random.default_rng(0))
        fired = network.learn(
            rates_hz,
            n_steps=50,
            batch_size=batch_size,
            rng=np.random.default_rng(1),
            reads_membranes=True,
        )
        assert fired.gaps is not None
        outcomes.append((*network.learned, *fired.counts.values(), *fired.gaps.values()))
    assert max(drawn) == largest and sum(drawn) == 21
    assert outcomes[0][2].sum() > 20
    for whole, parts in zip(*outcomes, strict=True):
        assert np.array_equal(whole, parts)


def test_wrong_rates_and_steps_are_refused_by_the_compiled_network() -> None:
    network = CompiledNetwork(LIVELY_CONFIG, n_inputs=30, rng=np.random.default_rng(0))
    rng = np.random.default_rng(0)
    with pytest.raises(ValueError, match="0 <= rate_hz <= 1000"):
        network.respond(np.full((1, 30), 1001.0), n_steps=5, rng=rng)
    with pytest.raises(ValueError, match="n_steps >= 1, got 0"):
        network.respond(np.zeros((1, 30)), n_steps=0, rng=rng)
    with pytest.raises(ValueError, match="must be in 0 to 29, got 0 to 30"):
        network.respond(np.full((1, 31), 1000.0), n_steps=5, rng=rng)
