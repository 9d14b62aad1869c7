import pickle

import pytest
import torch
from optuna.trial import FixedTrial

from optuna_snn.objectives.datasets import DataSplit
from tests.objectives.slayer.samples import split_of_stripes
from tests.objectives.slayer.trials import LIVELY, make, results, run


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
