"""A file is whole or not there, whatever happens while it is written; damage is found."""

from __future__ import annotations

import errno
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from optuna_snn.checkpoints import files
from optuna_snn.checkpoints.files import MAGIC, partial_of, read_whole, write_whole


def test_what_was_written_is_read_and_nothing_else_is_left(tmp_path: Path) -> None:
    path = tmp_path / "a" / "b" / "c.ckpt"
    for content in (b"first", b"", bytes(range(256)) * 1000):
        write_whole(path, content)
        assert bytes(read_whole(path)) == content
        assert list(path.parent.iterdir()) == [path]


@pytest.mark.parametrize("position", [0, len(MAGIC) - 1, len(MAGIC), len(MAGIC) + 31, -1])
def test_one_changed_bit_anywhere_is_found(tmp_path: Path, position: int) -> None:
    path = tmp_path / "a.ckpt"
    write_whole(path, b"content")
    stored = bytearray(path.read_bytes())
    stored[position] ^= 1
    path.write_bytes(stored)
    with pytest.raises(ValueError, match=r"begin with|digest"):
        read_whole(path)


def test_a_file_cut_short_anywhere_is_found(tmp_path: Path) -> None:
    path = tmp_path / "a.ckpt"
    write_whole(path, b"content")
    stored = path.read_bytes()
    for length in range(len(stored)):
        path.write_bytes(stored[:length])
        with pytest.raises(ValueError, match=r"begin with|digest"):
            read_whole(path)


def test_the_content_is_on_the_disk_before_it_takes_the_place(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "a.ckpt"
    write_whole(path, b"old")
    synced: list[tuple[bool, bytes]] = []
    fsync = os.fsync

    def recorded(descriptor: int) -> None:
        is_partial = partial_of(path).exists()
        content = partial_of(path).read_bytes() if is_partial else path.read_bytes()
        synced.append((is_partial, content[-3:]))
        fsync(descriptor)

    monkeypatch.setattr(os, "fsync", recorded)
    write_whole(path, b"new")
    assert synced == [(True, b"new"), (False, b"new")]


@pytest.mark.parametrize("call", ["fsync", "replace"])
@pytest.mark.parametrize("error", [OSError(errno.ENOSPC, "No space left"), KeyboardInterrupt()])
def test_the_former_file_stays_when_writing_fails(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, call: str, error: BaseException
) -> None:
    path = tmp_path / "a.ckpt"
    write_whole(path, b"old")

    def fail(*arguments: Any) -> None:
        raise error

    owner = os if call == "fsync" else Path
    monkeypatch.setattr(owner, call, fail)
    with pytest.raises(type(error)):
        write_whole(path, b"new")
    monkeypatch.undo()
    assert bytes(read_whole(path)) == b"old"
    assert list(tmp_path.iterdir()) == [path]


def test_a_file_system_that_cannot_sync_folders_does_not_matter(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened = os.open

    def refuse(path: Any, flags: int, *rest: Any, **options: Any) -> int:
        if Path(path).is_dir():
            raise OSError(errno.EINVAL, "Invalid argument")
        return opened(path, flags, *rest, **options)

    monkeypatch.setattr(files.os, "open", refuse)
    write_whole(tmp_path / "a.ckpt", b"content")
    assert bytes(read_whole(tmp_path / "a.ckpt")) == b"content"


def test_a_writer_killed_at_any_moment_leaves_a_whole_file(tmp_path: Path) -> None:
    """A child replaces the file without end, each time filled with another byte; it is killed."""
    path = tmp_path / "a.ckpt"
    code = (
        "import sys; from pathlib import Path\n"
        "from optuna_snn.checkpoints.files import write_whole\n"
        "i = 0\n"
        "while True:\n"
        "    write_whole(Path(sys.argv[1]), bytes([i % 256]) * 2_000_000); i += 1\n"
    )
    root = str(Path(files.__file__).parents[2])
    for pause_s in (0.0, 0.005, 0.011, 0.02):
        path.unlink(missing_ok=True)
        child = subprocess.Popen(
            [sys.executable, "-c", code, str(path)], env=os.environ | {"PYTHONPATH": root}
        )
        try:
            while not path.exists():
                assert child.poll() is None
                time.sleep(0.001)
            time.sleep(pause_s)
        finally:
            os.kill(child.pid, signal.SIGKILL)
            child.wait()
        content = bytes(read_whole(path))
        assert len(content) == 2_000_000
        assert content.count(content[:1]) == len(content)
