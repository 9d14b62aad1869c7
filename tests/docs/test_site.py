"""The site: built without a warning and without a network, with no link that leads nowhere."""

from __future__ import annotations

import importlib
import os
import re
import subprocess
import sys
from dataclasses import dataclass, field
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pytest

from tests.docs.blocks import DOCS, ROOT

BUILD_OFFLINE = """
import socket, sys
def refuse(*args, **kwargs):
    raise OSError("the site must be built without a network")
socket.socket.connect = socket.getaddrinfo = refuse
from sphinx.cmd.build import main
sys.exit(main(sys.argv[1:]))
"""
LOADED_FROM_ELSEWHERE = re.compile(r"https://cdn\.jsdelivr\.net/npm/mathjax@[\w./-]+")
"""What a browser may load from another site: equations as pictures. They are text without it."""

REFERENCE = (
    "optuna_snn",
    "optuna_snn.checkpoints",
    "optuna_snn.database",
    "optuna_snn.launchers",
    "optuna_snn.launchers.ray",
    "optuna_snn.launchers.slurm",
    "optuna_snn.objectives",
    "optuna_snn.retraining",
    "optuna_snn.visualization",
    "optuna_snn.workers",
)
"""Packages whose public names are all in the reference."""


@dataclass
class Page(HTMLParser):
    """What a page of the site links to, loads, and can be linked to by."""

    links: list[str] = field(default_factory=list)
    loads: list[str] = field(default_factory=list)
    ids: set[str] = field(default_factory=set)

    def __post_init__(self) -> None:
        super().__init__()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        found = {name: value for name, value in attrs if value is not None}
        if "id" in found:
            self.ids.add(found["id"])
        if tag == "a" and "href" in found:
            self.links.append(found["href"])
        if "src" in found:
            self.loads.append(found["src"])
        if tag == "link" and "stylesheet" in found.get("rel", ""):
            self.loads.append(found["href"])


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The site, built as `make docs` does."""
    folder = tmp_path_factory.mktemp("site")
    # -E reads every page anew, -W makes an error of each warning.
    options = ["-E", "-W", "--keep-going", "-q", "-b", "html", "-d", str(folder / ".doctrees")]
    built = subprocess.run(
        [sys.executable, "-c", BUILD_OFFLINE, *options, str(DOCS), str(folder)],
        cwd=ROOT, env={**os.environ, "OMP_NUM_THREADS": "1"},
        capture_output=True, text=True, timeout=500, check=False,
    )  # fmt: skip
    assert built.returncode == 0, built.stdout + built.stderr
    return folder


@pytest.fixture(scope="module")
def pages(site: Path) -> dict[Path, Page]:
    found = {}
    for path in sorted(site.rglob("*.html")):
        page = Page()
        page.feed(path.read_text())
        found[path.resolve()] = page
    return found


@pytest.mark.slow
def test_every_page_is_built_and_says_something(site: Path) -> None:
    sources = [*DOCS.rglob("*.md"), *DOCS.rglob("*.rst")]
    for source in sources:
        built = site / source.relative_to(DOCS).with_suffix(".html")
        article = built.read_text().split('itemprop="articleBody"')[1].split("<footer>")[0]
        assert len(re.sub(r"<[^>]+>|\s+", "", article)) > 300, source


@pytest.mark.slow
def test_links_and_pictures_lead_somewhere(site: Path, pages: dict[Path, Page]) -> None:
    n_checked = 0
    for path, page in pages.items():
        for address in [*page.links, *page.loads]:
            parts = urlsplit(address)
            if parts.scheme or parts.netloc:
                continue
            target = (path.parent / unquote(parts.path)).resolve() if parts.path else path
            assert target.is_file(), f"{path.relative_to(site)} -> {address}"
            if parts.fragment and target in pages:
                anchors = pages[target].ids
                assert unquote(parts.fragment) in anchors, f"{path.relative_to(site)} -> {address}"
            n_checked += 1
    assert n_checked > 500


@pytest.mark.slow
def test_nothing_but_equations_is_loaded_from_elsewhere(pages: dict[Path, Page]) -> None:
    elsewhere = {
        address for page in pages.values() for address in page.loads if urlsplit(address).netloc
    }
    assert elsewhere
    assert all(LOADED_FROM_ELSEWHERE.fullmatch(address) for address in elsewhere), elsewhere


@pytest.mark.slow
@pytest.mark.parametrize("package", REFERENCE)
def test_every_public_name_is_in_the_reference(package: str, pages: dict[Path, Page]) -> None:
    described = set().union(*(page.ids for page in pages.values()))
    public = importlib.import_module(package).__all__
    missing = [name for name in public if f"{package}.{name}" not in described]
    assert not missing


@pytest.mark.slow
def test_equations_and_tables_are_read_as_such(site: Path) -> None:
    sampler = (site / "sampler.html").read_text()
    workers = (site / "many_workers.html").read_text()
    assert sampler.count('class="math notranslate nohighlight"') > 100
    assert "```math" not in sampler
    assert r"\underbrace" in workers
    assert "$$" not in workers
    assert (site / "measurements.html").read_text().count("<table") >= 10
