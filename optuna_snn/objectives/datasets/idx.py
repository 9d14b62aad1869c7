"""The IDX files of MNIST, plain or compressed with gzip.

A file is two zero bytes, a byte for the type (8: unsigned bytes), a byte for the number of axes,
the length of each axis as a big-endian 32-bit integer, and the values, last axis fastest
(http://yann.lecun.com/exdb/mnist/).
"""

from __future__ import annotations

import gzip
import zlib
from math import prod
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from optuna_snn.objectives.datasets.errors import DatasetError

__all__ = ["read_idx"]

UNSIGNED_BYTES = 8
GZIP_MAGIC = b"\x1f\x8b"


def read_idx(path: Path, *, n_axes: int) -> NDArray[np.uint8]:
    """The array of unsigned bytes, with n_axes axes, that an IDX file holds; read-only.

    Whether the file is compressed is seen from its content, not from its name.

    Raises DatasetError for a file that is missing, truncated or anything else.
    """
    try:
        content = path.read_bytes()
        if content.startswith(GZIP_MAGIC):
            content = gzip.decompress(content)
    except (OSError, EOFError, zlib.error) as error:
        raise _damaged(path, str(error)) from error
    header_size = 4 + 4 * n_axes
    if content[:4] != bytes([0, 0, UNSIGNED_BYTES, n_axes]) or len(content) < header_size:
        raise _damaged(path, f"it is no IDX file of bytes with {n_axes} axes")
    shape = tuple(int(n) for n in np.frombuffer(content, ">u4", count=n_axes, offset=4))
    if len(content) - header_size != prod(shape):
        raise _damaged(
            path, f"its header says {shape}, but {len(content) - header_size} values follow"
        )
    return np.frombuffer(content, np.uint8, offset=header_size).reshape(shape)


def _damaged(path: Path, reason: str) -> DatasetError:
    return DatasetError(f"The file {path} cannot be read: {reason}; remove it and fetch it again.")
