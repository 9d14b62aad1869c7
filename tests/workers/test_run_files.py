"""Where files go, and that none is overwritten."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path

import pytest

from optuna_snn.workers.run_files import default_storage, move_aside, run_files

NOW = datetime(2026, 3, 4, 5, 6, 7)


@pytest.mark.parametrize(
    ("url", "study_name", "figure"),
    [
        ("sqlite:///runs/digits.db", "digits", "runs/digits.png"),
        ("sqlite:///runs/digits.db", "other", "runs/digits-other.png"),
        ("postgresql+psycopg2://u:p@host/db", "digits", "digits.png"),
        ("postgresql+psycopg2://u:p@host/db", "../a b/c", ".._a_b_c.png"),
    ],
)
def test_files_lie_beside_the_database_else_here(url: str, study_name: str, figure: str) -> None:
    files = run_files(url, study_name)
    assert files.figure == Path(figure)
    stem = str(Path(figure).with_suffix(""))
    assert files.worker_log("node1", 3) == Path(f"{stem}-logs/worker-node1-3.log")
    assert files.late_results == Path(f"{stem}-late-results.jsonl")


def test_a_study_name_becomes_a_file_name() -> None:
    assert default_storage("my study/1") == "my_study_1.db"


def test_moving_aside_keeps_every_file_under_a_new_name(tmp_path: Path) -> None:
    database, journal = tmp_path / "a.db", tmp_path / "a.db-journal"
    for content in ("one", "two", "three"):
        database.write_text(content)
        (moved,) = move_aside([database, journal], NOW)
        assert moved.read_text() == content
        assert moved.name.startswith("a.2026-03-04_050607")
        assert moved.suffix == ".db"
        assert not database.exists()
    assert sorted(path.read_text() for path in tmp_path.iterdir()) == ["one", "three", "two"]
