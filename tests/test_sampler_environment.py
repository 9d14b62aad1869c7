"""An ask leaves the process as it found it: threads, devices, random states, warnings."""

import random
import subprocess
import sys
import threading
from collections.abc import Iterator
from typing import Any

import numpy as np
import optuna
import pytest
import torch
from threadpoolctl import threadpool_info

from optuna_snn import SCBOSampler
from optuna_snn.scbo import suggest
from optuna_snn.scbo.paths import Path
from optuna_snn.threads import one_thread_on_cpu
from tests.helpers import bowl


def study_with_model(n_trials: int = 4) -> optuna.Study:
    """A study whose next ask uses the model, its first one after three trials."""
    study = optuna.create_study(sampler=SCBOSampler(seed=0, n_startup_trials=3))
    study.optimize(bowl(2), n_trials=n_trials)
    return study


@pytest.fixture
def three_threads() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(3)
    yield
    torch.set_num_threads(before)


def blas_threads() -> list[int]:
    return [pool["num_threads"] for pool in threadpool_info() if pool["user_api"] == "blas"]


def test_an_ask_runs_on_one_thread_and_gives_the_others_back(
    three_threads: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen = []
    original = suggest.draw_path

    def watched(*args: Any) -> Path:
        seen.append((torch.get_num_threads(), blas_threads()))
        return original(*args)

    monkeypatch.setattr(suggest, "draw_path", watched)
    study, before = study_with_model(), blas_threads()
    study.optimize(bowl(2), n_trials=1)
    assert seen[-1][0] == 1 and set(seen[-1][1]) <= {1}
    assert torch.get_num_threads() == 3 and blas_threads() == before


def test_threads_and_device_are_given_back_after_an_error(
    three_threads: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise MemoryError

    monkeypatch.setattr(suggest, "draw_path", fail)
    study, before = study_with_model(n_trials=3), blas_threads()
    with pytest.raises(MemoryError):
        study.optimize(bowl(2), n_trials=1)
    assert torch.get_num_threads() == 3 and blas_threads() == before
    assert torch.get_default_device().type == "cpu"


def test_threads_that_ask_at_once_all_get_their_own_number_of_threads_back(
    three_threads: None,
) -> None:
    # torch counts threads for each thread: the last to leave cannot restore the first one's.
    both_inside, first_left = threading.Barrier(2), threading.Event()
    inside, after = {}, {}

    def work(name: str) -> None:
        with one_thread_on_cpu():
            both_inside.wait(timeout=30)
            inside[name] = torch.get_num_threads()
            if name == "last":
                first_left.wait(timeout=30)
        after[name] = torch.get_num_threads()
        first_left.set()

    threads = [threading.Thread(target=work, args=(name,)) for name in ("first", "last")]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert inside == {"first": 1, "last": 1}
    assert after == {"first": 3, "last": 3}


def test_the_default_device_is_neither_used_nor_changed() -> None:
    study = study_with_model()
    torch.set_default_device("meta")  # tensors made there by mistake hold no numbers
    try:
        study.optimize(bowl(2), n_trials=2)
        assert torch.get_default_device().type == "meta"
    finally:
        torch.set_default_device(None)
    assert len({tuple(t.params.values()) for t in study.trials}) == 6


@pytest.mark.parametrize("seed", [0, None])
def test_global_random_states_are_left_alone(seed: int | None) -> None:
    study = optuna.create_study(sampler=SCBOSampler(seed=seed, n_startup_trials=3))
    torch.manual_seed(1)
    before = torch.random.get_rng_state(), np.random.get_state()[1].copy(), random.getstate()  # type: ignore[index]
    study.optimize(bowl(2), n_trials=6)
    assert torch.equal(torch.random.get_rng_state(), before[0])
    assert (np.random.get_state()[1] == before[1]).all()  # type: ignore[index]
    assert random.getstate() == before[2]


def test_global_seeds_do_not_change_what_is_drawn() -> None:
    drawn = []
    for seed in (1, 2):
        torch.manual_seed(seed)
        np.random.seed(seed)
        random.seed(seed)
        drawn.append([t.params for t in study_with_model().trials])
    assert drawn[0] == drawn[1]


def test_a_normal_run_gives_no_warning_and_no_log_line(
    recwarn: pytest.WarningsRecorder, caplog: pytest.LogCaptureFixture
) -> None:
    study_with_model().optimize(bowl(2), n_trials=3)
    assert [str(w.message) for w in recwarn] == []
    assert [r.getMessage() for r in caplog.records if r.name.startswith("optuna_snn")] == []


def test_importing_the_package_imports_nothing_that_takes_long() -> None:
    code = "import sys, optuna_snn; sys.exit(bool({'torch', 'scipy.stats'} & set(sys.modules)))"
    assert subprocess.run([sys.executable, "-c", code], timeout=120).returncode == 0
