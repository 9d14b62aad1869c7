"""RunError: what a user can put right, said in one line."""

from __future__ import annotations

__all__ = ["RunError"]


class RunError(ValueError):
    """An expected failure. Its message is one line: what is wrong, with which value, the way out.

    The command line prints it without a traceback and exits with code 2.
    """
