"""What a layer's samples showed: the window that a rule judges, all samples, and their course.

Glossary, beside those of `tally` and `window`
    judged    the window a rule judges: samples of one epoch that came after the warm-up
    seen      every sample of the trial, warm-up included
    trace     the samples in the order of time, coarser as they grow many
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from optuna_snn.spikes.checks import checked_real, is_count
from optuna_snn.spikes.gaps import Gaps
from optuna_snn.spikes.tally import Counts, Tally
from optuna_snn.spikes.trace import Trace
from optuna_snn.spikes.window import Window


@dataclass(frozen=True)
class LayerActivity:
    """Spike activity of one layer in one trial.

    alpha:      spikes below which a sample is silent
    max_spikes: spikes above which a sample is saturated; None: no sample is
    window:     the samples that are judged, those of the warm-up left out
    seen:       all samples, whichever epoch, warm-up included
    trace:      the same in the order of time; the first of them only where they are very many
    has_gaps:   whether the samples came with gaps (`gaps`), as all of a layer do or none
    """

    alpha: int
    max_spikes: int | None = None
    window: Window = field(default_factory=Window)
    seen: Tally = field(default_factory=Tally)
    trace: Trace = field(default_factory=Trace)
    has_gaps: bool = False

    @property
    def epoch(self) -> int:
        """The epoch, counted from 1, that the judged samples belong to."""
        return self.window.epoch

    @property
    def judged(self) -> Tally:
        """The judged samples: of that epoch, or the last of them where the window slides."""
        return self.window.judged

    @property
    def mean_gap(self) -> float | None:
        """Mean gap of the judged silent samples; None where no gaps are known."""
        n_silent = self.judged.n_silent
        return self.window.judged_gap / n_silent if self.has_gaps and n_silent else None

    def after(
        self, counts: Counts, *, epoch: int, warmup: int, gaps: Gaps | None = None
    ) -> LayerActivity:
        """Return the activity with further samples.

        The first `warmup` samples of the layer are seen but not judged. The judged window starts
        anew with the first judged sample of a later epoch, and not before: an epoch that has just
        begun leaves the window of the one before in place.
        counts, gaps: (n_samples,), in the order the samples were presented

        Raises ValueError for samples with gaps after samples without, or the other way round.
        """
        has_gaps = gaps is not None if counts.size else self.has_gaps
        if has_gaps != self.has_gaps and self.seen.n_samples:
            raise ValueError(
                "samples with gaps and samples without cannot be judged together; "
                "pass gaps in all updates of a layer or in none"
            )
        alpha, most = self.alpha, self.max_spikes
        n_unjudged = max(0, warmup - self.seen.n_samples)
        return replace(
            self,
            has_gaps=has_gaps,
            window=self.window.after(
                counts[n_unjudged:],
                epoch=epoch,
                alpha=alpha,
                max_spikes=most,
                gaps=None if gaps is None else gaps[n_unjudged:],
            ),
            seen=self.seen.after(counts, alpha, most),
            trace=self.trace.after(
                counts, epoch=epoch, alpha=alpha, max_spikes=most, warmup=warmup
            ),
        )

    def judged_whole(self) -> LayerActivity:
        """Return the activity with all its samples judged, as one epoch and without their gaps."""
        epoch = self.window.epoch
        whole = Window(epoch=epoch, number=epoch, judged=self.seen)
        return replace(self, window=whole, has_gaps=False)

    def to_json(self) -> dict[str, Any]:
        """Return the activity as JSON values."""
        window = self.window.to_json()
        return {
            "alpha": self.alpha,
            "max_spikes": self.max_spikes,
            **window,
            "gaps": window["gaps"] if self.has_gaps else None,
            "seen": self.seen.to_json(),
            "trace": self.trace.to_json(),
        }

    @staticmethod
    def from_json(value: dict[str, Any]) -> LayerActivity:
        """Return the activity that `to_json` wrote; ValueError for anything else.

        What was stored before there was a max_spikes has no such entry, and no saturated samples;
        before gaps could be read, no entry "gaps".
        """
        alpha, most = value.get("alpha"), value.get("max_spikes")
        if not (is_count(alpha) and alpha >= 1):
            raise ValueError(f"alpha must be an integer >= 1, got {alpha!r}")
        if not (most is None or (is_count(most) and most >= alpha)):
            raise ValueError(f"max_spikes must be an integer >= alpha or null, got {most!r}")
        activity = LayerActivity(
            alpha,
            most,
            window=Window.from_json(value),
            seen=Tally.from_json(value.get("seen")),
            trace=Trace.from_json(value.get("trace", [])),
            has_gaps=value.get("gaps") is not None,
        )
        for tally in (activity.judged, activity.seen):
            if tally.n_silent_under(alpha) not in (None, tally.n_silent):
                raise ValueError(
                    f"{tally.n_silent} silent samples do not fit the histogram at alpha={alpha}"
                )
            n_within = tally.n_samples if most is None else tally.n_silent_under(most + 1)
            if n_within not in (None, tally.n_samples - tally.n_saturated):
                raise ValueError(
                    f"{tally.n_saturated} saturated samples do not fit the histogram at "
                    f"max_spikes={most}"
                )
        if not activity.judged.is_part_of(activity.seen):
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


def checked_max_spikes(max_spikes: object, alpha: int) -> int:
    """Return max_spikes as an integer; ValueError unless it is a whole number >= alpha."""
    value = checked_real("max_spikes", max_spikes)
    if not (value >= alpha and value.is_integer()):
        raise ValueError(
            f"max_spikes must be a whole number >= alpha = {alpha}, got {max_spikes!r}: "
            "a sample is saturated if the layer fires more than max_spikes spikes in it. "
            "Pass None to set no such bound."
        )
    return int(value)


def checked_counts(counts: ArrayLike, layer: str) -> Counts:
    """Return spikes per sample as float64, (n_samples,).

    counts: (n_samples,) whole numbers >= 0; a sequence, a NumPy array, or a tensor on any device.
    ValueError for other shapes and values. The caller's array is not kept.
    """
    try:
        array = np.array(on_host(counts))
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


def on_host(counts: Any) -> Any:
    """Return the values of a tensor as a NumPy array, anything else as it is."""
    return counts.detach().cpu().numpy() if hasattr(counts, "detach") else counts
