"""Kernels are compiled once, wherever there is room for them, and missed with a way out."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from optuna_snn.backends import MissingPackageError
from optuna_snn.stdp_engine import compiler

LOAD = "from optuna_snn.stdp_engine import compiler; kernels = compiler.load(); "
COUNT = "print(sum(kernels.present.stats.cache_hits.values()))"


def started(folder: Path, code: str = LOAD + COUNT) -> subprocess.Popen[str]:
    environment = {**os.environ, "NUMBA_CACHE_DIR": str(folder)}
    return subprocess.Popen(
        [sys.executable, "-c", code], env=environment, stdout=subprocess.PIPE, text=True
    )


@pytest.mark.slow
def test_of_two_processes_one_compiles_and_the_other_reads_what_it_made(tmp_path: Path) -> None:
    processes = [started(tmp_path) for _ in range(2)]
    outputs = [process.communicate()[0] for process in processes]
    assert sorted(int(output) for output in outputs) == [0, 1]
    assert started(tmp_path).communicate()[0].strip() == "1"
    (folder,) = tmp_path.iterdir()
    compiled = {path.name.split(".")[1].split("-")[0] for path in folder.rglob("*.nbi")}
    assert compiled == {"draw_spikes", "normalise", "present", "rest", "run"}
    assert not [path for path in folder.rglob("*.2.nbc")]  # each for one set of types


def test_the_folder_is_named_by_the_sources(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NUMBA_CACHE_DIR", str(tmp_path))
    first = compiler._cache_folder()
    assert first.parent == tmp_path and re.fullmatch(r"optuna-snn-stdp-[0-9a-f]{16}", first.name)
    assert compiler._cache_folder() == first
    monkeypatch.setattr(compiler, "SOURCES", (*compiler.SOURCES, "engine.py"))
    assert compiler._cache_folder() != first


def test_where_nothing_can_be_written_the_next_folder_is_taken(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    no_folder = tmp_path / "file"
    no_folder.write_text("")
    monkeypatch.setenv("NUMBA_CACHE_DIR", str(no_folder))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "user"))
    assert compiler._cache_folder().parent == Path(compiler.__file__).parent / "__pycache__"
    package = tmp_path / "package"
    (package / "__pycache__").parent.mkdir()
    (package / "__pycache__").write_text("")
    monkeypatch.setattr(compiler, "__file__", str(package / "compiler.py"))
    assert compiler._cache_folder().parent == tmp_path / "user"
    monkeypatch.setenv("XDG_CACHE_HOME", str(no_folder))
    assert compiler._cache_folder().is_dir()


def test_other_code_that_numba_compiles_is_kept_where_it_was(tmp_path: Path) -> None:
    code = LOAD + "import numba; print(repr(numba.config.CACHE_DIR))"
    folder = compiler._cache_folder().parent  # its kernels are compiled already
    assert started(folder, code).communicate()[0].strip() == repr(str(folder))


def test_a_lock_makes_the_second_wait(tmp_path: Path) -> None:
    hold = (
        "import sys, time\nfrom pathlib import Path\n"
        "from optuna_snn.stdp_engine.compiler import _one_process_at_a_time\n"
        f"with _one_process_at_a_time(Path({str(tmp_path)!r})):\n"
        "    print('in', flush=True)\n    sys.stdin.readline()\n    time.sleep(0.3)\n"
        "    Path(sys.argv[1]).write_text('done')\n"
    )
    mark = tmp_path / "mark"
    process = subprocess.Popen(
        [sys.executable, "-c", hold, str(mark)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None and process.stdin is not None
    assert process.stdout.readline() == "in\n"
    process.stdin.write("go on\n")
    process.stdin.flush()
    with compiler._one_process_at_a_time(tmp_path):
        assert mark.read_text() == "done"
    process.communicate()


def test_without_numba_the_error_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "numba", None)
    monkeypatch.setattr(compiler, "_kernels", None)
    monkeypatch.setattr(compiler, "is_installed", lambda: False)
    message = r'Numba.* is not installed; run: pip install "optuna-snn\[fast\]", or take engine="b'
    with pytest.raises(MissingPackageError, match=message):
        compiler.load()
    with pytest.raises(MissingPackageError, match=message):
        compiler.require()


def test_a_numba_that_cannot_be_imported_is_told_from_a_missing_one(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(sys.modules, "numba", None)
    monkeypatch.setattr(compiler, "_kernels", None)
    monkeypatch.setattr(compiler, "is_installed", lambda: True)
    with pytest.raises(MissingPackageError, match=r"Numba.* cannot be imported"):
        compiler.load()


def test_importing_the_engine_does_not_import_numba() -> None:
    code = "import sys, optuna_snn.objectives.stdp.objective; print('numba' in sys.modules)"
    assert started(Path("unused"), code).communicate()[0].strip() == "False"
