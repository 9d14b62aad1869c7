import os
import time
from pathlib import Path

import pytest

from optuna_snn.objectives.datasets.cache import LEFTOVER_AGE_S, cache_folder, put_in_place


def test_the_cache_is_where_the_variables_say(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.delenv("OPTUNA_SNN_CACHE", raising=False)
    assert cache_folder() == tmp_path / "optuna_snn"
    monkeypatch.setenv("OPTUNA_SNN_CACHE", str(tmp_path / "other"))
    assert cache_folder() == tmp_path / "other"


def test_a_file_replaces_an_older_one_and_is_not_there_before(tmp_path: Path) -> None:
    path = tmp_path / "new" / "file"
    for text in ("first", "second"):
        with put_in_place(path) as unfinished:
            unfinished.write_text(text)
            assert not path.exists() or path.read_text() == "first"
        assert path.read_text() == text
    assert list(path.parent.iterdir()) == [path]


def test_of_two_folders_the_first_one_stays(tmp_path: Path) -> None:
    path = tmp_path / "folder"
    with put_in_place(path) as late:
        late.mkdir()
        (late / "late").touch()
        with put_in_place(path) as early:
            early.mkdir()
            (early / "early").touch()
    assert [each.name for each in path.iterdir()] == ["early"]
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("is_folder", [False, True])
def test_a_failure_leaves_nothing(is_folder: bool, tmp_path: Path) -> None:
    with pytest.raises(RuntimeError, match="half"), put_in_place(tmp_path / "name") as unfinished:
        if is_folder:
            (unfinished / "inner").mkdir(parents=True)
        else:
            unfinished.touch()
        raise RuntimeError("half of it")
    assert not list(tmp_path.iterdir())


def test_what_killed_processes_left_is_removed_a_day_later(tmp_path: Path) -> None:
    own = [tmp_path / f"name.{digit * 32}.tmp" for digit in "12f"]
    old_file, new_file, old_folder = own
    others = [tmp_path / f"other.{'1' * 32}.tmp", tmp_path / "name.backup.tmp"]
    old_folder.mkdir()
    (old_folder / "inner").touch()
    for each in (old_file, new_file, *others):
        each.touch()
    for each in (old_file, old_folder, *others):
        os.utime(each, (0, time.time() - LEFTOVER_AGE_S - 60))
    with put_in_place(tmp_path / "name") as unfinished:
        unfinished.touch()
    assert set(tmp_path.iterdir()) == {tmp_path / "name", new_file, *others}


def test_a_folder_does_not_replace_a_file(tmp_path: Path) -> None:
    (tmp_path / "name").touch()
    with pytest.raises(OSError), put_in_place(tmp_path / "name") as unfinished:
        unfinished.mkdir()
    assert [each.name for each in tmp_path.iterdir()] == ["name"]
