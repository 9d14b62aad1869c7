"""What a trial's spikes showed, and what follows from it: silent layers, constraints, savings.

A report is a value: it advances by samples, is stored as JSON, and is read back from a trial by
whoever wants to judge it. The judgement is always made from the report alone, so that monitor,
pruner and later readers agree.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from optuna_snn.spikes.activity import LayerActivity
from optuna_snn.spikes.checks import is_count
from optuna_snn.spikes.rules import RuleName, SilenceRule, checked_rule, checked_rule_name
from optuna_snn.spikes.tally import Counts

JSON_VERSION = 1


@dataclass(frozen=True)
class LayerReport:
    """One layer: its activity, and the rule that judges it."""

    activity: LayerActivity
    rule: SilenceRule

    @property
    def alpha(self) -> int:
        """Spikes below which a sample is silent."""
        return self.activity.alpha

    @property
    def beta(self) -> float:
        """Silent share that is tolerated."""
        return self.rule.beta

    @property
    def is_silent(self) -> bool:
        """Whether the rule stops the network because of this layer."""
        judged = self.activity.judged
        return self.rule.is_silent(judged.n_samples, judged.n_silent, self.activity.epoch)

    @property
    def constraint(self) -> float | None:
        """Silent share - beta of the judged window; None if no sample was judged."""
        judged = self.activity.judged
        return self.rule.excess(judged.n_samples, judged.n_silent) if judged.n_samples else None

    def after(self, counts: Counts, *, epoch: int, warmup: int) -> LayerReport:
        """Return the report with further samples; counts: (n_samples,)."""
        return replace(self, activity=self.activity.after(counts, epoch=epoch, warmup=warmup))


@dataclass(frozen=True)
class SpikeReport:
    """The spike activity of a trial, as stored by a monitor.

    rule:            name of the rule, the same for all layers
    warmup:          samples of each layer that were seen before the first judged one
    planned_samples: training samples of a run to the end, if the user told
    layers:          layer name -> LayerReport, in the order of declaration or appearance
    """

    rule: RuleName
    warmup: int
    planned_samples: int | None = None
    layers: Mapping[str, LayerReport] = field(default_factory=dict)

    @property
    def samples_seen(self) -> int:
        """Samples the network has processed: those of the layer that saw most."""
        return max((layer.activity.seen.n_samples for layer in self.layers.values()), default=0)

    @property
    def stopped_layers(self) -> tuple[str, ...]:
        """The layers that the rule calls silent."""
        return tuple(name for name, layer in self.layers.items() if layer.is_silent)

    @property
    def is_silent(self) -> bool:
        """Whether the rule stops the network: any layer is silent."""
        return bool(self.stopped_layers)

    @property
    def samples_saved(self) -> int | None:
        """Planned samples that a silent network was spared; None without planned_samples."""
        if self.planned_samples is None:
            return None
        return max(0, self.planned_samples - self.samples_seen) if self.is_silent else 0

    @property
    def constraints(self) -> dict[str, float]:
        """Silent share - beta of each layer that has judged samples."""
        values = {name: layer.constraint for name, layer in self.layers.items()}
        return {name: value for name, value in values.items() if value is not None}

    @property
    def verdict(self) -> str | None:
        """One sentence per silent layer; None if the network is not silent."""
        return "; ".join(self._sentence(name) for name in self.stopped_layers) or None

    def _sentence(self, name: str) -> str:
        layer = self.layers[name]
        judged = layer.activity.judged
        spikes = "no spike" if layer.alpha == 1 else f"fewer than {layer.alpha} spikes"
        return (
            f"layer {name!r} is silent: {judged.n_silent} of {judged.n_samples} samples had "
            f"{spikes} (share {judged.n_silent / judged.n_samples:.3f}, "
            f"beta {layer.beta:g}, {self.rule} rule, epoch {layer.activity.epoch})"
        )

    def to_json(self) -> dict[str, Any]:
        """Return the report as JSON values, a few thousand characters a layer."""
        return {
            "version": JSON_VERSION,
            "rule": self.rule,
            "warmup": self.warmup,
            "planned_samples": self.planned_samples,
            "layers": {
                name: layer.activity.to_json()
                | {
                    "beta": layer.rule.beta,
                    "delta": layer.rule.delta,
                    "delta_share": layer.rule.delta_share,
                    "min_samples": layer.rule.min_samples,
                    "epoch_size": layer.rule.epoch_size,
                }
                for name, layer in self.layers.items()
            },
        }

    @staticmethod
    def from_json(value: object) -> SpikeReport:
        """Return the report that `to_json` wrote; ValueError with the reason for anything else."""
        if not isinstance(value, dict) or value.get("version") != JSON_VERSION:
            raise ValueError(f"need a mapping of version {JSON_VERSION}, got {value!r:.200}")
        rule, layers = checked_rule_name(value.get("rule")), value.get("layers")
        if not isinstance(layers, dict) or not all(isinstance(v, dict) for v in layers.values()):
            raise ValueError(f"layers must be a mapping of mappings, got {layers!r:.200}")
        warmup, planned = value.get("warmup"), value.get("planned_samples")
        if not is_count(warmup) or not (planned is None or is_count(planned)):
            raise ValueError(
                f"warmup and planned_samples must be integers >= 0, got {warmup!r} and {planned!r}"
            )
        return SpikeReport(
            rule=rule,
            warmup=warmup,
            planned_samples=planned,
            layers={
                name: LayerReport(
                    activity=LayerActivity.from_json(layer),
                    rule=checked_rule(
                        name=rule,
                        beta=layer.get("beta"),
                        delta=layer.get("delta"),
                        min_samples=layer.get("min_samples"),
                        epoch_size=layer.get("epoch_size"),
                        delta_share=layer.get("delta_share"),
                    ),
                )
                for name, layer in layers.items()
            },
        )
