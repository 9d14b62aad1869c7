"""The figures of a report, as pictures and as PNG files."""

from __future__ import annotations

from pathlib import Path

from optuna_snn.drawing.by_matplotlib import save_png
from optuna_snn.drawing.pictures import Picture
from optuna_snn.visualization.activity import activity_picture
from optuna_snn.visualization.history import feasible_history_picture
from optuna_snn.visualization.overview import overview_picture
from optuna_snn.visualization.reading import Reading
from optuna_snn.visualization.region import trust_region_picture
from optuna_snn.visualization.savings import samples_saved_picture
from optuna_snn.visualization.silence import silent_share_picture

__all__ = ["report_pictures", "save_pngs"]


def report_pictures(reading: Reading) -> list[Picture]:
    """All figures of a study, the most telling first."""
    return [
        overview_picture(reading),
        feasible_history_picture(reading),
        silent_share_picture(reading),
        activity_picture(reading),
        trust_region_picture(reading),
        samples_saved_picture(reading),
    ]


def save_pngs(pictures: list[Picture], folder: Path) -> list[Path]:
    """Save each picture in `folder` as <its name>.png; return the files."""
    return [save_png(picture, folder / f"{picture.name}.png") for picture in pictures]
