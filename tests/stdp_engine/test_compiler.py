"""Kernels are compiled once, wherever there is room for them, and missed with a way out."""

from __future__ import annotations

import logging
import os
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from types import SimpleNamespace

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
    of_distance = {"present_by_distance", "run_by_distance"}
    assert compiled == {"draw_spikes", "normalise", "present", "rest", "run"} | of_distance
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
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    private = tmp_path / f"optuna-snn-{os.getuid()}"
    assert compiler._cache_folder() == compiler._cache_folder()
    assert compiler._cache_folder().parent == private
    assert private.stat().st_mode & 0o077 == 0


@pytest.mark.parametrize("kind", ["writable by all", "a link"])
def test_code_is_not_run_from_a_temporary_folder_that_others_can_fill(
    kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    private = tmp_path / f"optuna-snn-{os.getuid()}"
    if kind == "a link":
        private.symlink_to(tmp_path)
    else:
        private.mkdir()
        private.chmod(0o777)
    with pytest.raises(PermissionError, match="not this user's own"):
        compiler._private_folder()


def copy_of_the_compiled_code(tmp_path: Path) -> Path:
    compiler.load()
    folder = compiler._cache_folder()
    return Path(shutil.copytree(folder, tmp_path / folder.name))


@pytest.mark.slow
@pytest.mark.parametrize("ending", ["nbi", "nbc"])
def test_damaged_code_is_compiled_anew(ending: str, tmp_path: Path) -> None:
    folder = copy_of_the_compiled_code(tmp_path)
    damaged = [*folder.rglob(f"present*present*.{ending}")]
    assert damaged
    for file in damaged:
        file.write_bytes(file.read_bytes()[:20])
    assert started(tmp_path).communicate()[0].strip() == "0"
    assert started(tmp_path).communicate()[0].strip() == "1"


def test_what_is_compiled_is_read_without_a_turn(tmp_path: Path) -> None:
    folder = copy_of_the_compiled_code(tmp_path)
    with compiler._one_process_at_a_time(folder):
        process = started(tmp_path)
        try:
            assert process.communicate(timeout=60)[0].strip() == "1"
        finally:
            process.kill()


def test_a_process_forked_under_the_lock_does_not_keep_it(tmp_path: Path) -> None:
    code = (
        "import fcntl, os, signal\nfrom pathlib import Path\n"
        "from optuna_snn.stdp_engine import compiler\n"
        f"folder = Path({str(tmp_path)!r})\n"
        "with compiler._one_process_at_a_time(folder):\n"
        "    child = os.fork()\n"
        "    if child == 0:\n"
        "        signal.pause()\n"
        "try:\n"
        "    with (folder / compiler.LOCK_FILE).open('w') as file:\n"
        "        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)\n"
        "    print('free')\n"
        "finally:\n"
        "    os.kill(child, signal.SIGKILL)\n"
    )
    assert started(tmp_path, code).communicate()[0].strip() == "free"


def test_folders_that_nobody_has_used_for_long_are_removed(tmp_path: Path) -> None:
    ours, old, young, other = (
        tmp_path / name
        for name in ("optuna-snn-stdp-1", "optuna-snn-stdp-2", "optuna-snn-stdp-3", "other")
    )
    for folder in (ours, old, young, other):
        folder.mkdir()
        (folder / "x.compiled").touch()
        os.utime(folder, (0, 0))
        if folder != young:
            os.utime(folder / "x.compiled", (0, 0))
    compiler._remove_unused(ours)
    assert sorted(tmp_path.iterdir()) == [ours, young, other]


@pytest.mark.parametrize("n_compiled", [0, 1])
def test_it_is_told_what_was_compiled_and_not_what_was_read(
    n_compiled: int, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    stats = SimpleNamespace(cache_misses={"types": 1} if n_compiled else {})
    kernels = SimpleNamespace(compile_all=lambda: None, present=SimpleNamespace(stats=stats))
    with caplog.at_level(logging.INFO, compiler.__name__):
        compiler._compile(kernels, tmp_path)
    assert len(caplog.messages) == n_compiled


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


@pytest.mark.parametrize("error", [OSError("no libllvmlite.so"), AttributeError("no long")])
def test_a_numba_that_does_not_fit_its_libraries_is_told_in_one_line(
    error: Exception, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(name: str) -> None:
        raise error

    monkeypatch.setattr(compiler, "_kernels", None)
    monkeypatch.setattr(compiler.importlib, "import_module", fail)
    with pytest.raises(MissingPackageError, match=rf"cannot be imported \({error}\); run: pip"):
        compiler.load()


def test_importing_the_engine_does_not_import_numba() -> None:
    code = "import sys, optuna_snn.objectives.stdp.objective; print('numba' in sys.modules)"
    assert started(Path("unused"), code).communicate()[0].strip() == "False"
