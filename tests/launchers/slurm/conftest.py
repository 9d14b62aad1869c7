"""A study file in a folder of its own, and a SLURM where there is one."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import optuna
import pytest

from tests.launchers.slurm.cluster import SlurmCluster, missing_for_slurm, slurm_cluster

ROOT = Path(__file__).resolve().parents[3]

NO_SLURM = (
    "these tests need root and SLURM (`apt-get install slurmctld slurmd slurm-client munge`, see "
    "tests/launchers/slurm/cluster.py); missing here: "
)

STUDY = """
import os, time
from pathlib import Path
import optuna
direction = "maximize"
def sampler():
    return optuna.samplers.RandomSampler()
def pruner():
    return optuna.pruners.NopPruner()
def objective(trial):
    x = trial.suggest_float("x", 0.0, 1.0)
    trial.set_user_attr("pid", os.getpid())
    for name in ("SLURMD_NODENAME", "CUDA_VISIBLE_DEVICES", "OPTUNA_SNN_DEVICE", "SLURM_JOB_NAME",
                 "FROM_SETUP"):
        trial.set_user_attr(name, os.environ.get(name))
    trial.set_user_attr("waits", True)
    until = time.monotonic() + 900
    while not Path(__file__).with_name("go on").exists() and time.monotonic() < until:
        time.sleep(0.05)
    for step in range(3):
        trial.report(x, step)
    return x
"""
"""Trials wait until there is a file `go on`; not for ever, since tests may be killed."""


@pytest.fixture(autouse=True)
def in_a_folder_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    former = os.environ.get("PYTHONPATH")
    path = str(ROOT) if former is None else os.pathsep.join([str(ROOT), former])
    monkeypatch.setenv("PYTHONPATH", path)
    for name in [*os.environ]:
        if name.startswith(("SLURM_", "SBATCH_", "SUBMITIT_", "OPTUNA_SNN_STORAGE")):
            monkeypatch.delenv(name)


@pytest.fixture(autouse=True)
def _quiet_optuna() -> None:
    optuna.logging.set_verbosity(optuna.logging.ERROR)


@pytest.fixture
def study_file(tmp_path: Path) -> Path:
    path = tmp_path / "study.py"
    path.write_text(STUDY)
    return path


@pytest.fixture(scope="module")
def cluster() -> Iterator[SlurmCluster]:
    """A real SLURM; the tests are skipped without, or fail where OPTUNA_SNN_TEST_SLURM=1.

    Of a module: what is tested after it is not slowed down by a cluster that nobody uses.
    """
    if missing := missing_for_slurm():
        if os.environ.get("OPTUNA_SNN_TEST_SLURM", "0") not in ("", "0"):
            pytest.fail(NO_SLURM + missing)
        pytest.skip(NO_SLURM + missing)
    with slurm_cluster() as running:
        yield running
