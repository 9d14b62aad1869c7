"""The limits that layers are held to, as a user gives them: one for all layers, or by layer.

Which layers there are may be declared: by name, or as the keys of a mapping for alpha or beta.
The permitted error delta is divided over all questions of which one yes stops the network, so that
it bounds the error of the whole:
    layers       over_layers="any": equally over declared or watched ones; where there are neither,
                 so that their number is not known ahead, the j-th gets `declining_share(j)`.
                 "all": not at all. The network is stopped only where each layer is, so one that
                 keeps to beta bounds the probability by its own
    two of each  a layer with max_spikes is asked whether it is silent and whether it is saturated,
                 and halves its part. With "all" the two are asked of the network, so that every
                 layer halves it once one has the bound
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from functools import cached_property

from optuna_snn.spikes.activity import LayerActivity, checked_alpha, checked_max_spikes
from optuna_snn.spikes.checks import checked_integer
from optuna_snn.spikes.layer_report import LayerReport
from optuna_snn.spikes.report import OverLayers, checked_over_layers
from optuna_snn.spikes.rules import RuleName, SilenceRule, checked_rule, declining_share
from optuna_snn.spikes.window import Window

PerLayer = float | Mapping[str, float]


@dataclass(frozen=True)
class Limits:
    """Options of a monitor that concern its layers; `SilenceRule` says what they mean.

    alpha, beta: a number for every layer, or layer -> number
    layers:      the declared layers, or None
    max_spikes:  a number for every layer, layer -> number for some of the declared ones, or None
    over_layers: whether "any" silent layer makes a silent network, or "all" together
    window:      samples of a sliding window; None for one window an epoch ("sequential" only)
    Raises ValueError if a value is out of range, or alpha, beta and layers name different layers.
    """

    alpha: PerLayer
    beta: PerLayer
    rule: RuleName
    delta: float
    min_samples: int
    epoch_size: int | None = None
    layers: Collection[str] | None = None
    max_spikes: PerLayer | None = None
    over_layers: OverLayers = "any"
    window: int | None = None

    def __post_init__(self) -> None:
        checked_over_layers(self.over_layers)
        if isinstance(self.max_spikes, Mapping):
            self._refuse_bounds_of_other_layers(self.max_spikes)
        if not self.declared:
            self._layer("(any)", delta_share=1.0)
        for name in self.declared:
            self.first_report(name, position=1)

    @cached_property
    def declared(self) -> tuple[str, ...]:
        """The layers that the options name, which have to agree; () if they name none."""
        if isinstance(self.layers, str):
            raise ValueError(
                f"layers must be a sequence of names, got {self.layers!r}; pass [{self.layers!r}]."
            )
        named = {} if self.layers is None else {"layers": tuple(self.layers)}
        for option, value in (("alpha", self.alpha), ("beta", self.beta)):
            if isinstance(value, Mapping):
                named[option] = tuple(value)
        first, expected = next(iter(named.items()), ("", ()))
        for option, names in named.items():
            is_text = all(isinstance(name, str) for name in names)
            if not names or not is_text or len(set(names)) < len(names):
                raise ValueError(
                    f"{option} must name one layer or more by strings, each once; got {names}."
                )
            if set(names) != set(expected):
                raise ValueError(
                    f"{first} and {option} must name the same layers, got {expected} and {names}."
                )
        return expected

    def first_report(self, layer: str, position: int) -> LayerReport:
        """Return the empty report of the layer that is the `position`-th, from 1, to appear.

        Raises ValueError if layers are declared and it is none of them.
        """
        is_any = self.over_layers == "any"
        if not self.declared:
            return self._layer(layer, declining_share(position) if is_any else 1.0)
        if layer not in self.declared:
            raise ValueError(
                f"Layer {layer!r} was not declared; declared are "
                f"{', '.join(map(repr, self.declared))}, by SpikeMonitor or its watch(). Declare "
                "it by layers= of SpikeMonitor, and in the mappings given for alpha and beta."
            )
        return self._layer(layer, 1 / len(self.declared) if is_any else 1.0)

    def _layer(self, layer: str, delta_share: float) -> LayerReport:
        alpha = checked_alpha(self.alpha[layer] if isinstance(self.alpha, Mapping) else self.alpha)
        beta = self.beta[layer] if isinstance(self.beta, Mapping) else self.beta
        most = self.max_spikes
        if isinstance(most, Mapping):
            most = most.get(layer)
        shared = most if self.over_layers == "any" else self.max_spikes
        n_questions = 1 if shared is None else 2
        rule = checked_rule(
            self.rule,
            beta,
            self.delta,
            self.min_samples,
            self.epoch_size,
            delta_share / n_questions,
        )
        return LayerReport(
            LayerActivity(
                alpha,
                max_spikes=None if most is None else checked_max_spikes(most, alpha),
                window=Window(checked_window(self.window, rule)),
            ),
            rule,
        )

    def _refuse_bounds_of_other_layers(self, max_spikes: Mapping[str, float]) -> None:
        others = [name for name in max_spikes if name not in self.declared]
        if others or not max_spikes:
            declared = ", ".join(map(repr, self.declared)) or "none"
            raise ValueError(
                f"max_spikes must name one declared layer or more, got {tuple(max_spikes)}; "
                f"declared are {declared}. Declare them by layers=, or pass one number for all."
            )


def checked_window(window: object, rule: SilenceRule) -> int | None:
    """Return the samples of a sliding window as an integer, or None for none.

    Raises ValueError unless it is even, at least twice min_samples, and of rule "sequential".
    """
    if window is None:
        return None
    size = checked_integer("window", window, at_least=1)
    if size % 2 or size < 2 * rule.min_samples:
        raise ValueError(
            "window must be even and at least twice min_samples = "
            f"{rule.min_samples}, got {window!r}: it advances in halves. "
            "Pass None for a window that is the epoch."
        )
    if rule.name != "sequential":
        raise ValueError(
            f"window={window!r} needs rule='sequential', got rule={rule.name!r}, which judges an "
            "epoch as a whole. Pass window=None."
        )
    return size
