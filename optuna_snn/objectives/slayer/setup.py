"""The conditions that all trials of a SLAYER study share: network, inputs, targets, device."""

from __future__ import annotations

from dataclasses import dataclass

from optuna_snn.objectives.devices import checked_device
from optuna_snn.objectives.slayer.config import SLAYERConfig
from optuna_snn.objectives.slayer.plan import NETWORKS, Layer, NetworkName, plan_network
from optuna_snn.objectives.spike_inputs import EncodingName, LabelledSamples, SpikeInputs
from optuna_snn.spikes.checks import checked_integer, checked_real

__all__ = ["SLAYERSetup"]


@dataclass(frozen=True)
class SLAYERSetup:
    """The conditions that all trials of a study share.

    network:      "dense", or the paper's "experiment_3" and "experiment_4" (`plan`)
    n_steps:      steps that each sample is shown for
    encoding, intensity_hz, image_shape: of images; see `SpikeInputs`
    overlapping_pools: whether windows of pools are one pixel apart, as in the paper, or side by
                  side, which is far cheaper and takes smaller kernels only
    true_rate, false_rate: spikes per step that loss "rate" wants of the label's output, and of
                  the others
    response_batch: samples presented at once when nothing is learnt; it changes memory and speed
    device:       where torch simulates the network. On "cuda" lava-dl compiles its own kernels at
                  the first batch, which takes the CUDA toolkit; this package is tested on "cpu"

    Raises ValueError for a value out of range.
    """

    network: NetworkName = "dense"
    n_steps: int = 16
    encoding: EncodingName = "poisson"
    intensity_hz: float = 1000.0
    image_shape: tuple[int, int] | None = None
    overlapping_pools: bool = True
    true_rate: float = 0.5
    false_rate: float = 0.03
    response_batch: int = 100
    device: str = "cpu"

    def __post_init__(self) -> None:
        if self.network not in NETWORKS:
            raise ValueError(f"network must be one of {NETWORKS}, got {self.network!r}.")
        _ = self.inputs  # refuses its options
        true_rate = checked_real("true_rate", self.true_rate)
        false_rate = checked_real("false_rate", self.false_rate)
        if not 0 <= false_rate < true_rate <= 1:
            raise ValueError(
                f"Need 0 <= false_rate < true_rate <= 1, got {self.false_rate!r} "
                f"and {self.true_rate!r}."
            )
        checked_integer("response_batch", self.response_batch, at_least=1)
        checked_device(self.device)

    @property
    def inputs(self) -> SpikeInputs:
        """How samples become input spikes."""
        return SpikeInputs(self.n_steps, self.encoding, self.intensity_hz, self.image_shape)

    def plan(
        self, config: SLAYERConfig, samples: LabelledSamples, n_classes: int
    ) -> tuple[Layer, ...]:
        """The layers of the network for such samples; ValueError where they do not fit."""
        return plan_network(
            self.network,
            config,
            self.inputs.shape_of(samples),
            n_classes=n_classes,
            overlapping_pools=self.overlapping_pools,
        )
