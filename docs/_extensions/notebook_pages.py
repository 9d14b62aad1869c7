"""Stored notebooks as pages: their text, their code, and the outputs that stand in them.

`docs/notebooks` is a link to the folder of the notebooks. Nothing is run here: a notebook is read
as the Markdown that shows the same, which MyST reads as any other page.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from sphinx.application import Sphinx

SUFFIX = ".ipynb"
LINK = re.compile(r"\[(?P<words>[^\]]+)\]\((?:(?:\.\./)+notebooks/)?(?P<name>\w+)\.ipynb\)")


def pages_of(cells: list[dict[str, Any]]) -> Iterator[str]:
    """Each cell, and each of its outputs, as Markdown."""
    for cell in cells:
        text = "".join(cell["source"])
        if cell["cell_type"] == "markdown":
            yield text.replace("](../docs/", "](/")  # from the root of the site
            continue
        yield f"```ipython\n{text}\n```"
        for output in cell["outputs"]:
            data = output.get("data", {})
            if "image/png" in data:
                yield f"![output](data:image/png;base64,{''.join(data['image/png']).strip()})"
            else:
                shown = "".join(output.get("text") or data["text/plain"])
                yield f"```text\n{shown.rstrip()}\n```"


def read_page(app: Sphinx, page: str, source: list[str]) -> None:
    """Take a notebook for its Markdown, and links to notebooks for links to their pages."""
    if str(app.env.doc2path(page)).endswith(SUFFIX):
        source[0] = "\n\n".join(pages_of(json.loads(source[0])["cells"])) + "\n"
    # Of a link to a file MyST takes the real path, which leads out of the site.
    source[0] = LINK.sub(r"{doc}`\g<words> </notebooks/\g<name>>`", source[0])


def setup(app: Sphinx) -> dict[str, Any]:
    """Register it."""
    app.add_source_suffix(SUFFIX, "markdown")
    app.connect("source-read", read_page)
    return {"version": "1", "parallel_read_safe": True}
