"""Data sets: labelled images, labelled recordings of events, and their three-way splits."""

from optuna_snn.objectives.datasets.digits import load_digits, split_digits
from optuna_snn.objectives.datasets.dvs_gesture import DVS_GESTURE, split_dvs_gesture
from optuna_snn.objectives.datasets.errors import DatasetError
from optuna_snn.objectives.datasets.event_samples import (
    EventFormat,
    EventSamples,
    EventSplit,
    Recording,
    split_by_group,
)
from optuna_snn.objectives.datasets.events import Events, denoise, to_frames
from optuna_snn.objectives.datasets.gestures import split_gestures, write_gestures
from optuna_snn.objectives.datasets.mnist import load_mnist, split_mnist
from optuna_snn.objectives.datasets.nmnist import NMNIST, split_nmnist
from optuna_snn.objectives.datasets.samples import DataSplit, Samples, stratified_split

__all__ = [
    "DVS_GESTURE",
    "NMNIST",
    "DataSplit",
    "DatasetError",
    "EventFormat",
    "EventSamples",
    "EventSplit",
    "Events",
    "Recording",
    "Samples",
    "denoise",
    "load_digits",
    "load_mnist",
    "split_by_group",
    "split_digits",
    "split_dvs_gesture",
    "split_gestures",
    "split_mnist",
    "split_nmnist",
    "stratified_split",
    "to_frames",
    "write_gestures",
]
