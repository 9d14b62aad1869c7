"""What a layer's samples showed: the window that a rule judges, all samples, and their course.

Glossary, beside that of `tally`
    judged    the window a rule judges: samples of one epoch that came after the warm-up
    seen      every sample of the trial, warm-up included
    trace     the samples in the order of time, coarser as they grow many
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from optuna_snn.spikes.checks import checked_real, is_count
from optuna_snn.spikes.tally import Counts, Tally
from optuna_snn.spikes.trace import Trace


@dataclass(frozen=True)
class LayerActivity:
    """Spike activity of one layer in one trial.

    alpha:  spikes below which a sample is silent
    epoch:  the epoch, counted from 1, that `judged` belongs to
    judged: samples of that epoch after the warm-up
    seen:   all samples, whichever epoch, warm-up included
    trace:  the same in the order of time; the first of them only where they are very many
    """

    alpha: int
    epoch: int = 1
    judged: Tally = field(default_factory=Tally)
    seen: Tally = field(default_factory=Tally)
    trace: Trace = field(default_factory=Trace)

    def after(self, counts: Counts, *, epoch: int, warmup: int) -> LayerActivity:
        """Return the activity with further samples.

        The first `warmup` samples of the layer are seen but not judged. The judged window starts
        anew with the first judged sample of a later epoch, and not before: an epoch that has just
        begun leaves the window of the one before in place.
        counts: (n_samples,), in the order the samples were presented
        """
        seen = self.seen.after(counts, self.alpha)
        trace = self.trace.after(counts, epoch=epoch, alpha=self.alpha)
        to_judge = counts[max(0, warmup - self.seen.n_samples) :]
        if to_judge.size == 0:
            return LayerActivity(self.alpha, self.epoch, self.judged, seen, trace)
        window = self.judged if epoch == self.epoch else Tally()
        return LayerActivity(self.alpha, epoch, window.after(to_judge, self.alpha), seen, trace)

    def to_json(self) -> dict[str, Any]:
        """Return the activity as JSON values."""
        return {
            "alpha": self.alpha,
            "epoch": self.epoch,
            "judged": self.judged.to_json(),
            "seen": self.seen.to_json(),
            "trace": self.trace.to_json(),
        }

    @staticmethod
    def from_json(value: dict[str, Any]) -> LayerActivity:
        """Return the activity that `to_json` wrote; ValueError for anything else."""
        alpha, epoch = value.get("alpha"), value.get("epoch")
        if not (is_count(alpha) and alpha >= 1 and is_count(epoch) and epoch >= 1):
            raise ValueError(f"alpha and epoch must be integers >= 1, got {alpha!r} and {epoch!r}")
        activity = LayerActivity(
            alpha,
            epoch,
            judged=Tally.from_json(value.get("judged")),
            seen=Tally.from_json(value.get("seen")),
            trace=Trace.from_json(value.get("trace", [])),
        )
        for tally in (activity.judged, activity.seen):
            if tally.n_silent_under(alpha) not in (None, tally.n_silent):
                raise ValueError(
                    f"{tally.n_silent} silent samples do not fit the histogram at alpha={alpha}"
                )
        if any(
            j > s for j, s in zip(activity.judged.histogram, activity.seen.histogram, strict=True)
        ):
            raise ValueError("more samples were judged than seen")
        if activity.trace.n_samples > activity.seen.n_samples:
            raise ValueError("a trace cannot hold more samples than were seen")
        return activity


def checked_alpha(alpha: object) -> int:
    """Return alpha as an integer; ValueError unless it is a whole number >= 1."""
    value = checked_real("alpha", alpha)
    if not (value >= 1 and value.is_integer()):
        raise ValueError(
            f"alpha must be a whole number >= 1, got {alpha!r}: "
            "a sample is silent if the layer fires fewer than alpha spikes in it."
        )
    return int(value)


def checked_counts(counts: ArrayLike, layer: str) -> Counts:
    """Return spikes per sample as float64, (n_samples,).

    counts: (n_samples,) whole numbers >= 0; a sequence, a NumPy array, or a tensor on any device.
    ValueError for other shapes and values. The caller's array is not kept.
    """
    try:
        array = np.array(_on_host(counts))
    except (TypeError, ValueError) as error:  # ragged lists; dtypes that NumPy lacks (bfloat16)
        raise ValueError(
            f"Spike counts of layer {layer!r} cannot be read as an array: {error}. "
            "Pass one integer or float32 number per sample."
        ) from error
    if array.ndim != 1:
        raise ValueError(
            "Need one spike count per sample, shape (n_samples,), "
            f"got shape {array.shape} for layer {layer!r}. Sum the spikes over time and neurons "
            "first: for (time, batch, neurons) that is spikes.sum(0).sum(-1)."
        )
    if array.dtype.kind not in "biuf":
        raise ValueError(
            "Spike counts must be whole numbers >= 0, "
            f"got dtype {array.dtype} for layer {layer!r}."
        )
    values = array.astype(np.float64)
    is_wrong = ~(np.isfinite(values) & (values >= 0) & (values == np.floor(values)))
    if is_wrong.any():
        raise ValueError(
            "Spike counts must be whole numbers >= 0, "
            f"got {values[is_wrong][0]!s} for layer {layer!r}. "
            "Pass the number of spikes of each sample, not a rate or a membrane potential."
        )
    return values


def _on_host(counts: Any) -> Any:
    """Return the values of a tensor as a NumPy array, anything else as it is."""
    return counts.detach().cpu().numpy() if hasattr(counts, "detach") else counts
