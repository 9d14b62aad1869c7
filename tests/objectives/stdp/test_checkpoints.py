"""A training by STDP that is interrupted anywhere and resumed ends as if nothing had happened."""

from __future__ import annotations

import shutil
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import optuna
import pytest
from optuna.trial import FixedTrial, TrialState

from optuna_snn.checkpoints import FOLDER_VARIABLE
from optuna_snn.constraint_errors import CONSTRAINT_SD_KEY
from optuna_snn.objectives.datasets import DataSplit, Samples, stratified_split
from optuna_snn.objectives.stdp import objective as stdp
from optuna_snn.objectives.stdp.diehl_cook import DiehlCookConfig
from optuna_snn.objectives.stdp.engines import EngineChoice
from optuna_snn.objectives.stdp.objective import STDPObjective, STDPSetup
from optuna_snn.objectives.stdp.spaces import STDPConfig, default_config
from optuna_snn.objectives.stdp.training import STDPTraining
from optuna_snn.pruner import SpikeActivityPruner
from optuna_snn.stored_spikes import SPIKES_KEY
from optuna_snn.workers.retry import requeue
from tests.objectives.stdp.test_objective import LIVELY, SILENT, SPACE, stripes

SETUP = STDPSetup(n_steps=40, batch_size=8, report_every=8, n_assign=None)
N_BATCHES = 9
"""Of 8 samples: the last of 68 is smaller."""

engines = pytest.mark.parametrize("engine", ["compiled", "bindsnet"])


@pytest.fixture(scope="module")
def split() -> DataSplit:
    return stratified_split(stripes(), n_train=68, n_validation=30, n_test=30, seed=0)


def make(split: DataSplit, folder: Path | None, **options: Any) -> STDPObjective:
    given = {"space": SPACE, "setup": SETUP, "seed": 0, "checkpoint_every_s": 0.0}
    return STDPObjective(split, checkpoints=folder, **given | options)


class Killed(BaseException):
    """What stands in for the end of a process."""


class DiesAt(SpikeActivityPruner):
    """Ends the process, as it were, when the pruner is asked for the n-th time."""

    def __init__(self, n: int | None = None) -> None:
        super().__init__()
        self.n = n
        self.n_asked = 0

    def prune(self, study: optuna.Study, trial: optuna.trial.FrozenTrial) -> bool:
        self.n_asked += 1
        if self.n_asked == self.n:
            raise Killed
        return super().prune(study, trial)


@dataclass(frozen=True)
class Outcome:
    """What a trial has in the end; two trainings that are one have equal ones."""

    value: float | str
    stored: dict[str, Any]
    constraints: dict[str, float]


def outcome(objective: STDPObjective, trial: optuna.Trial) -> Outcome:
    try:
        value: float | str = objective(trial)
    except optuna.TrialPruned as pruned:
        value = str(pruned)
    stored = {
        key: each
        for key, each in trial.user_attrs.items()
        if key.startswith("accuracy/") or key in (SPIKES_KEY, CONSTRAINT_SD_KEY)
    }
    return Outcome(value, stored, trial.constraints)


def new_study(params: dict[str, Any]) -> optuna.Study:
    study = optuna.create_study(direction="maximize", study_name="stdp", pruner=DiesAt())
    study.enqueue_trial(params)
    return study


def uninterrupted(split: DataSplit, params: dict[str, Any], **options: Any) -> Outcome:
    return outcome(make(split, None, **options), new_study(params).ask())


def killed_at(objective: STDPObjective, params: dict[str, Any], n: int) -> optuna.Study:
    """A study whose trial was killed when the pruner was asked for the n-th time."""
    study = new_study(params)
    study.pruner = DiesAt(n)
    with pytest.raises(Killed):
        objective(study.ask())
    study.pruner = DiesAt()
    return study


def retry_of_last(study: optuna.Study) -> optuna.Trial:
    last = study.trials[-1]
    study.tell(last.number, state=TrialState.FAIL)
    requeue(study, last)
    return study.ask()


def files(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.rglob("*") if path.is_file())


@engines
@pytest.mark.parametrize("cut", [1, 4, N_BATCHES - 1, N_BATCHES, N_BATCHES + 1, 2 * N_BATCHES])
@pytest.mark.parametrize("membranes", [False, True])
def test_a_training_left_after_any_batch_and_resumed_learns_the_same(
    split: DataSplit, cut: int, membranes: bool, engine: EngineChoice
) -> None:
    config = STDPConfig(DiehlCookConfig(map_size=12, norm=15.0, nu_post=2e-2), n_epochs=2)

    def training(seed: int) -> STDPTraining:
        rng = np.random.default_rng(seed)
        return STDPTraining(config, split.train, SETUP, rng, membranes=membranes, engine=engine)

    whole, resumed = training(3), training(99)
    expected = []
    for i, batch in enumerate(whole.batches(), start=1):
        if i == cut:
            resumed.restore(whole.state())
        if i > cut:
            expected.append(batch)
    rest = list(resumed.batches())
    assert [batch.is_first_of_epoch for batch in rest] == [b.is_first_of_epoch for b in expected]
    for found, wanted in zip(rest, expected, strict=True):
        for layer in wanted.counts:
            assert np.array_equal(found.counts[layer], wanted.counts[layer])
            if membranes:
                assert found.gaps is not None
                assert wanted.gaps is not None
                assert np.array_equal(found.gaps[layer], wanted.gaps[layer])
    found_learned, learned = resumed.network.learned, whole.network.learned
    assert np.array_equal(found_learned.weights, learned.weights)
    assert np.array_equal(found_learned.theta_mv, learned.theta_mv)
    assert learned.theta_mv.max() > 1.0


@engines
@pytest.mark.parametrize("n", [2, 5, N_BATCHES])
def test_a_retry_resumes_and_ends_with_all_that_the_trial_would_have_had(
    split: DataSplit, tmp_path: Path, n: int, engine: EngineChoice
) -> None:
    objective = make(split, tmp_path, engine=engine)
    study = killed_at(objective, LIVELY, n)
    assert files(tmp_path) == ["trial-0.ckpt"]
    trial = retry_of_last(study)
    assert outcome(objective, trial) == uninterrupted(split, LIVELY, engine=engine)
    assert trial.user_attrs["resumed_at"] == 8 * (n - 1)
    assert study.pruner.n_asked == N_BATCHES - (n - 1)  # type: ignore[attr-defined]
    assert files(tmp_path) == []


def test_a_retry_of_a_retry_resumes_too(split: DataSplit, tmp_path: Path) -> None:
    objective = make(split, tmp_path)
    study = killed_at(objective, LIVELY, 3)
    study.pruner = DiesAt(4)
    with pytest.raises(Killed):
        objective(retry_of_last(study))
    study.pruner = DiesAt()
    trial = retry_of_last(study)
    assert outcome(objective, trial) == uninterrupted(split, LIVELY)
    assert trial.user_attrs["resumed_at"] == 8 * 5


def test_a_silent_network_is_pruned_at_the_same_sample_for_the_same_reason(
    split: DataSplit, tmp_path: Path
) -> None:
    expected = uninterrupted(split, SILENT)
    assert isinstance(expected.value, str)
    objective = make(split, tmp_path)
    trial = retry_of_last(killed_at(objective, SILENT, 3))
    assert outcome(objective, trial) == expected
    assert trial.user_attrs["resumed_at"] == 8 * 2
    assert files(tmp_path) == []


def test_a_trial_that_dies_while_it_decodes_trains_no_sample_again(
    split: DataSplit, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def die(*arguments: Any) -> None:
        raise Killed

    objective = make(split, tmp_path)
    study = new_study(LIVELY)
    with monkeypatch.context() as patched, pytest.raises(Killed):
        patched.setattr(stdp, "decode", die)
        objective(study.ask())
    study.pruner = DiesAt(1)
    trial = retry_of_last(study)
    assert outcome(objective, trial) == uninterrupted(split, LIVELY)
    assert trial.user_attrs["resumed_at"] == len(split.train)


def test_between_its_intervals_it_saves_at_the_end_of_each_epoch(
    split: DataSplit, tmp_path: Path
) -> None:
    space = SPACE | {"epochs": optuna.distributions.IntDistribution(1, 3)}
    params = LIVELY | {"epochs": 3}
    objective = make(split, tmp_path, space=space, checkpoint_every_s=1e9)
    study = killed_at(objective, params, N_BATCHES - 1)
    assert files(tmp_path) == []
    study = killed_at(objective, params, 2 * N_BATCHES + 3)
    trial = retry_of_last(study)
    assert outcome(objective, trial) == uninterrupted(split, params, space=space)
    assert trial.user_attrs["resumed_at"] == 2 * len(split.train)


def test_without_a_seed_the_random_state_goes_on_too(split: DataSplit, tmp_path: Path) -> None:
    objective = make(split, tmp_path / "used", seed=None)
    study = killed_at(objective, LIVELY, 4)
    shutil.copytree(tmp_path / "used", tmp_path / "kept")
    first = outcome(objective, retry_of_last(study))
    shutil.copytree(tmp_path / "kept", tmp_path / "used", dirs_exist_ok=True)
    trial = retry_of_last(study)
    assert outcome(objective, trial) == first
    assert trial.user_attrs["resumed_at"] == 8 * 3


def test_a_retry_without_a_checkpoint_repeats_the_trial_that_died(split: DataSplit) -> None:
    objective = make(split, None)
    study = new_study(LIVELY)
    first = outcome(objective, study.ask())
    retry = retry_of_last(study)
    assert retry.number == 1
    assert outcome(objective, retry) == first
    study.enqueue_trial(LIVELY)
    other = study.ask()
    assert outcome(objective, other) != first


@pytest.mark.parametrize(
    "changed",
    [
        {"seed": 1},
        {"beta": 0.2},
        {"membranes": True},
        {"engine": "bindsnet"},
        {"setup": replace(SETUP, n_steps=41)},
    ],
    ids=lambda changed: next(iter(changed)),
)
def test_a_training_of_other_options_is_not_resumed(
    split: DataSplit, tmp_path: Path, changed: dict[str, Any], caplog: pytest.LogCaptureFixture
) -> None:
    study = killed_at(make(split, tmp_path), LIVELY, 4)
    trial = retry_of_last(study)
    assert outcome(make(split, tmp_path, **changed), trial) == uninterrupted(
        split, LIVELY, **changed
    )
    assert trial.user_attrs["resumed_at"] == 0
    assert f"made with other conditions: {_first_difference(changed)}" in caplog.text


def _first_difference(changed: dict[str, Any]) -> str:
    return "n_steps 40 instead of 41" if "setup" in changed else next(iter(changed))


def test_a_training_on_other_data_is_not_resumed(
    split: DataSplit, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    study = killed_at(make(split, tmp_path), LIVELY, 4)
    images = split.train.images.copy()
    images[0, 0] += 0.01
    other = DataSplit(Samples(images, split.train.labels), split.validation, split.test)
    trial = retry_of_last(study)
    make(other, tmp_path)(trial)
    assert trial.user_attrs["resumed_at"] == 0
    assert "made with other conditions: data" in caplog.text


@pytest.mark.parametrize("kind", ["diehl_cook", "distance"])
def test_every_hyperparameter_and_every_option_is_a_condition(split: DataSplit, kind: Any) -> None:
    """The setup and the config both have a "network": its kind, and its parameters."""
    setup = replace(SETUP, network=kind)
    config = replace(default_config(kind), n_epochs=2)
    conditions = make(split, None, setup=setup)._conditions(config)
    wanted = asdict(config.network) | asdict(setup) | {"n_epochs": 2, "decoder": config.decoder}
    del wanted["device"]  # a training may move to another one
    assert {name: conditions.get(name) for name in wanted} == wanted


def test_the_environment_may_ask_for_checkpoints(
    split: DataSplit, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv(FOLDER_VARIABLE, raising=False)
    monkeypatch.chdir(tmp_path)
    killed_at(make(split, None), LIVELY, 3)
    assert files(tmp_path) == []
    monkeypatch.setenv(FOLDER_VARIABLE, str(tmp_path / "there"))
    killed_at(make(split, None), LIVELY, 3)
    assert files(tmp_path / "there") == ["trial-0.ckpt"]


def test_saving_changes_nothing(split: DataSplit, tmp_path: Path) -> None:
    trial = new_study(LIVELY).ask()
    assert outcome(make(split, tmp_path), trial) == uninterrupted(split, LIVELY)
    assert outcome(make(split, tmp_path), FixedTrial(LIVELY)) == uninterrupted(split, LIVELY)
    assert files(tmp_path) == []


def test_an_impossible_interval_is_refused(split: DataSplit, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="every_s >= 0, got -1"):
        make(split, tmp_path, checkpoint_every_s=-1)
