"""Synthetic gestures: moving limbs, filmed by a model of an event camera."""

from optuna_snn.objectives.datasets.gestures.writing import split_gestures, write_gestures

__all__ = ["split_gestures", "write_gestures"]
