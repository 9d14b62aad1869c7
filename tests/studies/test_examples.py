"""The examples, one for each framework: one network learns, a silent one is stopped."""

from pathlib import Path
from typing import Any

import optuna
import pytest
import torch

from optuna_snn.stored_spikes import spike_report
from optuna_snn.workers.study_file import load_study_file

FOLDER = Path(__file__).parents[2] / "studies" / "examples"
N_LINES = 40

CASES: dict[str, tuple[dict[str, Any], dict[str, Any], set[str]]] = {
    "snntorch": (
        {"beta": 0.9, "threshold": 0.12, "lr": 1e-3},
        {"beta": 0.1, "threshold": 900.0, "lr": 1e-3},
        {"silent/hidden", "silent/output"},
    ),
    "spikingjelly": (
        {"tau": 5.0, "threshold": 0.05, "lr": 3e-3},
        {"tau": 5.0, "threshold": 90.0, "lr": 1e-3},
        {"silent/hidden", "silent/output"},
    ),
    "lava_dl": (
        {"current": 0.25, "voltage": 0.1, "threshold": 3.0, "lr": 3e-3},
        {"current": 0.9, "voltage": 0.9, "threshold": 90.0, "lr": 1e-3},
        {"silent/hidden", "silent/output"},
    ),
    "bindsnet": (
        {"norm": 60.0, "inh": 120.0},
        {"norm": 5.0, "inh": 120.0},
        {"silent/Ae", "silent/Ai"},
    ),
}
"""Framework -> parameters of a network that learns, of a silent one, and the constraints."""


def test_every_example_is_run_here() -> None:
    assert {path.stem for path in FOLDER.glob("*.py")} == {f"{each}_digits" for each in CASES}


@pytest.mark.parametrize("framework", CASES)
def test_an_example_has_at_most_forty_lines(framework: str) -> None:
    assert len((FOLDER / f"{framework}_digits.py").read_text().splitlines()) <= N_LINES


@pytest.mark.slow
@pytest.mark.parametrize("framework", CASES)
def test_a_network_learns_and_a_silent_one_is_stopped(framework: str) -> None:
    """Guessing has 10 %."""
    good, silent, constraints = CASES[framework]
    file = load_study_file(FOLDER / f"{framework}_digits.py")
    study = optuna.create_study(
        direction=file.direction, sampler=file.sampler(), pruner=file.pruner()
    )
    study.enqueue_trial(good)
    study.enqueue_trial(silent)
    with torch.random.fork_rng():
        torch.manual_seed(0)
        study.optimize(file.objective, n_trials=2)
    learnt, stopped = study.trials
    assert (learnt.state.name, stopped.state.name) == ("COMPLETE", "PRUNED")
    assert learnt.value is not None and learnt.value > 0.3
    assert learnt.constraints.keys() == stopped.constraints.keys() == constraints
    assert max(learnt.constraints.values()) <= 0 < max(stopped.constraints.values())
    report = spike_report(stopped)
    assert report is not None and report.samples_seen <= report.warmup + 48
