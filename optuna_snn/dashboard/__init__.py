"""optuna-dashboard for constrained studies: infeasible and silent trials are marked in it.

optuna-dashboard 0.21 reads constraints in the form that they had before Optuna 5, so that it marks
nothing and calls an infeasible trial the best. It is shown a view of the storage instead, in which
each trial has its constraints in that form as well. The view can go when the dashboard reads
`Trial.constraints` itself.

reading        URL -> storage that only reads, by the database's own means
view           that storage as the dashboard is to see it
read_only      how it refuses to write
shown_trials   a stored trial -> the trial that is shown
looks          all trials of a study at one moment, as they are shown
figures        four figures that mark every trial, also those without a value
study_figures  those of optuna_snn.visualization, drawn by a thread of the server
parameters     a parameter's axis, and which parameters tell most
grids          panels side by side in one figure
application    optuna-dashboard over the view
serving        the application on a port of this machine
"""

from optuna_snn.dashboard.application import dashboard_app
from optuna_snn.dashboard.read_only import ReadOnlyError
from optuna_snn.dashboard.serving import DEFAULT_PORT, LOOPBACK, serve_dashboard
from optuna_snn.dashboard.view import StudyView, open_view

__all__ = [
    "DEFAULT_PORT",
    "LOOPBACK",
    "ReadOnlyError",
    "StudyView",
    "dashboard_app",
    "open_view",
    "serve_dashboard",
]
