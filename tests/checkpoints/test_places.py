"""Paths: one folder for each study and training, whatever the study is called."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from optuna_snn.checkpoints.lineage import Lineage
from optuna_snn.checkpoints.places import FOLDER_VARIABLE, files_of, folder_name, root_folder
from tests.helpers import repeatable

START = datetime(2026, 3, 4, 5, 6, 7, 89)


def test_a_retry_reads_its_forerunners_files_the_latest_first() -> None:
    files = files_of(Path("root"), "digits", Lineage(11, (4, 8), START))
    folder = Path("root/digits/4-20260304T050607.000089")
    assert files == tuple(folder / f"trial-{number}.ckpt" for number in (11, 8, 4))


def test_a_first_trial_shares_the_folder_with_its_retries() -> None:
    (first,) = files_of(Path("root"), "digits", Lineage(4, (), START))
    assert first in files_of(Path("root"), "digits", Lineage(8, (4,), START))


def test_studies_of_one_name_are_told_apart_by_the_start_of_the_trial() -> None:
    later = START.replace(microsecond=90)
    paths = [files_of(Path("root"), "a", Lineage(0, (), at))[0] for at in (START, later, None)]
    assert len({path.parent for path in paths}) == 3


@pytest.mark.parametrize("name", ["..", ".", "", "a/b", "../../etc", "a\0b", "x" * 500, "ü" * 200])
def test_no_name_leaves_the_folder_or_is_too_long(name: str) -> None:
    folder = folder_name(name)
    assert Path(folder).name == folder
    assert folder not in ("", ".", "..")
    assert len(folder.encode()) <= 120


@repeatable
@given(st.lists(st.text(max_size=200), min_size=2, max_size=5, unique=True))
def test_different_studies_have_different_folders(names: list[str]) -> None:
    assert len({folder_name(name) for name in names}) == len(names)


def test_an_ordinary_name_is_taken_as_it_is() -> None:
    assert folder_name("MNIST digits_2-b") == "MNIST digits_2-b"


def test_the_folder_is_the_given_one_or_the_environments_or_ours(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.delenv(FOLDER_VARIABLE, raising=False)
    assert root_folder(None) == Path("checkpoints")
    monkeypatch.setenv(FOLDER_VARIABLE, "/shared/here")
    assert root_folder(None) == Path("/shared/here")
    assert root_folder("mine") == Path("mine")
