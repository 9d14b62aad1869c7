"""Optional simulators: each is imported by one file here, and only when it is needed."""

from optuna_snn.backends.errors import MissingPackageError

__all__ = ["MissingPackageError"]
