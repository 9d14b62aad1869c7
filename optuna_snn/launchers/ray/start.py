"""A run whose workers are actors of a Ray cluster."""

from __future__ import annotations

from collections.abc import Callable

from optuna_snn.launchers.ray.cluster import connected
from optuna_snn.launchers.ray.engine import RayEngine
from optuna_snn.launchers.ray.resources import RayResources
from optuna_snn.workers.display.plain import Display, Heading, PlainDisplay
from optuna_snn.workers.run_settings import RunSettings
from optuna_snn.workers.stop import StopRequest
from optuna_snn.workers.supervisor.outcome import RunOutcome
from optuna_snn.workers.supervisor.start import supervise

__all__ = ["run_on_ray"]


def run_on_ray(
    settings: RunSettings,
    resources: RayResources,
    *,
    address: str | None = None,
    stop: StopRequest | None = None,
    new: bool = False,
    display: Callable[[Heading], Display] = PlainDisplay,
) -> RunOutcome:
    """Run workers as actors of a Ray cluster, as `run_study` does as processes of this machine.

    Ray gives each worker its place and its GPUs, and makes an actor anew elsewhere when its node
    dies. Budget, retries and the search are in the storage. When this process is killed, Ray ends
    the workers; their trials are found stale by the next run, or by whoever works on the study.

    Args:
        settings: the study and its limits. An empty `storage` is `<study name>.db` in the current
            folder, which only a cluster of one node can use.
        resources: how many workers, and what each takes.
        address: the cluster, HOST:PORT or "auto"; None: what RAY_ADDRESS says, else "auto".
        stop: as for `run_study`; its grace time unless given is that of `settings`.
        new: as for `run_study`.
        display: makes what shows the run; lines on standard output unless given.

    Raises:
        ValueError: a number out of range.
        MissingPackageError: Ray is not installed.
        RunError: no cluster, or the study file, the storage or the study are not usable.
    """
    with connected(address):
        engine = RayEngine(resources, settings.timeout_s)
        return supervise(engine, settings, stop=stop, new=new, display=display)
