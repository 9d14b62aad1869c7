"""What a trial's spikes showed, and what follows from it: stopped layers, constraints, savings.

A report is a value: it advances by samples, is stored as JSON, and is read back from a trial by
whoever wants to judge it. The judgement is always made from the report alone, so that monitor,
pruner and later readers agree.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Literal, assert_never, get_args

from optuna_snn.spikes.checks import is_count
from optuna_snn.spikes.layer_report import LayerReport
from optuna_snn.spikes.rules import RuleName, checked_rule_name

JSON_VERSION = 1

OverLayers = Literal["any", "all"]
OVER_LAYERS: tuple[OverLayers, ...] = get_args(OverLayers)


@dataclass(frozen=True)
class SpikeReport:
    """The spike activity of a trial, as stored by a monitor.

    rule:            name of the rule, the same for all layers
    warmup:          samples of each layer that were seen before the first judged one
    planned_samples: training samples of a run to the end, if the user told
    layers:          layer name -> LayerReport, in the order of declaration or appearance
    over_layers:     "any": the network is silent when one of its layers is; "all": when every one
                     is, at the same look. Likewise for saturated, among the layers with a bound
    is_judged_whole: whether training ended within the warm-up, and all samples were judged then:
                     until the end there was nothing to stop the network by
    """

    rule: RuleName
    warmup: int
    planned_samples: int | None = None
    layers: Mapping[str, LayerReport] = field(default_factory=dict)
    over_layers: OverLayers = "any"
    is_judged_whole: bool = False

    @property
    def samples_seen(self) -> int:
        """Samples the network has processed: those of the layer that saw most."""
        return max((layer.activity.seen.n_samples for layer in self.layers.values()), default=0)

    @property
    def is_silent(self) -> bool:
        """Whether the rule stops the network because it is silent."""
        return self._is_over_layers([layer.is_silent for layer in self.layers.values()])

    @property
    def is_saturated(self) -> bool:
        """Whether the rule stops the network because it is saturated."""
        bounded = [layer for layer in self.layers.values() if layer.max_spikes is not None]
        return self._is_over_layers([layer.is_saturated for layer in bounded])

    @property
    def is_stopped(self) -> bool:
        """Whether the rule stops the network, which is silent or saturated."""
        return self.is_silent or self.is_saturated

    @property
    def stopped_layers(self) -> tuple[str, ...]:
        """The layers because of which the rule stops the network: silent or saturated ones."""
        is_silent, is_saturated = self.is_silent, self.is_saturated
        return tuple(
            name
            for name, layer in self.layers.items()
            if (is_silent and layer.is_silent) or (is_saturated and layer.is_saturated)
        )

    @property
    def samples_saved(self) -> int | None:
        """Planned samples that a stopped network was spared; None without planned_samples."""
        if self.planned_samples is None:
            return None
        is_stopped = self.is_stopped and not self.is_judged_whole
        return max(0, self.planned_samples - self.samples_seen) if is_stopped else 0

    @property
    def constraints(self) -> dict[str, float]:
        """Silent share - beta, graded by gaps where known, of each layer with judged samples.

        With over_layers="all" the least of them as "all", once every layer has judged samples.
        """
        return self._over_layers({name: layer.constraint for name, layer in self.layers.items()})

    @property
    def saturation_constraints(self) -> dict[str, float]:
        """The same of the saturated shares, of the layers that have a bound."""
        return self._over_layers(
            {
                name: layer.saturation_constraint
                for name, layer in self.layers.items()
                if layer.max_spikes is not None
            }
        )

    @property
    def constraint_sds(self) -> dict[str, float]:
        """Standard deviation of each of `constraints`, by the samples that it rests on."""
        layers = self.layers.items()
        return self._sds_over_layers(
            {name: layer.constraint for name, layer in layers},
            {name: layer.constraint_sd for name, layer in layers},
        )

    @property
    def saturation_constraint_sds(self) -> dict[str, float]:
        """The same of `saturation_constraints`."""
        layers = [(k, layer) for k, layer in self.layers.items() if layer.max_spikes is not None]
        return self._sds_over_layers(
            {name: layer.saturation_constraint for name, layer in layers},
            {name: layer.saturation_constraint_sd for name, layer in layers},
        )

    @property
    def could_not_be_stopped(self) -> bool:
        """Whether so few samples came after the warm-up that the rule had none to stop it by.

        Never so with planned_samples, of which the warm-up is a part, nor with rule "record".
        """
        if self.planned_samples is not None or self.rule == "record":
            return False
        n_needed = [
            layer.rule.min_samples if self.rule == "sequential" else 1
            for layer in self.layers.values()
        ]
        return self.samples_seen < self.warmup + min(n_needed, default=0)

    def judged_whole(self) -> SpikeReport:
        """Return the report of a training that has ended, judged by all samples if need be.

        That is where the warm-up left no sample of any layer to judge.
        """
        if any(layer.constraint is not None for layer in self.layers.values()):
            return self
        layers = {name: layer.judged_whole() for name, layer in self.layers.items()}
        return replace(self, layers=layers, is_judged_whole=True)

    @property
    def verdict(self) -> str | None:
        """A sentence for each layer and reason that stops the network; None if nothing does."""
        is_silent, is_saturated = self.is_silent, self.is_saturated
        sentences = []
        for name, layer in self.layers.items():
            judged = layer.activity.judged
            if is_silent and layer.is_silent:
                few = "no spike" if layer.alpha == 1 else f"fewer than {layer.alpha} spikes"
                sentences.append(self._sentence(name, "silent", judged.n_silent, few))
            if is_saturated and layer.is_saturated:
                many = f"more than {layer.max_spikes} spikes"
                sentences.append(self._sentence(name, "saturated", judged.n_saturated, many))
        return "; ".join(sentences) or None

    def _sentence(self, name: str, found: str, n: int, spikes: str) -> str:
        layer = self.layers[name]
        n_samples = layer.activity.judged.n_samples
        return (
            f"layer {name!r} is {found}: {n} of {n_samples} samples had {spikes} "
            f"(share {n / n_samples:.3f}, beta {layer.beta:g}, {self.rule} rule, "
            f"epoch {layer.activity.epoch})"
        )

    def _is_over_layers(self, answers: list[bool]) -> bool:
        match self.over_layers:
            case "any":
                return any(answers)
            case "all":
                return bool(answers) and all(answers)
            case _:
                assert_never(self.over_layers)

    def _over_layers(self, values: Mapping[str, float | None]) -> dict[str, float]:
        known = {name: value for name, value in values.items() if value is not None}
        if self.over_layers == "any":
            return known
        is_complete = bool(known) and len(known) == len(values)
        return {"all": min(known.values())} if is_complete else {}

    def _sds_over_layers(
        self, values: Mapping[str, float | None], sds: Mapping[str, float | None]
    ) -> dict[str, float]:
        known = {name: sd for name, sd in sds.items() if sd is not None}
        if self.over_layers == "any" or not self._over_layers(values):
            return known if self.over_layers == "any" else {}
        least = min(known, key=lambda name: values[name] or 0.0)
        return {"all": known[least]}

    def to_json(self) -> dict[str, Any]:
        """Return the report as JSON values, a few thousand characters a layer."""
        return {
            "version": JSON_VERSION,
            "rule": self.rule,
            "warmup": self.warmup,
            "planned_samples": self.planned_samples,
            "over_layers": self.over_layers,
            "judged_whole": self.is_judged_whole,
            "layers": {name: layer.to_json() for name, layer in self.layers.items()},
        }

    @staticmethod
    def from_json(value: object) -> SpikeReport:
        """Return the report that `to_json` wrote; ValueError with the reason for anything else.

        What was stored before there was a choice has no entry "over_layers", and means "any"; an
        earlier report that was judged whole has no entry "judged_whole", but a warm-up of 0.
        """
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
        is_judged_whole = value.get("judged_whole", False)
        if not isinstance(is_judged_whole, bool):
            raise ValueError(f"judged_whole must be a truth value, got {is_judged_whole!r:.99}")
        return SpikeReport(
            rule=rule,
            warmup=warmup,
            planned_samples=planned,
            over_layers=checked_over_layers(value.get("over_layers", "any")),
            layers={name: LayerReport.from_json(layer, rule) for name, layer in layers.items()},
            is_judged_whole=is_judged_whole,
        )


def checked_over_layers(over_layers: object) -> OverLayers:
    """Return how layers make a network; ValueError, naming the ways, if it is none of them."""
    for known in OVER_LAYERS:
        if over_layers == known:
            return known
    raise ValueError(f"over_layers must be one of {', '.join(OVER_LAYERS)}; got {over_layers!r}.")
