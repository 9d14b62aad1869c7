"""A worker is killed while it trains by STDP; the next one resumes its training."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import optuna
import pytest
from optuna.trial import FixedTrial, TrialState

from optuna_snn.objectives.datasets import DataSplit, stratified_split
from optuna_snn.stored_spikes import SPIKES_KEY
from tests.objectives.stdp.test_checkpoints import SETUP, files, make
from tests.objectives.stdp.test_objective import LIVELY, stripes

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def split() -> DataSplit:
    return stratified_split(stripes(), n_train=68, n_validation=30, n_test=30, seed=0)


STUDY_FILE = f"""
import time
from pathlib import Path
import optuna
from optuna_snn import SpikeActivityPruner
from optuna_snn.objectives import STDPObjective, STDPSetup
from optuna_snn.objectives.datasets import stratified_split
from tests.objectives.stdp.test_objective import LIVELY, SPACE, stripes

HERE = Path(__file__).parent
name = "resumed"
direction = "maximize"

class Hangs(SpikeActivityPruner):
    n_asked = 0

    def prune(self, study, trial):
        self.n_asked += 1
        if self.n_asked == 6 and not (HERE / "hangs").exists():
            (HERE / "hangs").touch()
            time.sleep(600)
        return super().prune(study, trial)

def sampler():
    return optuna.samplers.PartialFixedSampler({LIVELY}, optuna.samplers.RandomSampler())

pruner = Hangs
split = stratified_split(stripes(), n_train=68, n_validation=30, n_test=30, seed=0)
objective = STDPObjective(
    split,
    space=SPACE,
    setup={SETUP},
    seed=0,
    checkpoints=HERE / "checkpoints",
    checkpoint_every_s=0.0,
)
"""


@pytest.mark.slow
def test_the_training_of_a_worker_killed_by_minus_9_is_resumed_by_the_next_one(
    split: DataSplit, tmp_path: Path
) -> None:
    (tmp_path / "study.py").write_text(STUDY_FILE)
    path = os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")])
    environment = os.environ | {"PYTHONPATH": path}
    database = tmp_path / "study.db"
    words = [sys.executable, "-m", "optuna_snn", "worker", str(tmp_path / "study.py")]
    words += ["--storage", str(database), "--n-trials", "1", "--grace", "3"]
    first = subprocess.Popen(words, env=environment, start_new_session=True)
    try:
        deadline = time.monotonic() + 300
        while not (tmp_path / "hangs").exists():
            assert first.poll() is None
            assert time.monotonic() < deadline
            time.sleep(0.1)
    finally:
        os.kill(first.pid, signal.SIGKILL)
        first.wait()
    assert files(tmp_path / "checkpoints") == ["trial-0.ckpt"]
    assert subprocess.run(words, env=environment, timeout=500, check=False).returncode == 0

    study = optuna.load_study(study_name="resumed", storage=f"sqlite:///{database}")
    dead, retry = study.get_trials()
    assert (dead.state, retry.state) == (TrialState.FAIL, TrialState.COMPLETE)
    assert retry.user_attrs["resumed_at"] == 5 * 8
    whole = FixedTrial(LIVELY)
    assert retry.value == make(split, None)(whole)
    assert retry.constraints == whole.constraints
    assert retry.user_attrs[SPIKES_KEY] == whole.user_attrs[SPIKES_KEY]
    assert files(tmp_path / "checkpoints") == []
