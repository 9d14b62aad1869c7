"""The paper's experiments: they train at scale smoke and are as published at scale paper."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import optuna
import pytest
from optuna.distributions import CategoricalDistribution
from optuna.trial import FixedTrial, TrialState

from optuna_snn import SCBOSampler, SpikeActivityPruner
from optuna_snn.objectives import split_digits
from optuna_snn.objectives.datasets import write_gestures
from optuna_snn.stored_spikes import spike_report
from optuna_snn.workers.errors import RunError
from tests.studies.experiments import EXPERIMENTS, load

pytest.importorskip("mlxtend")
ROOT = Path(__file__).parents[2]

PAPER = {
    1: {"n_steps": 100, "intensity_hz": 128, "batch_size": 1},
    2: {"n_steps": 100, "network": "distance", "batch_size": 1},
    3: {"n_steps": 25, "intensity_hz": 512, "network": "experiment_3", "overlapping_pools": True},
    4: {"n_steps": 100, "network": "experiment_4", "overlapping_pools": True},
}
"""Conditions at scale paper."""

LIMITS = {
    (1, "released"): ({"excitatory": 5, "inhibitory": 1}, 0.05),
    (1, "as_run"): ({"excitatory": 5, "inhibitory": 1}, 0.1),
    (2, "released"): (1, 0.3),
    (2, "as_run"): (1, {"excitatory": 0.1, "inhibitory": 0.3}),
    (3, "released"): (5, 0.05),
    (3, "as_run"): (5, 0.05),
    (4, "released"): (1, 0.3),
    (4, "as_run"): (1, 0.3),
}
"""Alpha and beta."""

OF_GESTURES = (2, 4)

N_PARAMETERS = {1: 18, 2: 19, 3: 17, 4: 17}
"""Of the released spaces; that of experiment 2 as run has the epochs besides."""


@pytest.mark.slow
@pytest.mark.parametrize("number", EXPERIMENTS)
def test_an_experiment_runs_as_a_script_at_scale_smoke(number: int, tmp_path: Path) -> None:
    database = f"sqlite:///{tmp_path}/x.db"
    environment = {name: v for name, v in os.environ.items() if "OPTUNA_SNN" not in name}
    words = ["--scale", "smoke", "--sampler", "random", "--n-trials", "3", "--storage", database]
    done = subprocess.run(
        [sys.executable, str(EXPERIMENTS[number]), *words],
        cwd=tmp_path,
        env=environment | {"PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    study = optuna.load_study(
        study_name=f"{EXPERIMENTS[number].stem}-smoke-random", storage=database
    )
    assert len(study.trials) == 3
    for trial in study.trials:
        assert trial.state in (TrialState.COMPLETE, TrialState.PRUNED)
        assert len(trial.params) == N_PARAMETERS[number]
        report = spike_report(trial)
        assert report is not None and report.samples_seen >= 16
        assert trial.constraints


@pytest.mark.slow
def test_an_experiment_runs_as_a_study_file_and_its_best_trial_is_retrained(
    tmp_path: Path,
) -> None:
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "OPTUNA_SNN_SCALE": "smoke"}
    for words in (["run", "--n-trials", "3"], ["retrain", "--top", "1", "--repeats", "2"]):
        done = subprocess.run(
            [sys.executable, "-m", "optuna_snn", words[0], str(EXPERIMENTS[1]), *words[1:]],
            cwd=tmp_path,
            env=environment,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stdout + done.stderr
    folder = tmp_path / f"{EXPERIMENTS[1].stem}-smoke-retrained"
    assert len(list(folder.glob("trial-*-repeat-*.npz"))) == 2


@pytest.mark.slow
def test_the_network_of_the_papers_best_trial_learns_at_scale_smoke(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """96 digits; 0.4 to 0.6 was measured, a tenth is chance."""
    best = {
        "decoder": "all_activity", "epochs": 2, "map_size": 797, "nu_pre": 8.48e-4,
        "nu_post": 8.88e-3, "strength_exc": 356.9, "strength_inh": 433.6, "norm": 123.4,
        "e_thresh": -57.66, "e_rest": -60.8, "theta_plus": 0.05, "tc_theta_decay": 5e6,
        "e_tc_decay": 1500.0, "i_tc_decay": 1500.0, "i_thresh": -20.0, "i_rest": -50.0,
        "e_refrac": 5, "i_refrac": 20,
    }  # fmt: skip
    assert load(1, monkeypatch).objective(FixedTrial(best)) >= 0.3


@pytest.mark.parametrize("space", ["released", "as_run"])
@pytest.mark.parametrize("number", EXPERIMENTS)
def test_scale_paper_has_the_papers_conditions_and_whole_space(
    number: int, space: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    options = {"scale": "paper", "space": space, "rule": "paper"}
    if number in OF_GESTURES:
        write_gestures(tmp_path, n_train_people=2, n_test_people=1, duration_ms=100)
        options["data"] = str(tmp_path)
    else:
        give_as_mnist(monkeypatch)
    module = load(number, monkeypatch, options)
    setup = module.objective.setup
    for name, value in PAPER[number].items():
        assert getattr(setup, name) == value, name
    assert module.objective._space == module.SPACES[space]
    has_epochs_besides = (number, space) == (2, "as_run")
    assert len(module.SPACES[space]) == N_PARAMETERS[number] + has_epochs_besides
    watch = module.objective._watch.keywords
    assert (watch["alpha"], watch["beta"]) == LIMITS[number, space]
    assert (watch["rule"], watch["warmup"]) == ("paper", 0)
    # The authors' N was a constant that was not the size of the epoch.
    assert watch["epoch_size"] == len(module.objective.split.train)
    if number in OF_GESTURES:
        assert module.objective.split.train.frame_shape == (2, 128, 128)
        assert module.objective.split.train.denoise_ms == 5


@pytest.mark.parametrize("number", EXPERIMENTS)
def test_the_space_at_scale_smoke_has_the_same_parameters(
    number: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    module = load(number, monkeypatch)
    assert set(module.objective._space) == set(module.SPACES["released"])
    for name, distribution in module.objective._space.items():
        whole = module.SPACES["released"][name]
        if name == "norm" and number == 2:
            assert distribution.high == whole.high / 16  # of frames with a 16th of the pixels
        elif not isinstance(distribution, CategoricalDistribution):
            assert whole.low <= distribution.low <= distribution.high <= whole.high


@pytest.mark.parametrize("number", EXPERIMENTS)
def test_scale_paper_refuses_other_data_than_the_papers(
    number: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    give_as_mnist(monkeypatch, n_images=49)
    with pytest.raises(RunError, match=r"scale paper needs .*--data \(OPTUNA_SNN_DATA\)"):
        load(number, monkeypatch, {"scale": "paper"})


def test_real_gestures_and_synthetic_ones_are_never_in_one_study(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    write_gestures(tmp_path, n_train_people=2, n_test_people=1, duration_ms=100)
    synthetic = load(2, monkeypatch)
    names = {scale: load(2, monkeypatch, {"scale": scale, "data": str(tmp_path)}).name
             for scale in ("smoke", "paper")}  # fmt: skip
    assert synthetic.name == "experiment_2_stdp_dvs_gesture-smoke"
    assert names["smoke"] == "experiment_2_stdp_dvs_gesture-smoke-real"
    assert names["paper"] == "experiment_2_stdp_dvs_gesture-paper"  # it has no other data


def test_mnist_and_the_digits_that_take_its_place_are_never_in_one_study(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    give_as_mnist(monkeypatch)
    digits = load(1, monkeypatch, {"scale": "laptop"})
    assert digits.name == "experiment_1_stdp_mnist-laptop"
    import experiment_data

    monkeypatch.setattr(experiment_data, "MNIST_TEST_IMAGES", 10)
    assert load(1, monkeypatch, {"scale": "laptop"}).name == "experiment_1_stdp_mnist-laptop-full"
    assert load(1, monkeypatch, {"scale": "paper"}).name == "experiment_1_stdp_mnist-paper"
    assert load(1, monkeypatch).name == "experiment_1_stdp_mnist-smoke"  # digits everywhere


@pytest.mark.parametrize(
    ("number", "options", "interval"),
    [
        (1, {"rule": "paper"}, 1200),
        (1, {"rule": "paper", "space": "as_run"}, 1000),
        (1, {}, 16),
        (2, {"rule": "paper"}, 10),
        (2, {}, 16),
    ],
)
def test_the_authors_rule_is_asked_at_their_intervals_and_ours_sooner(
    number: int, options: dict[str, str], interval: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert load(number, monkeypatch, options).objective.setup.n_reported == interval


def test_the_seed_is_that_of_the_networks_and_of_scbo(monkeypatch: pytest.MonkeyPatch) -> None:
    """Zero, which stands for none given, is a seed like any other."""
    drawn = []
    for seed in ("", "0", "1"):
        module = load(1, monkeypatch, {"seed": seed})
        study = optuna.create_study(direction="maximize", sampler=module.sampler())
        drawn.append(study.ask(dict(module.objective._space)).params)
        assert module.objective._seed == int(seed or 0)
    assert drawn[0] == drawn[1] != drawn[2]


def test_each_choice_has_a_study_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    choices: list[dict[str, str]] = [
        {},
        {"space": "as_run"},
        {"rule": "record"},
        {"rule": "paper"},
        {"sampler": "tpe"},
        {"seed": "3"},
    ]
    names = {load(1, monkeypatch, each).name for each in choices}
    assert len(names) == len(choices)
    assert "experiment_1_stdp_mnist-smoke" in names


@pytest.mark.parametrize(
    ("sampler", "kind"),
    [
        ("scbo", SCBOSampler),
        ("tpe", optuna.samplers.TPESampler),
        ("random", optuna.samplers.RandomSampler),
    ],
)
def test_the_sampler_is_the_chosen_one_and_each_worker_has_its_own(
    sampler: str, kind: type, monkeypatch: pytest.MonkeyPatch
) -> None:
    module = load(1, monkeypatch, {"sampler": sampler})
    assert isinstance(module.sampler(), kind)
    assert module.sampler() is not module.sampler()
    assert isinstance(module.pruner(), SpikeActivityPruner)


@pytest.mark.parametrize(
    ("name", "value"), [("scale", "huge"), ("rule", "never"), ("seed", "-1"), ("space", "run")]
)
def test_a_value_that_is_no_choice_is_named(
    name: str, value: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(RunError, match=f"OPTUNA_SNN_{name.upper()} must be .*, got '{value}'"):
        load(1, monkeypatch, {name: value})


def test_a_script_hands_its_choices_on_and_fills_in_the_budget_of_its_scale(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    load(1, monkeypatch)
    import experiment_options

    asked: list[list[str]] = []

    def noted(words: list[str]) -> int:
        asked.append(words)
        return 7

    monkeypatch.setattr("optuna_snn.cli.main", noted)
    budgets = {"smoke": experiment_options.Budget(5)}

    def start(*words: str) -> None:
        monkeypatch.setattr(sys, "argv", ["study.py", *words])
        with pytest.raises(SystemExit) as ended:
            experiment_options.run_script("study.py", budgets)
        assert ended.value.code == 7

    start("--scale", "smoke", "--rule", "record", "--storage", "x.db")
    assert experiment_options.read_options().rule == "record"
    start("--scale", "smoke", "--n-trials=9", "--workers", "2")
    start("--scale", "paper", "--devices", "all")
    monkeypatch.setenv("OPTUNA_SNN_SCALE", "")  # as good as none
    budgets["laptop"] = experiment_options.Budget(3)
    start("--workers", "4")
    assert asked == [
        ["run", "study.py", "--n-trials", "5", "--workers", "1", "--storage", "x.db"],
        ["run", "study.py", "--n-trials=9", "--workers", "2"],
        ["run", "study.py", "--n-trials", "100000", "--timeout", "360000", "--devices", "all"],
        ["run", "study.py", "--n-trials", "3", "--workers", "4"],
    ]


def give_as_mnist(monkeypatch: pytest.MonkeyPatch, n_images: int = 50) -> None:
    """Let 50 digits stand for the 60000 images of MNIST, of which `n_images` are found."""
    sys.path.insert(0, str(EXPERIMENTS[1].parent))
    import experiment_data

    def split(folder: Any) -> Any:
        return split_digits(n_train=n_images - 10, n_validation=10, n_test=10)

    monkeypatch.setattr(experiment_data, "split_mnist", split)
    monkeypatch.setattr(experiment_data, "MNIST_TRAINING_IMAGES", 50)


def test_scale_laptop_takes_a_random_part_of_mnist_and_its_whole_test_set(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    give_as_mnist(monkeypatch)
    load(1, monkeypatch)
    import experiment_data
    import experiment_options

    options = experiment_options.read_options({"OPTUNA_SNN_SCALE": "laptop"})
    whole = experiment_data.split_mnist(None)
    part = experiment_data.mnist(options, n_train=7, n_validation=100)
    assert [len(each) for each in (part.train, part.validation, part.test)] == [7, 10, 10]
    assert np.array_equal(part.train.images, whole.train.images[:7])
