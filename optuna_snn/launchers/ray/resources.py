"""How many workers, and what each of them takes of the cluster."""

from __future__ import annotations

from dataclasses import dataclass

from optuna_snn.workers.errors import RunError

__all__ = ["RayResources"]


@dataclass(frozen=True)
class RayResources:
    """What is asked of Ray. It counts CPUs and GPUs; it does not keep a worker from using more.

    Raises:
        RunError: a number out of range, or a share that Ray cannot give.
    """

    n_workers: int = 1
    gpus_per_worker: float = 0.0
    """0.5: two workers share a GPU; above 1 a whole number. 0: the workers see no GPU."""
    cpus_per_worker: float = 1.0
    """Also the number of threads of each worker, unless its node's environment sets it."""

    def __post_init__(self) -> None:
        if self.n_workers < 1:
            raise RunError(f"--workers must be 1 or more, got {self.n_workers}")
        for option, number, what in (
            ("--gpus-per-worker", self.gpus_per_worker, "GPUs"),
            ("--cpus-per-worker", self.cpus_per_worker, "CPUs"),
        ):
            if not 0 <= number < float("inf"):
                raise RunError(f"{option} must be a number of {what}, 0 or more, got {number:g}")
            if number > 1 and not float(number).is_integer():
                raise RunError(
                    f"{option} {number:g}: Ray shares one of the {what}, not several; "
                    "give a share such as 0.5, or a whole number"
                )

    def options(self) -> dict[str, float]:
        """What Ray calls these, for one actor."""
        return {"num_cpus": self.cpus_per_worker, "num_gpus": self.gpus_per_worker}

    @property
    def n_threads(self) -> int:
        """Threads of a worker."""
        return max(1, int(self.cpus_per_worker))

    def fits(self, free: dict[str, float]) -> bool:
        """Whether one worker has room in `free`, as Ray names resources."""
        return (
            free.get("CPU", 0.0) >= self.cpus_per_worker
            and free.get("GPU", 0.0) >= self.gpus_per_worker
        )

    def __str__(self) -> str:
        parts = [f"{self.cpus_per_worker:g} CPU"]
        if self.gpus_per_worker:
            parts.append(f"{self.gpus_per_worker:g} GPU")
        return " and ".join(parts)
