"""Workers as actors of a Ray cluster that is there already.

start.py      the run, on the machine of the command
cluster.py    the connection to the cluster, and what the cluster has
resources.py  how many workers, and what each of them takes
engine.py     actors for the supervisor of `optuna_snn.workers`
slot.py       one worker as the supervisor sees it
remote.py     calls of an actor, and what their failures mean
node.py       the other end: the actor, which keeps a worker process on its node
tied.py       that process, which ends with its actor
report.py     what goes from one end to the other
"""

from optuna_snn.launchers.ray.resources import RayResources
from optuna_snn.launchers.ray.start import run_on_ray

__all__ = ["RayResources", "run_on_ray"]
