"""What is asked of Ray, and what is said while it does not come."""

from __future__ import annotations

import pytest

from optuna_snn.launchers.ray.cluster import ClusterNode
from optuna_snn.launchers.ray.engine import shortage
from optuna_snn.launchers.ray.resources import RayResources
from optuna_snn.workers.errors import RunError

NODES = [
    ClusterNode("n1", {"CPU": 8.0, "GPU": 2.0, "memory": 1e9}),
    ClusterNode("n2", {"CPU": 8.0, "GPU": 2.0, "memory": 1e9}),
]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"n_workers": 0}, "--workers must be 1 or more, got 0"),
        ({"gpus_per_worker": -1.0}, "--gpus-per-worker must be a number of GPUs, 0 or more"),
        ({"gpus_per_worker": float("nan")}, "must be a number of GPUs, 0 or more, got nan"),
        ({"gpus_per_worker": 1.5}, "--gpus-per-worker 1.5: Ray shares one of the GPUs"),
        ({"cpus_per_worker": 2.5}, "--cpus-per-worker 2.5: Ray shares one of the CPUs"),
    ],
)
def test_what_ray_cannot_give_is_refused(options: dict[str, float], message: str) -> None:
    with pytest.raises(RunError, match=message):
        RayResources(**options)  # type: ignore[arg-type]  # a number of workers is one, too


def test_shares_and_whole_numbers_are_asked_for_by_rays_names() -> None:
    resources = RayResources(n_workers=3, gpus_per_worker=0.25, cpus_per_worker=4)
    assert resources.options() == {"num_cpus": 4, "num_gpus": 0.25}
    assert (str(resources), resources.n_threads) == ("4 CPU and 0.25 GPU", 4)
    assert (
        str(RayResources(cpus_per_worker=0.5)),
        RayResources(cpus_per_worker=0.5).n_threads,
    ) == (
        "0.5 CPU",
        1,
    )


def test_workers_without_room_are_told_what_is_free_while_others_work() -> None:
    line = shortage(RayResources(8, 1.0), 4, 8, NODES, {"CPU": 12.0, "memory": 1e9})
    assert line == (
        "4 of 8 workers have not started yet: each takes 1 CPU and 1 GPU, and 12 of 16 CPU and 0 "
        "of 4 GPU are free; the others work, and these join when there is room"
    )


def test_a_run_without_any_room_says_that_it_waits() -> None:
    line = shortage(RayResources(2, 0.0, 8.0), 2, 2, NODES, {"CPU": 4.0})
    assert "each takes 8 CPU, and 4 of 16 CPU are free; the run waits for room, Ctrl-C" in line


def test_what_no_node_has_is_told_although_the_cluster_has_it_in_all() -> None:
    line = shortage(RayResources(2, 4.0), 2, 2, NODES, {"CPU": 16.0, "GPU": 4.0})
    assert "each takes 1 CPU and 4 GPU, which no node of the cluster has; the run waits" in line
