"""One figure of a study: values, stopped networks and the trust region over its trials."""

from __future__ import annotations

from optuna_snn.drawing.pictures import Picture
from optuna_snn.search_trace import trace_of
from optuna_snn.visualization.reading import Reading
from optuna_snn.visualization.region import length_panel
from optuna_snn.visualization.silence import stopped_share_panel
from optuna_snn.visualization.values import values_panel

__all__ = ["overview_picture"]


def overview_picture(reading: Reading) -> Picture:
    """What `optuna-snn run` leaves of a study; the trust region only where there is one."""
    asks = trace_of(reading.trials)
    panels = [values_panel(reading), stopped_share_panel(reading)]
    if any(not ask.is_initial for ask in asks):
        panels.append(length_panel(asks))
    return Picture(
        "overview",
        f"{reading.study_name}: all trials",
        panels=panels,
        notes=reading.left_out(),
        shares_x=True,
    )
