"""The limits that layers are held to, as a user gives them: one for all layers, or by layer.

Which layers there are may be declared: by name, or as the keys of a mapping for alpha or beta.
The permitted error delta is divided over the layers: equally over declared ones; where none are
declared, and so their number is not known ahead, the j-th to appear gets `declining_share(j)`.
Either way the shares sum to at most 1, so delta bounds the error of the whole network.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from functools import cached_property

from optuna_snn.spikes.activity import LayerActivity, checked_alpha
from optuna_snn.spikes.report import LayerReport
from optuna_snn.spikes.rules import RuleName, checked_rule, declining_share

PerLayer = float | Mapping[str, float]


@dataclass(frozen=True)
class Limits:
    """Options of a monitor that concern its layers; `SilenceRule` says what they mean.

    alpha, beta: a number for every layer, or layer -> number
    layers:      the declared layers, or None
    Raises ValueError if a value is out of range, or alpha, beta and layers name different layers.
    """

    alpha: PerLayer
    beta: PerLayer
    rule: RuleName
    delta: float
    min_samples: int
    epoch_size: int | None = None
    layers: Collection[str] | None = None

    def __post_init__(self) -> None:
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
        if not self.declared:
            return self._layer(layer, declining_share(position))
        if layer not in self.declared:
            raise ValueError(
                f"Layer {layer!r} was not declared; declared are "
                f"{', '.join(map(repr, self.declared))}. Declare it by layers=, "
                "and in the mappings given for alpha and beta."
            )
        return self._layer(layer, 1 / len(self.declared))

    def _layer(self, layer: str, delta_share: float) -> LayerReport:
        alpha = self.alpha[layer] if isinstance(self.alpha, Mapping) else self.alpha
        beta = self.beta[layer] if isinstance(self.beta, Mapping) else self.beta
        rule = checked_rule(
            self.rule, beta, self.delta, self.min_samples, self.epoch_size, delta_share
        )
        return LayerReport(LayerActivity(checked_alpha(alpha)), rule)
