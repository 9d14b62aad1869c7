"""What objectives ask of labelled samples, images or recordings, beside their input spikes."""

from __future__ import annotations

import hashlib

import numpy as np

from optuna_snn.objectives.datasets import EventSamples, Samples
from optuna_snn.objectives.spike_inputs import LabelledSamples

__all__ = ["digest_of", "refuse_unknown_labels"]


def digest_of(samples: LabelledSamples) -> str:
    """Tells samples, in their order, from any others.

    Recordings are told apart by their files' names and sizes and by how frames are made of them;
    their content is not read. Copies of a data set in two places have the same digest.
    """
    digest = hashlib.sha256(np.ascontiguousarray(samples.labels).data)
    if isinstance(samples, Samples):
        digest.update(np.ascontiguousarray(samples.images).data)
    else:
        digest.update(repr(tuple(samples.frame_shape)).encode())
    if isinstance(samples, EventSamples):
        digest.update(repr(samples.denoise_ms).encode())
        for each in samples.recordings:
            # Synthetic gestures have the names of the real ones.
            size = each.path.stat().st_size if each.path.is_file() else None
            digest.update(repr((each.path.parts[-3:], size)).encode())
    return digest.hexdigest()


def refuse_unknown_labels(n_classes: int, part: str, samples: LabelledSamples) -> None:
    """ValueError if samples have labels beyond the classes that the network learns."""
    largest = int(samples.labels.max())
    if largest >= n_classes:
        raise ValueError(
            f"The {part} part has the label {largest}, but the network learns {n_classes} classes "
            f"(0 to {n_classes - 1}). Draw another split, or drop those samples."
        )
