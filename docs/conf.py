"""Settings of the documentation site, which `docs/build.py` builds."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

from fewshot import __version__

project, author = "fewshot", "the authors of fewshot"
release = version = __version__
project_copyright = "the authors of fewshot, MIT licence"
language = "en"

extensions = [
    "myst_parser",
    "numpydoc",
    "sphinx.ext.autodoc",
    "sphinx_copybutton",
    "site_builder.extension",
]

# Anchors of headings as on code hosts, at any depth.
myst_heading_anchors = 6
# `<a id="...">` and the like stay; no other extension, so that pages read the same on code hosts.
myst_enable_extensions: list[str] = []

# Types are in the docstrings, with shapes and ranges.
autodoc_typehints = "none"
autodoc_class_signature = "mixed"
numpydoc_show_class_members = False
# Words in single backticks are names where there is such a name, else code.
default_role = "py:obj"

html_theme = "furo"
html_title = f"fewshot {release}"
html_copy_source = False
html_show_sphinx = False
html_static_path = [str(Path(__file__).parent / "static")]
html_css_files = ["site.css"]
html_theme_options = {"footer_icons": []}
pygments_style, pygments_dark_style = "friendly", "monokai"

linkcheck_anchors = True
linkcheck_timeout = 15
