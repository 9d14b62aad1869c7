"""Input spikes of labelled samples: images are encoded, recordings of events are spikes already.

`SpikeInputs` makes of both what a network takes: (n, channels, height, width, n_steps).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal, Protocol, get_args

import numpy as np
from numpy.typing import NDArray

from optuna_snn.objectives.datasets import Samples
from optuna_snn.objectives.encoding import poisson_spikes, regular_spikes
from optuna_snn.spikes.checks import checked_integer, checked_real

__all__ = [
    "ENCODINGS",
    "EncodingName",
    "FrameSplit",
    "Frames",
    "LabelledSamples",
    "SpikeInputs",
]

EncodingName = Literal["poisson", "regular"]
ENCODINGS: tuple[EncodingName, ...] = get_args(EncodingName)


IMAGE_STEP_MS = 1.0
"""Of a step in which images are shown, as the rates of their inputs are spikes per second."""


class Frames(Protocol):
    """Labelled recordings of events, which are binned into frames as they are asked for.

    labels:      (n_samples,) classes, counted from 0
    frame_shape: channels, height, width
    """

    @property
    def labels(self) -> NDArray[np.int64]: ...  # noqa: D102
    @property
    def frame_shape(self) -> tuple[int, int, int]: ...  # noqa: D102
    def __len__(self) -> int: ...
    def frames(self, indices: NDArray[np.int64], *, n_steps: int) -> NDArray[np.bool_]:
        """The recordings at `indices` as spikes (n, channels, height, width, n_steps)."""


LabelledSamples = Samples | Frames


class FrameSplit(Protocol):
    """A three-way split of recordings, with the names of `DataSplit`."""

    @property
    def train(self) -> Frames: ...  # noqa: D102
    @property
    def validation(self) -> Frames: ...  # noqa: D102
    @property
    def test(self) -> Frames: ...  # noqa: D102
    @property
    def train_and_validation(self) -> Frames: ...  # noqa: D102
    @property
    def n_classes(self) -> int: ...  # noqa: D102


@dataclass(frozen=True)
class SpikeInputs:
    """How labelled samples become input spikes.

    n_steps:      steps that each sample is shown for; recordings are cut into as many frames
    encoding:     of images: "poisson" or "regular" trains (`encoding`)
    intensity_hz: rate of an input whose pixel has intensity 1, with steps of 1 ms (IMAGE_STEP_MS)
    image_shape:  height and width of images; None takes them to be square

    Raises ValueError for a value out of range.
    """

    n_steps: int
    encoding: EncodingName = "poisson"
    intensity_hz: float = 1000.0
    image_shape: tuple[int, int] | None = None

    def __post_init__(self) -> None:
        checked_integer("n_steps", self.n_steps, at_least=1)
        if self.encoding not in ENCODINGS:
            raise ValueError(f"encoding must be one of {ENCODINGS}, got {self.encoding!r}.")
        if not 0 < checked_real("intensity_hz", self.intensity_hz) <= 1000:
            raise ValueError(f"Need 0 < intensity_hz <= 1000, got {self.intensity_hz!r}.")
        if self.image_shape is not None:
            if len(self.image_shape) != 2:
                raise ValueError(f"image_shape must be (height, width), got {self.image_shape!r}.")
            for side in self.image_shape:
                checked_integer("image_shape", side, at_least=1)

    def shape_of(self, samples: LabelledSamples) -> tuple[int, int, int]:
        """Channels, height and width of the samples; ValueError if images have another size."""
        if not isinstance(samples, Samples):
            n_channels, height, width = samples.frame_shape
            return (n_channels, height, width)
        n_pixels = samples.images.shape[1]
        side = math.isqrt(n_pixels)
        height, width = (side, side) if self.image_shape is None else self.image_shape
        if height * width != n_pixels:
            raise ValueError(
                f"Images of {n_pixels} pixels are not {height} x {width}; pass their "
                "image_shape=(height, width)."
            )
        return (1, height, width)

    def step_ms(self, samples: LabelledSamples) -> float | None:
        """Milliseconds of a step; None for recordings, whose frames have a length of their own."""
        return IMAGE_STEP_MS if isinstance(samples, Samples) else None

    def spikes(
        self, samples: LabelledSamples, indices: NDArray[np.int64], rng: np.random.Generator
    ) -> NDArray[np.bool_]:
        """The samples at `indices` as spikes (n, channels, height, width, n_steps).

        rng: of Poisson trains; nothing else draws from it
        """
        if not isinstance(samples, Samples):
            return samples.frames(indices, n_steps=self.n_steps)
        rates_hz = samples.images[indices] * self.intensity_hz
        if self.encoding == "poisson":
            trains = poisson_spikes(rates_hz, n_steps=self.n_steps, rng=rng, dt_ms=IMAGE_STEP_MS)
        else:
            trains = regular_spikes(rates_hz, n_steps=self.n_steps, dt_ms=IMAGE_STEP_MS)
        return np.moveaxis(trains, 0, -1).reshape(
            len(indices), *self.shape_of(samples), self.n_steps
        )
