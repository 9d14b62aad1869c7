"""Gaps that users hand to a monitor."""

import math
from typing import Any

import numpy as np
import optuna
import pytest
import torch
from optuna.trial import FixedTrial

from optuna_snn.monitor import SpikeMonitor
from optuna_snn.stored_spikes import spike_report

DEAD = np.zeros(4, dtype=int)
HALF = 0.1 + math.log(2)
"""By what the excess is multiplied where the potentials went half the way."""


def monitor(trial: Any = None, **options: Any) -> SpikeMonitor:
    return SpikeMonitor(trial or FixedTrial({}), warmup=0, **options)


@pytest.mark.parametrize("kind", [list, np.array, torch.tensor])
def test_gaps_of_one_layer_grade_its_constraint(kind: Any) -> None:
    trial = FixedTrial({})
    with monitor(trial) as watched:
        watched.update("output", DEAD, gaps=kind([0.25, 0.5, 0.5, 0.75]))
    assert trial.constraints == {"silent/output": pytest.approx(0.9 * HALF)}


def test_gaps_of_several_layers_come_as_a_mapping_and_may_leave_some_out() -> None:
    trial = FixedTrial({})
    with monitor(trial) as watched:
        watched.update({"exc": DEAD, "inh": DEAD}, gaps={"exc": [0.5] * 4})
    assert trial.constraints == {
        "silent/exc": pytest.approx(0.9 * HALF),
        "silent/inh": pytest.approx(0.9),
    }


def test_what_is_stored_gives_the_same_constraint() -> None:
    def objective(trial: optuna.Trial) -> float:
        with monitor(trial) as watched:
            watched.update("output", DEAD, gaps=[0.1, 0.2, 0.3, 0.4])
            watched.start_epoch()
            watched.update("output", DEAD, gaps=[0.6, 0.7, 0.8, 0.9])
        return 0.0

    study = optuna.create_study()
    study.optimize(objective, n_trials=1)
    report = spike_report(study.trials[0])
    assert report is not None
    assert study.trials[0].constraints == {"silent/output": report.constraints["output"]}
    assert report.layers["output"].activity.mean_gap == pytest.approx(0.75, abs=1e-6)


@pytest.mark.parametrize(
    ("gaps", "complaint"),
    [
        ([0.5] * 3, r"shape \(4,\) as the counts have, got shape \(3,\) for layer 'output'"),
        (0.5, r"got shape \(\) for layer 'output'"),
        ([0.5, 0.5, 0.5, -0.1], "from 0 to 1, got -0.1 for layer 'output'"),
        ([0.5, 0.5, 0.5, 1.5], "from 0 to 1, got 1.5 for layer 'output'"),
        ([0.5, 0.5, 0.5, np.nan], "from 0 to 1, got nan"),
        ([0.5, 0.5, 0.5, np.inf], "from 0 to 1, got inf"),
        (["a", "b", "c", "d"], "cannot be read as an array"),
    ],
)
def test_gaps_that_are_none_are_refused_and_nothing_is_taken_in(gaps: Any, complaint: str) -> None:
    with monitor() as watched:
        with pytest.raises(ValueError, match=complaint):
            watched.update("output", DEAD, gaps=gaps)
        with pytest.raises(ValueError, match=complaint):
            watched.update({"exc": DEAD, "output": DEAD}, gaps={"output": gaps})
        assert watched.n_samples == 0
        watched.update("output", DEAD)


def test_gaps_without_their_counts_are_refused() -> None:
    with monitor() as watched:
        with pytest.raises(ValueError, match="gaps names layer 'inh', of which there are no"):
            watched.update({"exc": DEAD}, gaps={"inh": [0.5] * 4})
        for arguments, gaps in [
            (({"exc": DEAD},), [0.5] * 4),
            (("exc", DEAD), {"exc": [0.5] * 4}),
            ((), {"exc": [0.5] * 4}),
        ]:
            with pytest.raises(TypeError, match="a layer's name and its counts"):
                watched.update(*arguments, gaps=gaps)
        watched.update("exc", DEAD)


def test_a_layer_has_gaps_in_all_its_updates_or_in_none() -> None:
    with monitor() as watched:
        watched.update({"exc": DEAD, "inh": DEAD}, gaps={"exc": [0.5] * 4})
        with pytest.raises(ValueError, match=r"Layer 'exc': .*all updates of a layer or in none"):
            watched.update({"inh": DEAD, "exc": DEAD})
        with pytest.raises(ValueError, match=r"Layer 'inh': .*all updates of a layer or in none"):
            watched.update("inh", DEAD, gaps=[0.5] * 4)
        assert watched.n_samples == 4
