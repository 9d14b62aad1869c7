"""Settings of the documentation site: `make docs`.

Sphinx with the theme of Optuna's own documentation. MyST reads the pages as CommonMark, as code
hosts do, so that they read the same in both places.
"""

from __future__ import annotations

import sys
from importlib.metadata import version as installed_version
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent / "_extensions"))

project = "optuna_snn"
author = "optuna_snn authors"
copyright = author
version = release = installed_version("optuna-snn")

extensions = [
    "myst_parser",
    "sphinx.ext.autodoc",
    "sphinx.ext.napoleon",
    "sphinx.ext.mathjax",
    "plain_docstrings",
    "command_options",
    "notebook_pages",
]
exclude_patterns = ["_build", "_extensions"]
nitpicky = False  # annotations name private aliases and the parts of other packages

# $...$, $$...$$ and ```math, and anchors of headings as code hosts make them.
myst_enable_extensions = ["dollarmath"]
myst_fence_as_directive = ["math"]
myst_heading_anchors = 4

autodoc_member_order = "bysource"
autodoc_preserve_defaults = True
autodoc_typehints_format = "short"
autodoc_type_aliases = {name: name for name in ("ArrayLike", "Counts", "Gaps")}
autodoc_default_options = {
    "members": True,
    "undoc-members": True,
    "special-members": "__call__",
}
python_use_unqualified_type_names = True
python_maximum_signature_line_length = 88
napoleon_numpy_docstring = False
napoleon_use_rtype = False

smartquotes_action = "D"  # dashes alone: "all" is a value

html_theme = "sphinx_rtd_theme"
html_theme_options = {"navigation_depth": 3, "collapse_navigation": False}
html_title = f"optuna_snn {version}"
html_static_path = ["_static"]
html_css_files = ["site.css"]
html_copy_source = False
html_show_copyright = False
