from dataclasses import replace

import pytest

from optuna_snn.objectives.slayer.config import SLAYERConfig
from optuna_snn.objectives.slayer.plan import NetworkName, Shape, plan_network

BEST_3 = SLAYERConfig(c1_filters=123, c1_k=12, c2_filters=46, c2_k=11)
BEST_4 = SLAYERConfig(c1_filters=15, c1_k=20, c2_filters=29, c2_k=12)
"""The best networks that the paper's authors found."""


def shapes(
    network: NetworkName,
    config: SLAYERConfig,
    shape: Shape,
    *,
    n_classes: int = 10,
    overlapping_pools: bool = True,
) -> dict[str, Shape]:
    plan = plan_network(
        network, config, shape, n_classes=n_classes, overlapping_pools=overlapping_pools
    )
    return {layer.name: layer.shape for layer in plan}


def test_experiment_3_has_the_layers_of_the_paper() -> None:
    """28 - 11 = 17, - 1 = 16, - 10 = 6, - 1 = 5."""
    assert shapes("experiment_3", BEST_3, (1, 28, 28)) == {
        "conv1": (123, 17, 17),
        "pool1": (123, 16, 16),
        "conv2": (46, 6, 6),
        "pool2": (46, 5, 5),
        "output": (10, 1, 1),
    }


def test_experiment_4_has_the_layers_of_the_paper() -> None:
    """128 - 3 = 125, + 4 - 19 = 110, - 1 = 109, + 2 - 11 = 100, - 1 = 99."""
    assert shapes("experiment_4", BEST_4, (2, 128, 128), n_classes=11) == {
        "pool1": (2, 125, 125),
        "conv1": (15, 110, 110),
        "pool2": (15, 109, 109),
        "conv2": (29, 100, 100),
        "pool3": (29, 99, 99),
        "hidden": (512, 1, 1),
        "output": (11, 1, 1),
    }


def test_pools_side_by_side_keep_the_windows_that_the_border_cuts() -> None:
    """28 - 5 = 23, in pairs 12; 12 - 2 = 10, in pairs 5; wide: 30 - 5 = 25, 13, 11, 6."""
    config = SLAYERConfig(c1_filters=8, c1_k=6, c2_filters=16, c2_k=3)
    assert shapes("experiment_3", config, (1, 28, 30), overlapping_pools=False) == {
        "conv1": (8, 23, 25),
        "pool1": (8, 12, 13),
        "conv2": (16, 10, 11),
        "pool2": (16, 5, 6),
        "output": (10, 1, 1),
    }


def test_the_dense_network_has_one_hidden_layer_for_samples_of_any_shape() -> None:
    config = SLAYERConfig(n_hidden=7)
    assert shapes("dense", config, (2, 1, 5), n_classes=3) == {
        "hidden": (7, 1, 1),
        "output": (3, 1, 1),
    }


def test_the_largest_kernels_of_the_paper_fit_overlapping_pools_only() -> None:
    largest = replace(BEST_3, c1_k=12, c2_k=12)
    assert shapes("experiment_3", largest, (1, 28, 28))["pool2"] == (46, 4, 4)
    with pytest.raises(ValueError, match=r"c2_k=12 of conv2 does not fit the 9 x 9.*overlapping"):
        shapes("experiment_3", largest, (1, 28, 28), overlapping_pools=False)


@pytest.mark.parametrize(
    ("network", "shape", "message"),
    [
        ("experiment_3", (1, 12, 11), r"c1_k=12 of conv1 does not fit the 12 x 11 \(padding"),
        ("experiment_4", (2, 3, 9), "kernel 4 of pool1 does not fit the 3 x 9"),
        ("experiment_5", (1, 28, 28), "network must be one of .* got 'experiment_5'"),
    ],
)
def test_what_cannot_be_built_is_refused(network: str, shape: Shape, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        shapes(network, replace(BEST_3, c2_k=1), shape)  # type: ignore[arg-type]
