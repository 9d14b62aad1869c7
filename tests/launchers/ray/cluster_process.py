"""A Ray cluster of several nodes on this machine, in a process of its own.

Run as a script: it prints the address of the head, which has no room for workers, and the process
ids of the two nodes. A line `kill PID` on its standard input ends a node as the loss of its
machine would, and `add` starts another; the end of the input ends the cluster.
"""

from __future__ import annotations

import signal
import sys
from typing import Any

MEMORY = 80 * 2**20
"""Of each node's object store, in bytes: nothing is kept there."""

FAST_HEALTH_CHECK = {
    "health_check_initial_delay_ms": 0,
    "health_check_period_ms": 500,
    "health_check_failure_threshold": 4,
}
"""A node is missed after some 2 s. Ray's defaults miss it after some 15 s."""


def raylet_pid(node: Any) -> int:
    from ray._private import ray_constants

    return int(node.all_processes[ray_constants.PROCESS_TYPE_RAYLET][0].process.pid)


def kill_machine(pid: int) -> None:
    """Kill a node with all its processes, none of which can do anything about it."""
    import psutil

    raylet = psutil.Process(pid)
    doomed = [raylet, *raylet.children(recursive=True)]
    for number in (signal.SIGSTOP, signal.SIGKILL):
        for process in doomed:
            try:
                process.send_signal(number)
            except psutil.NoSuchProcess:
                pass


def main() -> None:
    from ray.cluster_utils import Cluster

    head = {"num_cpus": 0, "object_store_memory": MEMORY, "include_dashboard": False}
    cluster = Cluster(
        initialize_head=True, head_node_args={**head, "_system_config": FAST_HEALTH_CHECK}
    )

    def add() -> int:
        return raylet_pid(cluster.add_node(num_cpus=4, num_gpus=2, object_store_memory=MEMORY))

    print("address", cluster.address, add(), add(), flush=True)
    for line in sys.stdin:
        command, *words = line.split()
        if command == "kill":
            pid = int(words[0])
            kill_machine(pid)
            (node,) = [node for node in cluster.worker_nodes if raylet_pid(node) == pid]
            cluster.remove_node(node, allow_graceful=False)
            print("killed", pid, flush=True)
        elif command == "add":
            print("added", add(), flush=True)
    cluster.shutdown()


if __name__ == "__main__":
    main()
