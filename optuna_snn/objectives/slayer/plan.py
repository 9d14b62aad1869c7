"""The layers of the SLAYER objective's networks, before any is built.

    dense           hidden(n_hidden) - output
    experiment_3    conv1(c1) - pool1(2) - conv2(c2) - pool2(2) - output
    experiment_4    pool1(4) - conv1(c1) - pool2(2) - conv2(c2) - pool3(2) - hidden(n_hidden)
                    - output

experiment_3 and experiment_4 are the networks of Firmin, Boulet & Talbi 2024
(doi 10.1016/j.neucom.2024.128483) as in their published code: windows of pools overlap (stride 1;
the kernels of their best networks would not fit otherwise), and the convolutions of the latter are
padded by 2 and 1. Without overlap a network costs a fraction, and takes smaller kernels only.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal, get_args

from optuna_snn.objectives.slayer.config import SLAYERConfig

__all__ = ["NETWORKS", "Layer", "NetworkName", "Shape", "plan_network"]

NetworkName = Literal["dense", "experiment_3", "experiment_4"]
NETWORKS: tuple[NetworkName, ...] = get_args(NetworkName)

Shape = tuple[int, int, int]
"""Channels, height, width."""


@dataclass(frozen=True)
class Layer:
    """A layer of spiking neurons in a network that is yet to be built.

    kernel:  side of the window of a convolution or pool; 0 for a dense layer
    shape:   of its neurons
    """

    name: str
    kind: Literal["conv", "pool", "dense"]
    shape: Shape
    kernel: int = 0
    stride: int = 1
    padding: int = 0

    @property
    def has_dropout(self) -> bool:
        """Whether its neurons are silenced at random in training."""
        return self.kind != "pool" and self.name != "output"


def plan_network(
    network: NetworkName,
    config: SLAYERConfig,
    input_shape: Shape,
    *,
    n_classes: int,
    overlapping_pools: bool,
) -> tuple[Layer, ...]:
    """The layers of a network for samples of `input_shape`; the last one is "output".

    overlapping_pools: whether windows of pools are one apart, or lie side by side

    Raises ValueError for an unknown network, and if a kernel is larger than what it gets.
    """
    output = Layer("output", "dense", (n_classes, 1, 1))
    hidden = Layer("hidden", "dense", (config.n_hidden, 1, 1))
    c1, c2 = (config.c1_filters, config.c1_k), (config.c2_filters, config.c2_k)

    def pool(name: str, kernel: int) -> _Window:
        return _Window(name, 0, kernel, stride=1 if overlapping_pools else kernel)

    if network == "dense":
        return (hidden, output)
    windows: tuple[_Window, ...]
    if network == "experiment_3":
        windows = (
            _Window("conv1", *c1, "c1_k"),
            pool("pool1", 2),
            _Window("conv2", *c2, "c2_k"),
            pool("pool2", 2),
        )
        return (*_planned(windows, input_shape), output)
    if network == "experiment_4":
        windows = (
            pool("pool1", 4),
            _Window("conv1", *c1, "c1_k", padding=2),
            pool("pool2", 2),
            _Window("conv2", *c2, "c2_k", padding=1),
            pool("pool3", 2),
        )
        return (*_planned(windows, input_shape), hidden, output)
    raise ValueError(f"network must be one of {NETWORKS}, got {network!r}.")


@dataclass(frozen=True)
class _Window:
    """A convolution, or with no channels of its own a pool; parameter: what sets its kernel."""

    name: str
    n_channels: int
    kernel: int
    parameter: str = ""
    stride: int = 1
    padding: int = 0


def _planned(windows: tuple[_Window, ...], shape: Shape) -> Iterator[Layer]:
    for each in windows:
        is_conv = each.n_channels > 0
        sides = [n + 2 * each.padding for n in shape[1:]]
        if each.kernel > min(sides):
            cause = f"{each.parameter}={each.kernel}" if is_conv else f"kernel {each.kernel}"
            raise ValueError(
                f"The {cause} of {each.name} does not fit the {sides[0]} x {sides[1]} (padding "
                "included) that reach it. Use smaller kernels, larger samples, or "
                "overlapping_pools=True."
            )
        # A pool keeps windows that the border cuts, a convolution does not.
        spans = [n - each.kernel + (0 if is_conv else each.stride - 1) for n in sides]
        height, width = (span // each.stride + 1 for span in spans)
        shape = (each.n_channels if is_conv else shape[0], height, width)
        yield Layer(
            each.name,
            "conv" if is_conv else "pool",
            shape,
            each.kernel,
            each.stride,
            each.padding,
        )
