"""A real SLURM on this machine: three virtual nodes with two made-up GPUs each.

    python tests/launchers/slurm/cluster.py     # starts it, says how to use it, stops it on Ctrl-C

All of it (configuration, munge key and socket, state, logs) is in one temporary folder, and the
ports are free ones, so that an installation of the machine's own is left alone. The daemons are
children of this process and are killed with it.

It needs root and the programs of NEEDED, on Debian and Ubuntu from
`apt-get install --no-install-recommends slurmctld slurmd slurm-client munge`.
"""

from __future__ import annotations

import os
import random
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

NODES = ("n1", "n2", "n3")
N_GPUS = 2
"""Of each node."""

NEEDED = ("munged", "slurmctld", "slurmd", "srun", "sbatch", "scontrol", "setpriv")

PATIENCE_S = 240.0
"""Far more than anything here takes, also on an overloaded machine."""

SETTINGS = """
ClusterName=test
SlurmctldHost={host}(127.0.0.1)
SlurmctldPort={ports[0]}
SlurmUser=root
AuthType=auth/munge
# A requeued job is held until the credentials of its former start have expired. SLURM takes no
# less than 5 s: for less, its default of 120 s holds.
AuthInfo=socket={folder}/munge.socket,cred_expire=5
CredType=cred/munge
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool-%n
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/slurmd-%n.pid
SlurmctldLogFile={folder}/slurmctld.log
SlurmdLogFile={folder}/slurmd-%n.log
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
JobAcctGatherType=jobacct_gather/none
SchedulerType=sched/backfill
SchedulerParameters=bf_interval=2,sched_interval=2
SelectType=select/cons_tres
SelectTypeParameters=CR_Core
SlurmdParameters=config_overrides
ReturnToService=2
SlurmctldTimeout=30
SlurmdTimeout=6
KillWait=30
MinJobAge=600
GresTypes=gpu
PreemptType=preempt/partition_prio
PreemptMode=REQUEUE
NodeName=n[1-3] NodeHostname={host} NodeAddr=127.0.0.1 Port=[{node_ports}] CPUs=4 \
RealMemory=4000 Gres=gpu:2 State=UNKNOWN
PartitionName=main Nodes=n[1-3] Default=YES MaxTime=INFINITE State=UP PriorityTier=1
PartitionName=urgent Nodes=n[1-3] MaxTime=INFINITE State=UP PriorityTier=2
"""


class SlurmCluster:
    """A running cluster; its commands need the variable SLURM_CONF (`environment`)."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.environment = {"SLURM_CONF": str(folder / "slurm.conf")}
        self._daemons: dict[str, subprocess.Popen[bytes]] = {}
        for name in ("state", *(f"spool-{node}" for node in NODES)):
            (folder / name).mkdir()

    def start(self) -> None:
        """Start all daemons, and wait until the nodes are idle."""
        self._configure()
        self._start_munge()
        self._start("slurmctld", "slurmctld", "-D")
        for node in NODES:
            self.start_node(node)
        self.wait_for_nodes()

    def wait_for_nodes(self) -> None:
        """Wait until all nodes are idle."""
        wait_until(
            lambda: self.run("sinfo", "-h", "-p", "main", "-o", "%T %D").strip() == "idle 3"
        )

    def set_grace_time(self, seconds: int) -> None:
        """How long a job that is preempted may go on."""
        self.run("scontrol", "update", "partitionname=main", f"gracetime={seconds}")

    def cancel_all(self) -> None:
        """End all jobs, and wait until their nodes are idle."""
        self.run("scancel", "--user=root")
        self.wait_for_nodes()

    def start_node(self, node: str) -> None:
        """Start the daemon of one node."""
        self._start(node, "slurmd", "-D", "-N", node)

    def run(self, *words: str) -> str:
        """What a SLURM command prints; empty while the controller does not answer."""
        done = subprocess.run(
            words, env={**os.environ, **self.environment}, capture_output=True, text=True,
            timeout=PATIENCE_S, check=False,
        )  # fmt: skip
        return done.stdout if done.returncode == 0 else ""

    def kill_node(self, node: str) -> None:
        """What is left of a node that loses its power: nothing, and nobody is told."""
        daemon = self._daemons.pop(node)
        daemon.kill()
        daemon.wait()
        tasks = [
            pid for pid in self._processes() if environment_of(pid).get("SLURMD_NODENAME") == node
        ]
        # First whoever would report the end of the others.
        reporters = [pid for pid in map(parent_of, tasks) if name_of(pid) == "slurmstepd"]
        for pid in [*reporters, *tasks]:
            kill(pid)

    def stop(self) -> None:
        """Leave no process behind."""
        for name in reversed(list(self._daemons)):
            daemon = self._daemons.pop(name)
            daemon.kill()
            daemon.wait()
        # Again, since a process may be about to start another one.
        while left := [*self._step_daemons(), *self._processes()]:
            for pid in left:
                kill(pid)
            time.sleep(0.1)

    def _configure(self) -> None:
        host, ports = socket.gethostname().split(".")[0], free_ports(1 + len(NODES))
        settings = SETTINGS.format(
            host=host, folder=self.folder, ports=ports, node_ports=",".join(map(str, ports[1:]))
        )
        (self.folder / "slurm.conf").write_text(settings)
        for index in range(N_GPUS):
            # slurmd wants character devices; nothing is ever done with them.
            (self.folder / f"gpu{index}").symlink_to("/dev/null")
        (self.folder / "gres.conf").write_text(
            "".join(
                f"NodeName={node} Name=gpu Flags=nvidia_gpu_env File={self.folder}/gpu[0-1]\n"
                for node in NODES
            )
        )
        (self.folder / "cgroup.conf").write_text(
            "CgroupAutomount=no\nConstrainCores=no\nConstrainDevices=no\nConstrainRAMSpace=no\n"
        )

    def _start_munge(self) -> None:
        key = self.folder / "munge.key"
        key.touch(mode=0o400)
        key.write_bytes(os.urandom(1024))
        place = {"socket": "socket", "pid-file": "pid", "log-file": "log", "seed-file": "seed"}
        self._start(
            "munged", "munged", "--foreground", "--num-threads=2", f"--key-file={key}",
            *(f"--{option}={self.folder}/munge.{end}" for option, end in place.items()),
        )  # fmt: skip
        wait_until((self.folder / "munge.socket").exists)

    def _start(self, name: str, *words: str) -> None:
        with (self.folder / f"{name}.out").open("ab") as output:
            self._daemons[name] = subprocess.Popen(
                ["setpriv", "--pdeathsig", "KILL", *words],
                env={**os.environ, **self.environment},
                stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.STDOUT,
            )  # fmt: skip

    def _processes(self) -> list[int]:
        """Processes of jobs: they have our SLURM_CONF in their environment."""
        return [
            pid
            for pid in all_processes()
            if environment_of(pid).get("SLURM_CONF") == self.environment["SLURM_CONF"]
            and "SLURM_JOB_ID" in environment_of(pid)
        ]

    def _step_daemons(self) -> list[int]:
        return [
            pid
            for pid in all_processes()
            if name_of(pid) == "slurmstepd"
            and environment_of(pid).get("SLURM_CONF") == self.environment["SLURM_CONF"]
        ]


def missing_for_slurm() -> str:
    """What is missing here to start a cluster; empty if nothing is."""
    if os.geteuid() != 0:
        return "root"
    return ", ".join(program for program in NEEDED if shutil.which(program) is None)


@contextmanager
def slurm_cluster() -> Iterator[SlurmCluster]:
    """A running cluster, stopped and removed when the block is left."""
    # Not in pytest's own folders, which are closed to others: munge refuses to work there.
    folder = Path(tempfile.mkdtemp(prefix="optuna-snn-slurm-"))
    folder.chmod(0o755)
    cluster = SlurmCluster(folder)
    try:
        cluster.start()
        yield cluster
    finally:
        cluster.stop()
        shutil.rmtree(folder)


def wait_until(condition: Callable[[], bool], patience_s: float = PATIENCE_S) -> None:
    """Wait for something that takes its time."""
    deadline = time.monotonic() + patience_s
    while not condition():
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.1)


def free_ports(n: int) -> list[int]:
    """Below those that the kernel gives to connections: one of them could take a port before its
    daemon does.
    """
    ports: list[int] = []
    for port in random.sample(range(15_000, 32_000), 1000):
        with socket.socket() as each, suppress(OSError):
            each.bind(("127.0.0.1", port))
            ports.append(port)
        if len(ports) == n:
            return ports
    raise AssertionError("no free ports")


def all_processes() -> list[int]:
    return [int(path.name) for path in Path("/proc").iterdir() if path.name.isdecimal()]


def environment_of(pid: int) -> dict[str, str]:
    """Of a process; empty for one that has ended."""
    try:
        text = Path(f"/proc/{pid}/environ").read_bytes().decode(errors="replace")
    except OSError:
        return {}
    return dict(entry.split("=", 1) for entry in text.split("\0") if "=" in entry)


def name_of(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/comm").read_text().strip()
    except OSError:
        return ""


def parent_of(pid: int) -> int:
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return 0
    return int(stat.rpartition(")")[2].split()[1])


def kill(pid: int) -> None:
    try:
        os.kill(pid, signal.SIGKILL)
    except ProcessLookupError:
        pass


if __name__ == "__main__":
    if missing := missing_for_slurm():
        raise SystemExit(f"missing: {missing}")
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.default_int_handler)
    with slurm_cluster() as running:
        print(f"export SLURM_CONF={running.environment['SLURM_CONF']}", flush=True)
        try:
            signal.pause()
        except KeyboardInterrupt:
            print("stopped")
