"""Several workers, processes and threads share one search; nothing lives outside the storage."""

import copy
import json
import os
import pickle
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import numpy as np
import optuna
import pytest
from optuna.distributions import FloatDistribution
from optuna.trial import Trial, TrialState

from optuna_snn import SCBOSampler
from optuna_snn.history import read_state, read_tag
from optuna_snn.scbo.fold import Tag
from optuna_snn.scbo.options import Options
from tests.helpers import START, bowl, finished_trial, params_of

pytestmark = pytest.mark.slow

OPTIONS: dict[str, Any] = {"seed": 3, "n_startup_trials": 3, "failure_tolerance": 2}

SCRIPT = """
import json, sys
import numpy as np
import optuna
from optuna_snn import SCBOSampler
from optuna_snn.history import read_state
from tests.test_sampler_workers import OPTIONS, mixed, regions

study = optuna.create_study(sampler=SCBOSampler(**OPTIONS))
study.optimize(mixed, n_trials=7)
stored = optuna.load_study(study_name=None, storage=sys.argv[1], sampler=SCBOSampler(**OPTIONS))
state = repr(read_state(stored, stored.sampler._settings))
stored.optimize(mixed, n_trials=2)
result = {"params": [t.params for t in study.trials], "state": state,
          "next": [t.params for t in stored.trials[-2:]], "regions": regions(study)}
print(json.dumps(result))
"""


def mixed_params(trial: Trial) -> tuple[float, int, str]:
    x = trial.suggest_float("x", 0, 1)
    n = trial.suggest_int("n", 1, 100, log=True)
    return x, n, trial.suggest_categorical("choice", ["a", "b", "c"])


def mixed(trial: Trial) -> float:
    """An objective with parameters of each kind and a constraint; some trials are pruned."""
    x, n, choice = mixed_params(trial)
    trial.set_constraint("c", 0.3 - x)
    if x < 0.1:
        raise optuna.TrialPruned
    return (x - 0.4) ** 2 + abs(n - 20) / 100 + (choice == "c")


def regions(study: optuna.Study) -> list[str]:
    return [repr(t and t.tag) for t in map(read_tag, study.trials)]


@pytest.fixture(scope="module")
def stored(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A file with a study of 9 trials."""
    path = tmp_path_factory.mktemp("stored") / "study.db"
    study = optuna.create_study(storage=f"sqlite:///{path}", sampler=SCBOSampler(**OPTIONS))
    study.optimize(mixed, n_trials=9)
    return path


@pytest.fixture(scope="module")
def elsewhere(stored: Path) -> Iterator[dict[str, Any]]:
    """What another process, with other hashes, finds and does on a copy of the file."""
    copied = shutil.copy(stored, stored.with_name("elsewhere.db"))
    root = Path(__file__).parents[1]
    environment = os.environ | {"PYTHONHASHSEED": "12345", "PYTHONPATH": str(root)}
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT, f"sqlite:///{copied}"],
        env=environment, cwd=root, capture_output=True, text=True, check=True, timeout=300,
    )  # fmt: skip
    yield json.loads(done.stdout)


def test_another_process_reads_the_same_state(stored: Path, elsewhere: dict[str, Any]) -> None:
    study = optuna.load_study(study_name=None, storage=f"sqlite:///{stored}")
    assert repr(read_state(study, SCBOSampler(**OPTIONS)._settings)) == elsewhere["state"]


def test_another_process_goes_on_as_this_one_would(
    stored: Path, elsewhere: dict[str, Any]
) -> None:
    copied = shutil.copy(stored, stored.with_name("here.db"))
    study = optuna.load_study(
        study_name=None, storage=f"sqlite:///{copied}", sampler=SCBOSampler(**OPTIONS)
    )
    study.optimize(mixed, n_trials=2)
    assert params_of(study)[-2:] == elsewhere["next"]


def test_a_seed_reproduces_a_study_in_another_process(elsewhere: dict[str, Any]) -> None:
    study = optuna.create_study(sampler=SCBOSampler(**OPTIONS))
    study.optimize(mixed, n_trials=7)
    assert params_of(study) == elsewhere["params"]
    assert regions(study) == elsewhere["regions"]
    other = optuna.create_study(sampler=SCBOSampler(**OPTIONS | {"seed": 4}))
    other.optimize(mixed, n_trials=3)
    assert params_of(other) != elsewhere["params"][:3]


def test_forgetting_all_caches_between_asks_changes_nothing() -> None:
    kept, forgotten = (optuna.create_study(sampler=SCBOSampler(**OPTIONS)) for _ in "ab")
    kept.optimize(mixed, n_trials=9)
    for _ in range(9):
        forgotten.sampler._forget()  # type: ignore[attr-defined]
        forgotten.optimize(mixed, n_trials=1)
    assert params_of(kept) == params_of(forgotten)
    assert regions(kept) == regions(forgotten)


def test_a_trial_that_is_committed_late_changes_the_next_ask_of_every_worker_alike() -> None:
    study = optuna.create_study(sampler=SCBOSampler(**OPTIONS))
    study.optimize(bowl(2, 0, 1), n_trials=6)
    late = finished_trial({"x0": 0.3, "x1": 0.3}, -5.0, tag=Tag(0, 0, 0.8, 1, 2, False))
    late.datetime_complete = START  # long before the others
    study.add_trial(late)
    fresh = copy.deepcopy(study)
    fresh.sampler._forget()  # type: ignore[attr-defined]
    for one in (study, fresh):
        one.optimize(bowl(2, 0, 1), n_trials=2)
    assert params_of(study) == params_of(fresh)
    assert regions(study) == regions(fresh)
    assert [t.center for t in map(read_tag, study.trials[-2:]) if t] == [6, 6]


@pytest.mark.parametrize("copied", [lambda s: pickle.loads(pickle.dumps(s)), copy.deepcopy])
def test_a_copied_sampler_goes_on_as_the_original(copied: Any) -> None:
    studies = [optuna.create_study(sampler=SCBOSampler(**OPTIONS)) for _ in range(2)]
    for study in studies:
        study.optimize(mixed, n_trials=5)
    studies[1].sampler = copied(studies[1].sampler)
    for study in studies:
        study.optimize(mixed, n_trials=2)
    assert params_of(studies[0]) == params_of(studies[1])


def test_a_used_sampler_is_small_when_pickled() -> None:
    sampler = SCBOSampler(**OPTIONS)
    fresh = len(pickle.dumps(sampler))
    optuna.create_study(sampler=sampler).optimize(mixed, n_trials=5)
    assert len(pickle.dumps(sampler)) == fresh < 2000


@pytest.mark.parametrize("n_done", [1, 5], ids=["design", "model"])
def test_workers_with_one_seed_draw_different_points(n_done: int) -> None:
    storage = optuna.storages.InMemoryStorage()
    first = optuna.create_study(study_name="s", storage=storage, sampler=SCBOSampler(**OPTIONS))
    first.optimize(mixed, n_trials=n_done)
    workers = [
        optuna.load_study(study_name="s", storage=storage, sampler=SCBOSampler(**OPTIONS))
        for _ in "abcd"
    ]
    asked = [worker.ask() for worker in workers]
    for trial in asked:
        mixed_params(trial)
    assert len({tuple(t.params.values()) for t in asked}) == 4
    initial = [t.tag.is_initial for t in map(read_tag, first.trials[n_done:]) if t]
    # With one result there is no model of three dimensions yet, with five there is.
    assert initial == [n_done == 1] * 4


def test_minimising_and_maximising_the_negative_are_mirror_images() -> None:
    def negative(trial: Trial) -> float:
        return -mixed(trial)

    down = optuna.create_study(sampler=SCBOSampler(**OPTIONS))
    up = optuna.create_study(direction="maximize", sampler=SCBOSampler(**OPTIONS))
    down.optimize(mixed, n_trials=9)
    up.optimize(negative, n_trials=9)
    assert params_of(down) == params_of(up)
    assert regions(down) == regions(up)
    assert down.best_trial.number == up.best_trial.number


def test_one_sampler_serves_several_studies_in_turn() -> None:
    shared = SCBOSampler(**OPTIONS)
    together = [optuna.create_study(sampler=shared) for _ in range(2)]
    alone = [optuna.create_study(sampler=SCBOSampler(**OPTIONS)) for _ in range(2)]
    for _ in range(6):
        for studies in (together, alone):
            studies[0].optimize(bowl(2), n_trials=1)
            studies[1].optimize(bowl(3), n_trials=1)
    for one, other in zip(together, alone, strict=True):
        assert params_of(one) == params_of(other)


def test_threads_share_one_sampler() -> None:
    def slow(trial: Trial) -> float:
        value = mixed(trial)
        time.sleep(0.05)  # so that trials overlap, however fast the asks are
        return value

    study = optuna.create_study(sampler=SCBOSampler(**OPTIONS))
    study.optimize(slow, n_trials=12, n_jobs=4)
    assert {t.state for t in study.trials} <= {TrialState.COMPLETE, TrialState.PRUNED}
    # Two points may share the edge of a box in one coordinate, not all coordinates.
    assert len({tuple(sorted(p.items())) for p in params_of(study)}) == 12
    tags = [t for t in map(read_tag, study.trials) if t]
    assert any(not t.tag.is_initial for t in tags)
    assert max(t.tag.n_running for t in tags) > 1


def test_under_hyperband_the_region_is_folded_from_the_trials_of_all_brackets() -> None:
    def objective(trial: Trial) -> float:
        value = bowl(2)(trial)
        for step in range(9):
            trial.report(value, step)
            if trial.should_prune():
                raise optuna.TrialPruned
        return value

    sampler = SCBOSampler(**OPTIONS | {"failure_tolerance": 1})
    pruner = optuna.pruners.HyperbandPruner(max_resource=9)
    study = optuna.create_study(sampler=sampler, pruner=pruner)
    for _ in range(14):
        region = read_state(study, sampler._settings).region
        study.optimize(objective, n_trials=1)
        own = read_tag(study.trials[-1])
        if own is not None:
            assert (own.tag.generation, own.tag.length) == (region.generation, region.length)
    assert region.generation > 0


def test_a_stopped_clock_orders_results_by_number() -> None:
    study = optuna.create_study(direction="maximize")
    for value in (1.0, 3.0, 2.0):
        trial = finished_trial({"x": 0.5}, value, tag=Tag(0, 0, 0.8, 1, 4, False))
        trial.datetime_complete = START + timedelta(seconds=1)
        study.add_trial(trial)
    region = read_state(study).region
    assert (region.n_successes, region.n_failures) == (0, 1)  # 1, then 3 improves, then 2 does not


@pytest.mark.parametrize("n_running", [0, 1])
def test_several_workers_go_far_while_nothing_feasible_is_known(n_running: int) -> None:
    options = Options(n_perturbed=1, n_seeking_perturbed=20, refinement="none")
    sampler = SCBOSampler(seed=0, n_startup_trials=8, options=options)
    study = optuna.create_study(sampler=sampler)
    space = {f"x{j}": FloatDistribution(0, 1) for j in range(6)}

    def asked() -> Trial:
        return study.ask(dict(space))

    for _ in range(12):
        trial = asked()
        trial.set_constraint("c", 1.0 + trial.params["x0"])
        study.tell(trial, trial.params["x1"])

    def n_moved() -> int:
        number = asked().number
        chosen = study.trials[number]
        tag = read_tag(chosen)
        assert tag is not None and tag.center is not None
        center = study.trials[tag.center].params
        return sum(chosen.params[name] != center[name] for name in space)

    if n_running == 0:
        assert n_moved() < 3
    else:
        asked()
        # Half of the candidates move in all six, the others in fewer.
        assert np.mean([n_moved() for _ in range(8)]) > 3
