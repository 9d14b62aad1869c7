"""The state of a monitor as plain values, so that another one can go on where it was.

A monitor knows its report, the epoch that it is in, and whether samples of that epoch have come.
Reports are exact in JSON: counts are integers, and sums of gaps come back bit by bit. So whoever
goes on judges the same samples, and finds the same.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from optuna_snn.spikes.checks import is_count
from optuna_snn.spikes.layer_report import LayerReport
from optuna_snn.spikes.limits import Limits
from optuna_snn.spikes.report import SpikeReport

STATE_VERSION = 1


@dataclass(frozen=True)
class MonitorState:
    """Where a monitor is.

    report:               what it has found so far
    epoch:                the epoch, counted from 1, that further samples belong to
    has_samples_in_epoch: whether some have come
    """

    report: SpikeReport
    epoch: int = 1
    has_samples_in_epoch: bool = False

    def to_json(self) -> dict[str, Any]:
        """Return the state as JSON values."""
        return {
            "version": STATE_VERSION,
            "report": self.report.to_json(),
            "epoch": self.epoch,
            "has_samples_in_epoch": self.has_samples_in_epoch,
        }

    @staticmethod
    def from_json(value: object) -> MonitorState:
        """Return the state that `to_json` wrote; ValueError with the reason for anything else."""
        if not isinstance(value, Mapping) or value.get("version") != STATE_VERSION:
            raise ValueError(f"need a mapping of version {STATE_VERSION}, got {value!r:.200}")
        report = SpikeReport.from_json(value.get("report"))
        epoch, has_samples = value.get("epoch"), value.get("has_samples_in_epoch")
        latest = max((layer.activity.epoch for layer in report.layers.values()), default=1)
        if not (is_count(epoch) and epoch >= latest and isinstance(has_samples, bool)):
            raise ValueError(
                f"epoch must be an integer >= {latest} and has_samples_in_epoch a truth value, "
                f"got {epoch!r} and {has_samples!r}"
            )
        return MonitorState(report, epoch, has_samples)


def restored(
    state: object, fresh: SpikeReport, limits: Limits, *, has_given_warmup: bool
) -> MonitorState:
    """Return the state that `to_json` wrote, for a monitor with the same options.

    fresh:            the report of the monitor that is to go on, before its first sample
    limits:           its options that concern layers
    has_given_warmup: whether its warm-up was given; else it depends on the first batch
    Raises ValueError, naming what differs, for a state of other options, and for what is none.
    """
    try:
        found = MonitorState.from_json(state)
        _refuse_other_options(found.report, fresh, limits, has_given_warmup)
    except ValueError as error:
        raise ValueError(f"This state cannot be restored: {error}.") from error
    return found


def _refuse_other_options(
    stored: SpikeReport, fresh: SpikeReport, limits: Limits, has_given_warmup: bool
) -> None:
    options = ["rule", "over_layers", "planned_samples", *(["warmup"] if has_given_warmup else [])]
    for option in options:
        had, has = getattr(stored, option), getattr(fresh, option)
        if had != has:
            raise ValueError(f"its {option} was {had!r}, that of this monitor is {has!r}")
    if missing := [name for name in fresh.layers if name not in stored.layers]:
        raise ValueError(f"it has no layer {missing[0]!r}")
    wanted = {
        name: limits.first_report(name, position)
        for position, name in enumerate(stored.layers, start=1)
    }
    for name, layer in stored.layers.items():
        if _limits_of(layer) != _limits_of(wanted[name]):
            raise ValueError(
                f"layer {name!r} had the limits {_limits_of(layer)}, "
                f"in this monitor it has {_limits_of(wanted[name])}"
            )


def _limits_of(layer: LayerReport) -> dict[str, object]:
    return {
        "alpha": layer.alpha,
        "max_spikes": layer.max_spikes,
        "window": layer.activity.window.size,
        **asdict(layer.rule),
    }
