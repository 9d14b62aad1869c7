"""MissingPackageError: an optional package that is not installed, with the command that helps."""

from __future__ import annotations

__all__ = ["MissingPackageError"]


class MissingPackageError(ImportError):
    """An optional package is missing or cannot be imported.

    Its message is one line: what needs which package, and the command that installs it.
    """
