"""The packages for the OptunaHub registry, read from their folders."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from optuna_snn import SCBOSampler, SpikeActivityPruner, SpikeMonitor

REPOSITORY = Path(__file__).parents[2]
FOLDERS = REPOSITORY / "optunahub"

Finished = subprocess.CompletedProcess[str]
Run = Callable[..., Finished]
"""What the fixture `run` is: Python with these arguments."""


@dataclass(frozen=True)
class Package:
    """One folder of the registry, and what its module hands out."""

    name: str
    classes: tuple[type, ...]

    @property
    def folder(self) -> Path:
        return FOLDERS / self.name

    @property
    def category(self) -> str:
        return self.name.split("/")[0]

    @property
    def readme(self) -> str:
        return (self.folder / "README.md").read_text()

    @property
    def front_matter(self) -> dict[str, Any]:
        """The YAML between the first two lines of three hyphens, where README.md begins."""
        empty, block, _ = re.split(r"^---$", self.readme, maxsplit=2, flags=re.MULTILINE)
        assert empty == ""
        values: dict[str, Any] = yaml.safe_load(block)
        return values

    @property
    def sections(self) -> dict[str, str]:
        """Heading of the second level -> text below it."""
        parts = re.split(r"^## (.+)$", self.readme, flags=re.MULTILINE)[1:]
        return dict(zip(parts[::2], parts[1::2], strict=True))

    @property
    def code(self) -> str:
        """The Python of the section "Example", which the hub shows first."""
        (block,) = re.findall(r"^```python\n(.*?)^```$", self.sections["Example"], re.S | re.M)
        assert isinstance(block, str)
        return block

    def __str__(self) -> str:
        return self.name


PACKAGES = (
    Package("samplers/scbo", (SCBOSampler,)),
    Package("pruners/spike_activity", (SpikeActivityPruner, SpikeMonitor)),
)
