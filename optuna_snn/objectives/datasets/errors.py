"""DatasetError: a data set that is not there or is damaged, said in one line with the way out."""

from __future__ import annotations

__all__ = ["DatasetError"]


class DatasetError(ValueError):
    """A folder without the data set looked for, or a file that does not hold what it should.

    Its message is one line that names the folder or file, what is wrong, and what helps.
    """
