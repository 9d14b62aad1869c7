"""What one layer of a trial showed, and what its rule makes of it."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

from optuna_snn.spikes.activity import LayerActivity
from optuna_snn.spikes.gaps import Gaps, graded
from optuna_snn.spikes.rules import RuleName, SilenceRule, checked_rule, share_sd
from optuna_snn.spikes.tally import Counts


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
    def max_spikes(self) -> int | None:
        """Spikes above which a sample is saturated; None where the layer has no such bound."""
        return self.activity.max_spikes

    @property
    def is_silent(self) -> bool:
        """Whether the rule finds too many silent samples."""
        return self._is_found(self.activity.judged.n_silent)

    @property
    def is_saturated(self) -> bool:
        """Whether the rule finds too many saturated samples."""
        return self.max_spikes is not None and self._is_found(self.activity.judged.n_saturated)

    @property
    def constraint(self) -> float | None:
        """Silent share - beta of the judged window, graded by its gaps (`gaps.graded`).

        None if no sample was judged.
        """
        excess = self._excess(self.activity.judged.n_silent)
        return None if excess is None else graded(excess, self.activity.mean_gap)

    @property
    def saturation_constraint(self) -> float | None:
        """Saturated share - beta; None without the bound, or if no sample was judged."""
        return None if self.max_spikes is None else self._excess(self.activity.judged.n_saturated)

    @property
    def constraint_sd(self) -> float | None:
        """Standard deviation of `constraint`, by the number of samples that it rests on."""
        return self._error(self.constraint, self.activity.judged.n_silent)

    @property
    def saturation_constraint_sd(self) -> float | None:
        """Likewise, that of `saturation_constraint`."""
        return self._error(self.saturation_constraint, self.activity.judged.n_saturated)

    def after(
        self, counts: Counts, *, epoch: int, warmup: int, gaps: Gaps | None = None
    ) -> LayerReport:
        """Return the report with further samples; counts, gaps: (n_samples,)."""
        activity = self.activity.after(counts, epoch=epoch, warmup=warmup, gaps=gaps)
        return replace(self, activity=activity)

    def judged_whole(self) -> LayerReport:
        """Return the report with all its samples judged, as one epoch and without their gaps."""
        return replace(self, activity=self.activity.judged_whole())

    def to_json(self) -> dict[str, Any]:
        """Return the report as JSON values; the rule's name is told with the network's report."""
        return self.activity.to_json() | {
            "beta": self.rule.beta,
            "delta": self.rule.delta,
            "delta_share": self.rule.delta_share,
            "min_samples": self.rule.min_samples,
            "epoch_size": self.rule.epoch_size,
        }

    @staticmethod
    def from_json(value: dict[str, Any], rule: RuleName) -> LayerReport:
        """Return the report that `to_json` wrote; ValueError for anything else."""
        return LayerReport(
            activity=LayerActivity.from_json(value),
            rule=checked_rule(
                name=rule,
                beta=value.get("beta"),
                delta=value.get("delta"),
                min_samples=value.get("min_samples"),
                epoch_size=value.get("epoch_size"),
                delta_share=value.get("delta_share"),
            ),
        )

    def _error(self, constraint: float | None, n: int) -> float | None:
        n_samples = self.activity.judged.n_samples
        if constraint is None:
            return None
        # Gaps stretch the share's excess.
        excess = self.rule.excess(n_samples, n)
        stretch = constraint / excess if excess > 0 else 1.0
        return share_sd(n_samples, n) * stretch

    def _is_found(self, n: int) -> bool:
        window = self.activity.window
        return self.rule.is_silent(window.judged.n_samples, n, window.number)

    def _excess(self, n: int) -> float | None:
        n_samples = self.activity.judged.n_samples
        return self.rule.excess(n_samples, n) if n_samples else None
