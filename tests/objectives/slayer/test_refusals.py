from dataclasses import replace
from typing import Any

import pytest
from optuna.distributions import IntDistribution

from optuna_snn.backends import MissingPackageError, lava_dl
from optuna_snn.objectives.datasets import DataSplit, Samples
from optuna_snn.objectives.slayer.objective import retrain
from optuna_snn.objectives.slayer.setup import SLAYERSetup
from tests.objectives.slayer.samples import split_of_stripes
from tests.objectives.slayer.trials import DEFAULTS, SETUP, make


@pytest.fixture(scope="module")
def split() -> DataSplit:
    return split_of_stripes()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"alpha": 0}, "alpha"),
        ({"beta": 1.5}, "beta"),
        ({"rule": "never"}, "never"),
        ({"seed": -1}, "seed must be an integer >= 0, got -1"),
        ({"layers": ("conv1",)}, "no layer 'conv1'; there are hidden, output"),
        ({"layers": "output"}, r"layers must be names, got 'output'; pass \('output',\)"),
        ({"layers": ()}, "layers names no layer"),
        ({"checkpoint_every_s": -1}, "every_s"),
        ({"space": {"map_size": IntDistribution(1, 2)}}, "Unknown hyperparameter 'map_size'"),
        (
            {
                "setup": SLAYERSetup(network="experiment_3"),
                "space": {"c1_k": IntDistribution(2, 7)},
            },
            "c1_k=7 of conv1 does not fit the 6 x 6",
        ),
        ({"setup": SLAYERSetup(image_shape=(5, 7))}, "Images of 36 pixels are not 5 x 7"),
    ],
)
def test_wrong_options_are_refused_before_the_first_trial(
    options: dict[str, Any], message: str, split: DataSplit
) -> None:
    with pytest.raises(ValueError, match=message):
        make(split, **options)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"network": "lstm"}, "network must be one of .* got 'lstm'"),
        ({"n_steps": 0}, "n_steps must be an integer >= 1"),
        ({"true_rate": 0.02}, "Need 0 <= false_rate < true_rate <= 1, got 0.03 and 0.02"),
        ({"true_rate": 1.5}, "Need 0 <= false_rate < true_rate <= 1"),
        ({"response_batch": 0}, "response_batch must be an integer >= 1"),
        ({"device": "cuda:0"}, "no CUDA device"),
        ({"device": "gpu"}, "device must be .* got 'gpu'"),
    ],
)
def test_a_setup_out_of_range_is_refused(
    options: dict[str, Any], message: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    with pytest.raises(ValueError, match=message):
        SLAYERSetup(**options)


def test_labels_that_the_training_part_lacks_are_refused(split: DataSplit) -> None:
    beyond = Samples(split.validation.images, split.validation.labels + 1)
    with pytest.raises(ValueError, match=r"validation part has the label 3, but .* 3 classes"):
        make(replace(split, validation=beyond))
    with pytest.raises(ValueError, match="test part has the label 3"):
        retrain(DEFAULTS, replace(split, test=beyond), setup=SETUP)


def test_without_lava_dl_there_is_no_objective(
    split: DataSplit, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse() -> None:
        raise MissingPackageError("lava-dl is not installed")

    monkeypatch.setattr(lava_dl, "load", refuse)
    with pytest.raises(MissingPackageError):
        make(split)
