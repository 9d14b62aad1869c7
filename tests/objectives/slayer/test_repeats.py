import pickle
from pathlib import Path
from typing import Any

import optuna
import pytest
import torch
from optuna.trial import FixedTrial, TrialState

from optuna_snn.objectives.datasets import DataSplit
from optuna_snn.objectives.slayer.training import SLAYERTraining
from optuna_snn.pruner import SpikeActivityPruner
from optuna_snn.stored_spikes import spike_report
from tests.objectives.slayer.samples import split_of_stripes
from tests.objectives.slayer.trials import (
    LIVELY,
    make,
    results,
    run,
)


@pytest.fixture(scope="module")
def split() -> DataSplit:
    return split_of_stripes()


def test_seed_and_trial_number_determine_the_result(split: DataSplit) -> None:
    first = run(make(split), [LIVELY, LIVELY])
    again = run(make(split), [LIVELY, LIVELY])
    other = run(make(split, seed=1), [LIVELY, LIVELY])
    assert [results(trial) for trial in first] == [results(trial) for trial in again]
    assert results(first[0]) != results(first[1])
    assert results(first[0]) != results(other[0])
    assert results(first[1]) != results(other[0])


def test_without_a_seed_each_run_differs(split: DataSplit) -> None:
    first, second = (run(make(split, seed=None), [LIVELY])[0] for _ in range(2))
    assert results(first) != results(second)


def test_threads_do_not_disturb_each_other(split: DataSplit) -> None:
    params = [LIVELY | {"threshold": t} for t in (1.0, 1.5, 2.0, 2.5)]
    alone, together = (run(make(split), params, n_jobs=n_jobs) for n_jobs in (1, 3))
    assert [results(trial) for trial in alone] == [results(trial) for trial in together]


def test_an_objective_can_be_sent_to_another_process(split: DataSplit) -> None:
    objective = make(split)
    copy = pickle.loads(pickle.dumps(objective))
    assert [results(t) for t in run(objective, [LIVELY])] == [
        results(t) for t in run(copy, [LIVELY])
    ]


def test_a_trial_leaves_torch_as_it_was_and_prints_nothing(
    split: DataSplit, capfd: pytest.CaptureFixture[str]
) -> None:
    before, n_threads = torch.get_rng_state(), torch.get_num_threads()
    make(split)(FixedTrial(LIVELY))
    assert torch.equal(torch.get_rng_state(), before)
    assert torch.get_num_threads() == n_threads and torch.is_grad_enabled()
    assert capfd.readouterr() == ("", "")


class Died(Exception):
    """In the place of a worker's end."""


def test_a_retry_goes_on_after_the_last_epoch_and_ends_as_if_nothing_had_happened(
    split: DataSplit, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    objective = make(split, checkpoint_every_s=0, checkpoint_folder=tmp_path)
    params = LIVELY | {"epochs": 4}
    (whole,) = run(objective, [params])
    assert not list(tmp_path.rglob("*.ckpt"))

    study = optuna.create_study(direction="maximize", pruner=SpikeActivityPruner())
    study.enqueue_trial(params)
    n_epochs: list[int] = []
    run_epoch = SLAYERTraining.run_epoch

    def dying_in_the_third(self: SLAYERTraining) -> Any:
        n_epochs.append(self.n_epochs_done)
        for i, batch in enumerate(run_epoch(self)):
            if self.n_epochs_done == 2 and i == 4 and len(n_epochs) == 3:
                raise Died
            yield batch

    monkeypatch.setattr(SLAYERTraining, "run_epoch", dying_in_the_third)
    study.optimize(objective, n_trials=1, catch=Died)
    dead = study.trials[0]
    assert dead.state == TrialState.FAIL and len(dead.intermediate_values) == 2
    study.add_trial(
        optuna.trial.create_trial(
            state=TrialState.WAITING,
            system_attrs={"retry_history": [0], "fixed_params": params},
        )
    )
    study.optimize(objective, n_trials=1)
    retried = study.trials[1]
    assert n_epochs == [0, 1, 2, 2, 3]
    assert results(retried) == results(whole)
    assert spike_report(retried) == spike_report(whole)
    assert not list(tmp_path.rglob("*.ckpt"))


def test_a_retry_that_has_no_checkpoint_is_the_trial_that_died(split: DataSplit) -> None:
    objective = make(split)
    (whole,) = run(objective, [LIVELY])
    study = optuna.create_study(direction="maximize", pruner=SpikeActivityPruner())
    study.add_trial(optuna.trial.create_trial(state=TrialState.FAIL))
    study.add_trial(
        optuna.trial.create_trial(
            state=TrialState.WAITING,
            system_attrs={"retry_history": [0], "fixed_params": LIVELY},
        )
    )
    study.optimize(objective, n_trials=1)
    assert results(study.trials[1]) == results(whole)


def test_checkpoints_are_written_after_a_while_only(
    split: DataSplit, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    saved: list[object] = []
    monkeypatch.setattr("optuna_snn.checkpoints.Checkpoint.save", lambda s, state: saved.append(1))
    run(make(split, checkpoint_folder=tmp_path), [LIVELY])
    run(make(split, checkpoint_folder=tmp_path, checkpoint_every_s=None), [LIVELY])
    assert not saved
    run(make(split, checkpoint_folder=tmp_path, checkpoint_every_s=0), [LIVELY])
    assert saved == [1]  # of two epochs; after the last one there is nothing to go on with
