"""Results that their trial could not take: another process had ended it, or the database was away.

Hours of training should not be lost for that. A result is kept as a line of JSON in
`<stem>-late-results.jsonl` beside the logs; and, if the database is there, as an attribute of the
study, where every node and the dashboard find it, shortened to MAX_ATTRIBUTE_LENGTH. The fields
are those of `KeptResult`. `study.add_trial(optuna.create_trial(...))` takes one into the study, if
it is wanted.
"""

from __future__ import annotations

import errno
import json
import logging
import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

import optuna

__all__ = [
    "KEPT_PREFIX",
    "KeptResult",
    "append_to_file",
    "attach_to_study",
    "kept_results",
    "kept_since",
]

KEPT_PREFIX = "optuna_snn:late_result:"
"""Attributes of the study: this and the trial's number."""

MAX_ATTRIBUTE_LENGTH = 2000
"""Every process of a study reads its attributes, and MySQL cuts texts at 64 kB."""

_logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class KeptResult:
    """What an objective came to, and why its trial does not have it."""

    study: str
    trial: int
    state: str
    """"complete" or "pruned"."""
    value: object
    """What the objective returned, None if nothing."""
    why: str
    params: Mapping[str, Any] = field(default_factory=dict)
    """Empty where the database was away: the trial has them."""
    user_attrs: Mapping[str, Any] = field(default_factory=dict)
    time: str = field(default_factory=lambda: datetime.now().isoformat(timespec="seconds"))
    """Local, in ISO form."""


def append_to_file(file: Path, result: KeptResult) -> bool:
    """Append `result` to `file`, for certain on disk when this returns True.

    If the file cannot be written the result goes to the log instead, and False is returned;
    nothing is raised, because a worker that comes here has trouble already.
    """
    line = json.dumps(asdict(result), default=repr)
    try:
        # Workers may write at once: one call in append mode, so that their lines do not mix.
        descriptor = os.open(file, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
        try:
            n_bytes = os.fstat(descriptor).st_size
            data = f"{line}\n".encode()
            if (n_written := os.write(descriptor, data)) != len(data):
                # A full disk takes a part. Nobody is to read it, nor a line behind it.
                if os.fstat(descriptor).st_size == n_bytes + n_written:
                    os.ftruncate(descriptor, n_bytes)
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
    except OSError as error:
        _logger.error("the result cannot be kept in %s (%s): %s", file, error, line)
        return False
    _logger.warning("trial %d: its result is kept in %s", result.trial, file)
    return True


def attach_to_study(study: optuna.Study, result: KeptResult) -> None:
    """Keep `result` as an attribute of the study."""
    study.set_user_attr(f"{KEPT_PREFIX}{result.trial}", _shortened(asdict(result)))


def kept_results(study: optuna.Study) -> list[dict[str, Any]]:
    """The results that are attributes of the study, by the number of their trial."""
    records = [record for key, record in study.user_attrs.items() if key.startswith(KEPT_PREFIX)]
    return sorted(records, key=lambda record: int(record["trial"]))


def kept_since(study: optuna.Study, file: Path, since: datetime) -> set[int]:
    """Numbers of the trials whose results were kept at local time `since` or later.

    Those that are attributes of the study, and those of this study in `file`: where the database
    was away, they are in the file alone.
    """
    records = kept_results(study)
    if file.exists():
        records += _read(file)
    begin = since.isoformat(timespec="seconds")
    return {
        record["trial"]
        for record in records
        if record["study"] == study.study_name and record["time"] >= begin
    }


def _read(file: Path) -> list[dict[str, Any]]:
    """The results in a file; lines that are none, as a full disk leaves them, are warned of."""
    records = []
    for number, line in enumerate(file.read_text(errors="replace").splitlines(), 1):
        try:
            record = json.loads(line)
            if not {"study", "trial", "time"} <= record.keys():
                raise ValueError("it lacks the study, the trial or the time")
        except (ValueError, AttributeError) as error:
            _logger.warning("line %d of %s is no late result (%s)", number, file, error)
        else:
            records.append(record)
    return records


def _shortened(record: Mapping[str, Any]) -> dict[str, Any]:
    """The record as JSON can hold it, without its largest parts if it is too long."""
    short: dict[str, Any] = json.loads(json.dumps(record, default=repr))
    for part in ("user_attrs", "params", "value", "why"):
        if len(json.dumps(short)) <= MAX_ATTRIBUTE_LENGTH:
            break
        short[part] = "left out: too long"
    return short
