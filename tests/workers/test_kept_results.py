"""Results that came too late are kept where they are found again."""

from __future__ import annotations

import json
import logging
import os
from datetime import datetime
from pathlib import Path

import optuna
import pytest

from optuna_snn.workers.kept_results import (
    MAX_ATTRIBUTE_LENGTH,
    KeptResult,
    append_to_file,
    attach_to_study,
    kept_results,
    kept_since,
)


def result(trial: int, **parts: object) -> KeptResult:
    known: dict[str, object] = {"state": "complete", "value": 0.5, "why": "too late"}
    return KeptResult(study="toy", trial=trial, **(known | parts))  # type: ignore[arg-type]


def test_each_result_is_a_line_of_json(tmp_path: Path) -> None:
    file = tmp_path / "toy-late-results.jsonl"
    assert append_to_file(file, result(7, params={"x": 0.25}, user_attrs={"note": "a\nb"}))
    assert append_to_file(file, result(9, value=object(), state="pruned"))
    first, second = map(json.loads, file.read_text().splitlines())
    assert (first["study"], first["trial"], first["state"]) == ("toy", 7, "complete")
    assert (first["value"], first["params"]) == (0.5, {"x": 0.25})
    assert (first["user_attrs"], first["why"]) == ({"note": "a\nb"}, "too late")
    assert second["value"].startswith("<object")


def test_a_file_that_cannot_be_written_leaves_the_result_in_the_log(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.ERROR):
        assert not append_to_file(tmp_path / "no" / "where.jsonl", result(7, params={"x": 0.25}))
    assert '"params": {"x": 0.25}' in caplog.text


def test_of_a_line_that_does_not_fit_on_the_disk_nothing_is_left(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "toy-late-results.jsonl"
    assert append_to_file(file, result(7))
    before = file.read_bytes()
    write = os.write
    monkeypatch.setattr(os, "write", lambda descriptor, data: write(descriptor, data[:20]))
    with caplog.at_level(logging.ERROR):
        assert not append_to_file(file, result(9, params={"x": 0.25}))
    assert '"params": {"x": 0.25}' in caplog.text
    assert file.read_bytes() == before


@pytest.mark.parametrize("line", ['{"study": "toy", "tri', "[]", '{"study": "toy"}'])
def test_a_damaged_line_is_told_and_the_others_are_read(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, line: str
) -> None:
    study = optuna.create_study(study_name="toy")
    file = tmp_path / "toy-late-results.jsonl"
    since = datetime.now()
    file.write_text(f"{line}\n")
    assert append_to_file(file, result(9))
    with caplog.at_level(logging.WARNING):
        assert kept_since(study, file, since) == {9}
    assert f"line 1 of {file} is no late result" in caplog.text


def test_a_study_has_its_late_results_by_trial() -> None:
    study = optuna.create_study()
    study.set_user_attr("somebody's", {"trial": 0})
    attach_to_study(study, result(11))
    attach_to_study(study, result(7, params={"x": 0.25}))
    assert [record["trial"] for record in kept_results(study)] == [7, 11]
    assert kept_results(study)[0]["params"] == {"x": 0.25}


def test_what_is_too_long_for_an_attribute_loses_its_largest_parts_first() -> None:
    study = optuna.create_study()
    attach_to_study(study, result(1, params={"x": 0.25}, user_attrs={"log": "y" * 10_000}))
    attach_to_study(study, result(2, params={"x": "z" * 10_000}, value="v" * 10_000))
    first, second = kept_results(study)
    assert (first["params"], first["user_attrs"]) == ({"x": 0.25}, "left out: too long")
    assert {second["params"], second["value"]} == {"left out: too long"}
    for record in (first, second):
        assert len(json.dumps(record)) <= MAX_ATTRIBUTE_LENGTH
        assert record["why"] == "too late"


def test_results_kept_while_a_run_lasted_are_found_in_the_study_and_in_the_file(
    tmp_path: Path,
) -> None:
    study, file = optuna.create_study(study_name="toy"), tmp_path / "toy-late-results.jsonl"
    since = datetime(2026, 3, 4, 5, 6, 7, 800_000)
    assert kept_since(study, file, since) == set()
    before, after = "2026-03-04T05:06:06", "2026-03-04T05:06:07"  # in full seconds
    attach_to_study(study, result(1, time=before))
    attach_to_study(study, result(2, time=after))
    append_to_file(file, result(2, time=after))
    append_to_file(file, result(3, time=after))
    append_to_file(file, result(4, time=before))
    append_to_file(file, KeptResult("another", 5, "complete", 1.0, "too late", time=after))
    assert kept_since(study, file, since) == {2, 3}
