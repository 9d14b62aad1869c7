"""optuna-dashboard over a view of the storage: what it answers, and what it does not do.

1. A request that would change something is refused before it reaches the dashboard, which deletes
   an artifact's file before it writes to the storage.
2. The best trials of a study are feasible ones: one, or with several objectives the Pareto front
   of the feasible ones. The dashboard's own would be of all trials. There are none while no trial
   is feasible.
3. The figures of `figures.py` and `study_figures.py` are sent with the study, as those are that
   somebody has stored in it. They stand on its first page.
4. The page has a place for artifacts while their folder is there.

Private names of optuna-dashboard that are used here: `_pareto_front.get_pareto_front_trials` and
`_serializer.serialize_frozen_trial`, for point 2. That `wsgi` returns a Bottle application, which
takes plugins, is for points 2 to 4.
"""

from __future__ import annotations

import functools
import json
from collections.abc import Callable, Iterable
from datetime import datetime
from pathlib import Path
from typing import Any

from optuna.trial import FrozenTrial

from optuna_snn.dashboard.figures import HISTORY_ID, marked_figures, marked_timeline
from optuna_snn.dashboard.looks import Look
from optuna_snn.dashboard.study_figures import StudyFigures, reading_of
from optuna_snn.dashboard.view import StudyView
from optuna_snn.rasters.folder import default_folder
from optuna_snn.visualization.reading import Reading
from optuna_snn.workers.errors import RunError

__all__ = ["WSGIApplication", "dashboard_app"]

WSGIApplication = Callable[[dict[str, Any], Callable[..., Any]], Iterable[bytes]]

READING_METHODS = ("GET", "HEAD", "OPTIONS")

REFUSAL = "this dashboard only reads: nothing was changed"

METRIC_NAMES_KEY = "study:metric_names"
"""Optuna's system attribute of a study, behind `Study.metric_names`."""


def dashboard_app(view: StudyView, *, artifacts: Path | None = None) -> WSGIApplication:
    """Return the dashboard of all studies in `view`, as a WSGI application for several threads.

    Args:
        view: The studies; from now on it answers by HTTP 503 when the storage cannot be read.
        artifacts: The folder of an `optuna.artifacts.FileSystemArtifactStore`; None is that of
            `RasterArtifacts.in_folder()`, which may be made later.

    Raises:
        RunError: optuna-dashboard is not installed, or there is no such folder.
    """
    if artifacts is not None and not artifacts.is_dir():
        raise RunError(
            f"there is no folder {artifacts}; name that of the artifacts with --artifacts"
        )
    try:
        import bottle
        import optuna_dashboard
    except ImportError as error:
        raise RunError(
            "the dashboard needs optuna-dashboard, which is not installed; "
            "pip install 'optuna-snn[dashboard]'"
        ) from error
    from optuna.artifacts import FileSystemArtifactStore

    folder = (artifacts or default_folder()).absolute()
    app = optuna_dashboard.wsgi(view, artifact_store=FileSystemArtifactStore(str(folder)))
    view.unavailable = lambda reason: bottle.HTTPError(503, reason)
    app.install(functools.partial(_completing, view, _Figures(view)))
    app.install(functools.partial(_knowing_artifacts, folder))
    return _only_reading(app)


def _only_reading(app: WSGIApplication) -> WSGIApplication:
    def answer(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        if environ["REQUEST_METHOD"] in READING_METHODS:
            return app(environ, start_response)
        body = json.dumps({"reason": REFUSAL}).encode()
        headers = [("Content-Type", "application/json"), ("Content-Length", str(len(body)))]
        start_response("403 Forbidden", headers)
        return [body]

    return answer


def _completing(
    view: StudyView, figures: _Figures, callback: Callable[..., Any]
) -> Callable[..., Any]:
    """A plugin of Bottle: the callback, with points 2 and 3 where it answers with a study."""

    @functools.wraps(callback)
    def answer(*args: Any, **kwargs: Any) -> Any:
        found = callback(*args, **kwargs)
        if isinstance(found, dict) and {"best_trials", "plotly_graph_objects"} <= found.keys():
            study_id = kwargs["study_id"]
            if not found.get("is_preferential"):
                found["best_trials"] = _best_trials(view, study_id)
            found["plotly_graph_objects"] = [
                *({"id": id_, "graph_object": text} for id_, text in figures.of(study_id)),
                *found["plotly_graph_objects"],
            ]
        return found

    return answer


def _knowing_artifacts(folder: Path, callback: Callable[..., Any]) -> Callable[..., Any]:
    """A plugin of Bottle: the callback, which says that there are artifacts once there are."""

    @functools.wraps(callback)
    def answer(*args: Any, **kwargs: Any) -> Any:
        found = callback(*args, **kwargs)
        if isinstance(found, dict) and "artifact_is_available" in found:
            found["artifact_is_available"] = folder.is_dir()
        return found

    return answer


def _best_trials(view: StudyView, study_id: int) -> list[dict[str, Any]]:
    from optuna_dashboard._pareto_front import get_pareto_front_trials
    from optuna_dashboard._serializer import serialize_frozen_trial

    look, directions = view.look(study_id), view.get_study_directions(study_id)
    best: list[FrozenTrial] = []
    if look.feasible and len(directions) == 1:
        best = [view.get_best_trial(study_id)]
    elif look.feasible:
        best = get_pareto_front_trials(look.feasible, directions)
    attributes = view.get_study_system_attrs(study_id) if best else {}
    return [serialize_frozen_trial(study_id, trial, attributes) for trial in best]


class _Figures:
    """The figures of studies that have constraints; the dashboard's own suit any other.

    They are drawn anew when a trial has got another mark or parameter, but for the timeline, in
    which running trials grow.
    """

    def __init__(self, view: StudyView) -> None:
        self._view = view
        self._marked: dict[int, tuple[object, dict[str, str]]] = {}
        self._of_studies = StudyFigures()

    def of(self, study_id: int) -> Iterable[tuple[str, str]]:
        """Ids and figures: the history first, and what needs more thought last."""
        look = self._view.look(study_id)
        if not look.names:
            return []
        state, marked = self._marked.get(study_id, (None, {}))
        if state != look.state:
            marked = self._draw_marked(study_id, look)
            self._marked[study_id] = (look.state, marked)
        whole = self._of_studies.of(study_id, look, functools.partial(self._read, study_id))
        timeline = marked_timeline(look.stored, look.marks, now=datetime.now())
        history = {id_: text for id_, text in marked.items() if id_ == HISTORY_ID}
        return (history | whole | marked | timeline).items()

    def _draw_marked(self, study_id: int, look: Look) -> dict[str, str]:
        return marked_figures(
            look.stored,
            look.marks,
            n_objectives=len(self._view.get_study_directions(study_id)),
            value_name=self._value_name(study_id),
        )

    def _read(self, study_id: int, look: Look) -> Reading:
        directions = self._view.get_study_directions(study_id)
        return reading_of(
            look,
            self._view.get_study_name_from_id(study_id),
            tuple(direction.name.lower() for direction in directions),
            self._value_name(study_id),
        )

    def _value_name(self, study_id: int) -> str:
        """What the first objective is called."""
        metric_names = self._view.get_study_system_attrs(study_id).get(METRIC_NAMES_KEY)
        return str((metric_names or ["value"])[0])
