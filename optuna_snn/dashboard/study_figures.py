"""The figures of `optuna_snn.visualization` for the pages of the dashboard.

They are drawn by one thread of the server from what the view has read, and kept until a trial
ends; nothing is stored in the study. A page waits WAIT_S for them, at most: those of a long study
come with its next request, a few seconds later.

plotly draws them, which is an optional package. Without it there are none.
"""

from __future__ import annotations

import importlib.util
import logging
import threading
import time
from collections.abc import Callable, Hashable
from dataclasses import dataclass, field

from optuna_snn.dashboard.grids import LINES, TEXT
from optuna_snn.dashboard.looks import Look
from optuna_snn.drawing.by_plotly import draw_with_plotly
from optuna_snn.drawing.palette import hex_of
from optuna_snn.drawing.pictures import Picture
from optuna_snn.drawing.plan import at_height
from optuna_snn.drawing.thinning import thinned
from optuna_snn.stored_spikes import SPIKES_KEY
from optuna_snn.visualization.activity import activity_picture
from optuna_snn.visualization.history import feasible_history_picture
from optuna_snn.visualization.reading import Reading
from optuna_snn.visualization.region import trust_region_picture
from optuna_snn.visualization.savings import samples_saved_picture
from optuna_snn.visualization.silence import silent_share_picture

__all__ = ["StudyFigures", "figures_of", "has_plotly", "reading_of"]

WAIT_S = 1.0
"""Seconds that a page waits for figures which are being drawn."""
REST = 10.0
"""After a drawing the thread rests for so many times as long as it took: most of the time of a
processor is left to the pages, however long the study."""
N_POINTS = 500
"""Of each kind of marks, and of each line: an open page is sent them every few seconds."""
HEIGHT = 450
"""Pixels that the dashboard has for a figure."""

_logger = logging.getLogger(__name__)


def has_plotly() -> bool:
    """Whether plotly is installed."""
    return importlib.util.find_spec("plotly") is not None


def reading_of(look: Look, name: str, directions: tuple[str, ...], metric_name: str) -> Reading:
    """The trials of a look, as the figures of a study see them."""
    pairs = list(zip(look.stored, look.reports, strict=True))
    return Reading(
        study_name=name,
        directions=directions,
        metric_name=metric_name,
        trials=look.stored,
        reports={
            trial.number: report
            for trial, report in pairs
            if report is not None and report.samples_seen
        },
        unreadable=[
            trial.number
            for trial, report in pairs
            if report is None and SPIKES_KEY in trial.user_attrs
        ],
    )


def figures_of(reading: Reading) -> dict[str, str]:
    """Return the figures that have something to show, each as the JSON that plotly.js reads.

    Their ids are "study-" and the picture's name. Raises ImportError without plotly.
    """
    pictures = (
        feasible_history_picture(reading),
        silent_share_picture(reading),
        activity_picture(reading),
        trust_region_picture(reading),
        samples_saved_picture(reading),
    )
    return {
        f"study-{picture.name}": _drawn(picture)
        for picture in pictures
        if picture.panels[0].has_data
    }


def _drawn(picture: Picture) -> str:
    """On no paper and with grey words, as suits the dashboard's light and its dark mode."""
    figure = draw_with_plotly(at_height(thinned(picture, N_POINTS), HEIGHT))
    clear = "rgba(0,0,0,0)"
    figure.update_layout(
        title_font_size=14,
        paper_bgcolor=clear,
        plot_bgcolor=clear,
        font_color=TEXT,
        # The dashboard draws anew every few seconds: zoom and hidden marks stay as they are.
        uirevision="study",
    )
    figure.update_xaxes(linecolor=LINES, tickcolor=LINES)
    figure.update_yaxes(linecolor=LINES, tickcolor=LINES, gridcolor=LINES)
    figure.update_traces(line_color=TEXT, selector={"line.color": hex_of("ink", "light")})
    return str(figure.to_json())


@dataclass
class _Drawing:
    """The figures of a study that were drawn last, and those that are being drawn.

    state:    of the trials that were looked at, or are being
    is_ready: set while nothing is being drawn
    """

    state: Hashable = None
    n_trials: int = 0
    figures: dict[str, str] = field(default_factory=dict)
    is_ready: threading.Event = field(default_factory=threading.Event)
    rests_until: float = float("-inf")


class StudyFigures:
    """Keeps the figures of studies up to date. Several threads may ask for them.

    Args:
        wait_s: instead of WAIT_S.
        rest: instead of REST.
    """

    def __init__(self, *, wait_s: float = WAIT_S, rest: float = REST) -> None:
        self._wait_s = wait_s
        self._rest = rest
        self._lock = threading.Lock()
        self._one_at_a_time = threading.Lock()
        self._drawings: dict[int, _Drawing] = {}

    def of(self, study_id: int, look: Look, read: Callable[[Look], Reading]) -> dict[str, str]:
        """Return the latest figures of a study by their ids.

        look: at its trials just now
        read: what the figures are drawn from, which is called where they are to be drawn anew
        """
        if not has_plotly():
            return {}
        with self._lock:
            drawing = self._drawings.setdefault(study_id, _Drawing())
            if len(look.stored) < drawing.n_trials:  # another study has its id now
                drawing = self._drawings[study_id] = _Drawing()
            is_new = drawing.state is None
            is_idle = drawing.is_ready.is_set() and time.monotonic() >= drawing.rests_until
            if is_new or (is_idle and drawing.state != look.state):
                reading = read(look)
                drawing.state, drawing.n_trials = look.state, len(look.stored)
                drawing.is_ready.clear()
                threading.Thread(target=self._draw, args=(drawing, reading), daemon=True).start()
        drawing.is_ready.wait(self._wait_s)
        return drawing.figures

    def _draw(self, drawing: _Drawing, reading: Reading) -> None:
        with self._one_at_a_time:
            began = time.monotonic()
            try:
                drawing.figures = figures_of(reading)
            except Exception:
                # The page is worth more than its figures; those that it had stay.
                _logger.exception(
                    "The figures of study %r could not be drawn.", reading.study_name
                )
            now = time.monotonic()
            drawing.rests_until = now + self._rest * (now - began)
            drawing.is_ready.set()
