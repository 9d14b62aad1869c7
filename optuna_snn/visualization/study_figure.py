"""The overview of a study as a PNG file: what a run leaves behind. Drawn by matplotlib."""

from __future__ import annotations

from pathlib import Path

from optuna.study import Study

from optuna_snn.drawing.by_matplotlib import save_png
from optuna_snn.visualization.overview import overview_picture
from optuna_snn.visualization.reading import read_study

__all__ = ["save_study_figure"]


def save_study_figure(study: Study, path: Path) -> Path:
    """Draw `study` and save it as a PNG at `path`, which is returned."""
    return save_png(overview_picture(read_study(study)), path)
