"""The study that chooses alpha and beta stops nothing, and can be replayed."""

from pathlib import Path

import optuna
import pytest

from optuna_snn import replay
from optuna_snn.workers.study_file import load_study_file

pytest.importorskip("mlxtend")

STUDY_FILE = Path(__file__).parents[2] / "studies" / "choosing_alpha_beta.py"

DEAD = {
    "decoder": "all_activity",
    "map_size": 20,
    "nu_pre": 1e-4,
    "nu_post": 1e-2,
    "strength_exc": 1.0,
    "strength_inh": 120.0,
    "norm": 4.0,
    "e_thresh": 0.0,
    "theta_plus": 0.2,
    "e_tc_decay": 100.0,
    "i_thresh": 0.0,
    "e_refrac": 5,
}


@pytest.mark.slow
def test_a_dead_network_is_trained_to_its_end_and_the_replay_would_have_stopped_it() -> None:
    definition = load_study_file(STUDY_FILE)
    study = optuna.create_study(direction=definition.direction, pruner=definition.pruner())
    study.enqueue_trial(DEAD)
    study.optimize(definition.objective, n_trials=1)
    assert [trial.state.name for trial in study.trials] == ["COMPLETE"]
    (recorded,) = replay(study).trials
    assert (recorded.verdict.is_stopped, recorded.samples_spent) == (False, 3000)
    (stopped,) = replay(study, rule="sequential").trials
    assert (stopped.verdict.is_stopped, stopped.samples_spent) == (True, 48)
    constraints = study.trials[0].constraints
    assert max(constraints.values()) == pytest.approx(0.9)
