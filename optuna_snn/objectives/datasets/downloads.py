"""Fetch one file from the first of several addresses that gives it unharmed."""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Sequence
from http.client import HTTPException
from pathlib import Path
from urllib.request import urlopen

from optuna_snn.objectives.datasets.cache import put_in_place

__all__ = ["DownloadError", "fetch"]

MAX_BYTES = 64 * 2**20
"""More than any file fetched here; a server that sends without end is cut off."""

_logger = logging.getLogger(__name__)


class DownloadError(OSError):
    """No address gave the file; the message says what happened at each."""


def fetch(addresses: Sequence[str], path: Path, *, md5: str, timeout_s: float = 10.0) -> None:
    """Write the file with that MD5 sum to `path`, whole or not at all.

    timeout_s: longest silence of a server, at connecting and in each read

    Raises DownloadError if no address gives it, OSError where `path` cannot be written.
    """
    failures = []
    for address in addresses:
        try:
            with urlopen(address, timeout=timeout_s) as response:
                content: bytes = response.read(MAX_BYTES + 1)
        except (OSError, HTTPException) as error:  # URLError and timeouts are OSErrors
            failures.append(f"{address}: {error}")
            continue
        if len(content) > MAX_BYTES:
            failures.append(f"{address}: it has more than {MAX_BYTES} bytes")
            continue
        found = hashlib.md5(content, usedforsecurity=False).hexdigest()
        if found != md5:
            failures.append(f"{address}: its MD5 sum is {found}, expected {md5}")
            continue
        with put_in_place(path) as unfinished:
            unfinished.write_bytes(content)
        _logger.info("Fetched %s (%d bytes) to %s.", address, len(content), path)
        return
    raise DownloadError("; ".join(failures))
