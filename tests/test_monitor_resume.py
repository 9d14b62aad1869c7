"""A monitor that goes on from another one's state ends as if it had seen all samples itself."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import numpy as np
import optuna
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from optuna.trial import FixedTrial

from optuna_snn.constraint_errors import CONSTRAINT_SD_KEY
from optuna_snn.monitor import SpikeMonitor
from optuna_snn.stored_spikes import SPIKES_KEY
from tests.helpers import repeatable

DEAD = np.zeros(16, dtype=int)

Step = tuple[str, Any, Any]
""""update", counts by layer and gaps by layer (or None); or "start_epoch", None, None."""


@st.composite
def options(draw: st.DrawFn) -> dict[str, Any]:
    """Options of a monitor of each kind."""
    rule = draw(st.sampled_from(["sequential", "paper", "record"]))
    chosen: dict[str, Any] = {
        "rule": rule,
        "alpha": draw(st.integers(1, 3)),
        "beta": draw(st.sampled_from([0.05, 0.1, 0.3])),
        "delta": draw(st.sampled_from([1e-3, 0.2])),
        "min_samples": draw(st.sampled_from([1, 4])),
        "warmup": draw(st.sampled_from([None, 0, 7])),
        "planned_samples": draw(st.sampled_from([None, 40, 4000])),
        "over_layers": draw(st.sampled_from(["any", "all"])),
        "layers": draw(st.sampled_from([None, ["exc", "inh"]])),
        "max_spikes": draw(st.sampled_from([None, 5])),
    }
    if rule == "paper":
        chosen["epoch_size"] = 30
    if rule == "sequential":
        chosen["window"] = draw(st.sampled_from([None, 8, 12]))
    return chosen


@st.composite
def steps(draw: st.DrawFn) -> list[Step]:
    """A training: batches of two layers (the second one may come late) and starts of epochs."""
    rng = np.random.default_rng(draw(st.integers(0, 2**32)))
    silence, has_gaps = rng.uniform(0, 1, size=2), draw(st.booleans())
    training: list[Step] = []
    for i in range(draw(st.integers(1, 25))):
        if rng.random() < 0.2:
            training.append(("start_epoch", None, None))
        n = int(rng.integers(0 if i else 1, 9))
        names = ["exc", "inh"] if i > 2 else ["exc", "inh"][: draw(st.integers(1, 2))]
        counts = {
            name: rng.integers(1, 9, size=n) * (rng.random(n) > silence[j])
            for j, name in enumerate(names)
        }
        gaps = {name: rng.random(n) for name in names} if has_gaps else None
        training.append(("update", counts, gaps))
    whole = {"exc": np.arange(3), "inh": np.arange(3)}
    training.append(("update", whole, dict.fromkeys(whole, rng.random(3)) if has_gaps else None))
    return training


def take(monitor: SpikeMonitor, training: list[Step]) -> list[Any]:
    """What the monitor says after each step."""
    said = []
    for kind, counts, gaps in training:
        if kind == "start_epoch":
            monitor.start_epoch()
        else:
            monitor.update(counts, gaps=gaps)
        said.append((monitor.is_silent, monitor.is_saturated, monitor.verdict, monitor.n_samples))
    return said


def stored(trial: FixedTrial) -> dict[str, Any]:
    return {
        "constraints": trial.constraints,
        "sds": trial.user_attrs.get(CONSTRAINT_SD_KEY),
        "report": trial.user_attrs.get(SPIKES_KEY),
    }


class Broken(Exception):
    """What ends a training early; a monitor stores without complaint then."""


def monitored(
    chosen: dict[str, Any], act: Callable[[SpikeMonitor], Any]
) -> tuple[FixedTrial, Any]:
    """Act inside a block, and leave it by an exception: there may be no judged sample."""
    trial = FixedTrial({})
    said = None
    try:
        with SpikeMonitor(trial, **chosen) as monitor:
            said = act(monitor)
            raise Broken
    except Broken:
        return trial, said


@settings(repeatable, max_examples=300)
@given(options(), steps(), st.data())
def test_interrupted_anywhere_and_resumed_it_says_and_stores_the_same(
    chosen: dict[str, Any], training: list[Step], data: st.DataObject
) -> None:
    cut = data.draw(st.integers(0, len(training)))
    whole_trial, said = monitored(chosen, lambda monitor: take(monitor, training))

    def until_the_cut(monitor: SpikeMonitor) -> Any:
        take(monitor, training[:cut])
        return json.loads(json.dumps(monitor.state()))

    _, state = monitored(chosen, until_the_cut)

    def from_the_cut(monitor: SpikeMonitor) -> Any:
        monitor.restore(state)
        assert monitor.n_samples == (said[cut - 1][3] if cut else 0)
        return take(monitor, training[cut:])

    resumed_trial, rest = monitored(chosen, from_the_cut)
    assert rest == said[cut:]
    assert stored(resumed_trial) == stored(whole_trial)


def test_a_training_too_short_for_its_warmup_is_judged_whole_by_the_resumed_monitor_too() -> None:
    with SpikeMonitor(FixedTrial({})) as monitor:
        monitor.update("output", DEAD)
        state = monitor.state()
    trial = FixedTrial({})
    with SpikeMonitor(trial) as monitor:
        monitor.restore(state)
    assert trial.constraints == {"silent/output": 0.9}


def test_what_a_dead_trial_had_stored_is_in_the_retry_at_once() -> None:
    study = optuna.create_study()
    with SpikeMonitor(study.ask(), warmup=0) as monitor:
        monitor.update("output", DEAD)
        state = monitor.state()
    trial = study.ask()
    with SpikeMonitor(trial, warmup=0) as monitor:
        monitor.restore(state)
        assert trial.user_attrs[SPIKES_KEY] == study.trials[0].user_attrs[SPIKES_KEY]


def test_a_resumed_monitor_still_finds_an_unjudged_layer_at_the_end() -> None:
    with SpikeMonitor(FixedTrial({}), warmup=8, layers=["exc", "inh"]) as monitor:
        monitor.update({"exc": DEAD, "inh": [0]})
        state = monitor.state()
        monitor.update("inh", DEAD)
    with (
        pytest.raises(ValueError, match=r"No sample was judged.*'inh': 1"),
        SpikeMonitor(FixedTrial({}), warmup=8, layers=["exc", "inh"]) as monitor,
    ):
        monitor.restore(state)


OPTIONS: dict[str, Any] = {"layers": ["exc"], "warmup": 0, "window": 32, "planned_samples": 99}


@pytest.mark.parametrize(
    ("changed", "complaint"),
    [
        ({"rule": "record", "window": None}, "its rule was 'sequential', .* is 'record'"),
        ({"warmup": 1}, "its warmup was 0, that of this monitor is 1"),
        ({"planned_samples": None}, "its planned_samples was 99"),
        ({"over_layers": "all"}, "its over_layers was 'any'"),
        ({"alpha": 2}, "layer 'exc' had the limits .'alpha': 1,.* it has .'alpha': 2,"),
        ({"beta": 0.2}, "layer 'exc' had the limits"),
        ({"delta": 0.5}, "layer 'exc' had the limits"),
        ({"min_samples": 5}, "layer 'exc' had the limits"),
        ({"max_spikes": 5}, "layer 'exc' had the limits"),
        ({"window": 64}, "layer 'exc' had the limits"),
        ({"layers": ["inh"]}, "it has no layer 'inh'"),
        ({"layers": ["exc", "inh"]}, "it has no layer 'inh'"),
        ({"layers": None}, "layer 'exc' had the limits"),
    ],
)
def test_a_state_of_other_options_is_refused(changed: dict[str, Any], complaint: str) -> None:
    with SpikeMonitor(FixedTrial({}), **OPTIONS) as monitor:
        monitor.update("exc", DEAD)
        state = monitor.state()
    with SpikeMonitor(FixedTrial({}), **{**OPTIONS, **changed}) as monitor:
        with pytest.raises(ValueError, match=f"cannot be restored: {complaint}"):
            monitor.restore(state)
        assert monitor.n_samples == 0
        monitor.update({name: DEAD for name in {**OPTIONS, **changed}["layers"] or ["exc"]})


def test_a_state_of_a_layer_that_is_not_declared_is_refused() -> None:
    with SpikeMonitor(FixedTrial({}), warmup=0) as monitor:
        monitor.update({"exc": DEAD, "other": DEAD})
        state = monitor.state()
    with SpikeMonitor(FixedTrial({}), warmup=0, layers=["exc"]) as monitor:
        with pytest.raises(ValueError, match="'other' was not declared"):
            monitor.restore(state)
        monitor.update("exc", DEAD)


@pytest.mark.parametrize(
    "change",
    [
        {"version": 2},
        {"report": None},
        {"epoch": 1},
        {"epoch": "2"},
        {"has_samples_in_epoch": 1},
    ],
)
def test_what_is_no_state_is_refused(change: dict[str, Any]) -> None:
    with SpikeMonitor(FixedTrial({}), warmup=0) as monitor:
        monitor.update("exc", DEAD)
        monitor.start_epoch()
        monitor.update("exc", DEAD)
        state = monitor.state()
        for wrong in (state | change, [], None):
            with (
                pytest.raises(ValueError, match="cannot be restored"),
                SpikeMonitor(FixedTrial({}), warmup=0) as other,
            ):
                other.restore(wrong)  # type: ignore[arg-type]


def test_state_and_restore_have_their_time() -> None:
    monitor = SpikeMonitor(FixedTrial({}), warmup=0)
    with pytest.raises(RuntimeError, match=r"state\(\) works inside its block"):
        monitor.state()
    with pytest.raises(RuntimeError, match=r"restore\(\) works inside its block"):
        monitor.restore({})
    with monitor:
        state = monitor.state()
        monitor.restore(state)
        monitor.update("exc", DEAD)
        with pytest.raises(RuntimeError, match="before the first update"):
            monitor.restore(state)


class Fires(torch.nn.Module):
    """A layer that returns its input as spikes."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x.clone()


def test_a_watching_monitor_goes_on_too() -> None:
    batches = (torch.rand(12, 4, 3, generator=torch.Generator().manual_seed(0)) > 0.7).float()
    trials = FixedTrial({}), FixedTrial({})
    state: dict[str, Any] = {}
    for trial, first, last in ((trials[0], 0, 12), (FixedTrial({}), 0, 5), (trials[1], 5, 12)):
        model = torch.nn.Sequential(Fires(), Fires())
        with SpikeMonitor(trial, warmup=4, rule="record") as monitor:
            monitor.watch(model, {"a": "0", "b": "1"}, {"a": "batch ...", "b": "batch ..."})
            if first:
                monitor.restore(state)
            for batch in batches[first:last]:
                model(batch)
                monitor.update()
            state = monitor.state()
    assert stored(trials[1]) == stored(trials[0])
    assert -0.1 < trials[0].constraints["silent/a"] < 0.9


def test_spikes_that_were_not_taken_in_cannot_be_lost_by_a_checkpoint() -> None:
    model = torch.nn.Sequential(Fires())
    with SpikeMonitor(FixedTrial({}), warmup=0) as monitor:
        monitor.watch(model, {"output": "0"}, {"output": "batch ..."})
        model(torch.ones(4, 3))
        with pytest.raises(ValueError, match=r"Call update\(\) before state\(\)"):
            monitor.state()
        monitor.update()
        assert monitor.state()["report"]["layers"]["output"]["seen"][0] == 0
