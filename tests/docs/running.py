"""Runs the Python blocks of a page, one after the other in one namespace.

What a block takes for granted is in the page's context, `contexts/<page>.py`, if it has one:

    names        everything that the module defines is there before the first block
    CONTINUES    (page, text): before that, the blocks of another page, up to the one with the text
    CHECKS       text -> function(namespace), called after the one block that holds the text:
                 it calls what the block only defines, or asserts what the page says of it
"""

from __future__ import annotations

import runpy
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from tests.docs.blocks import ROOT, Block, read_blocks

CONTEXTS = Path(__file__).parent / "contexts"
Namespace = dict[str, Any]
Check = Callable[[Namespace], None]


def context_of(page: Path) -> Path:
    """docs/how_to/gpus.md -> contexts/how_to_gpus.py; there need not be one."""
    name = page.relative_to(ROOT).with_suffix("").as_posix()
    return CONTEXTS / f"{name.removeprefix('docs/').replace('/', '_').lower()}.py"


def run_page(page: Path) -> Namespace:
    """Run all Python blocks of a page in the current folder, with its checks."""
    namespace, checks = _prepared(page)
    blocks = [block for block in read_blocks(page) if block.is_python]
    for text in checks:
        holders = [str(block) for block in blocks if text in block.text]
        assert len(holders) == 1, f"{text!r} of {context_of(page).name} is in {holders}, not one"
    for block in blocks:
        run_block(block, namespace)
        for text, check in checks.items():
            if text in block.text:
                check(namespace)
    return namespace


def run_block(block: Block, namespace: Namespace) -> None:
    """Run one block; a traceback names the page and the line in it."""
    code = compile("\n" * (block.line - 1) + block.text, str(ROOT / block.page), "exec")
    exec(code, namespace)


def _prepared(page: Path) -> tuple[Namespace, Mapping[str, Check]]:
    namespace: Namespace = {"__name__": "page"}
    context = context_of(page)
    if not context.exists():
        return namespace, {}
    defined = runpy.run_path(str(context))
    if "CONTINUES" in defined:
        other, last = defined["CONTINUES"]
        for block in read_blocks(ROOT / other):
            if block.is_python:
                run_block(block, namespace)
            if last in block.text:
                break
        else:
            raise AssertionError(f"{other} has no block with {last!r}")
    checks = defined.pop("CHECKS", {})
    names = {name: value for name, value in defined.items() if not name.startswith("__")}
    return namespace | names, checks
