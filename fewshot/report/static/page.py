"""Pages without a script: self-contained, identical for identical inputs, making no request."""

from __future__ import annotations

import base64
import hashlib
from importlib.resources import files
from pathlib import Path
from typing import Any

from markupsafe import Markup

from fewshot.files import atomic_path, path_error, writing
from fewshot.report.payload.html import page_environment

STYLES = ("page/base.css", "page/charts.css", "page/tables.css", "page/print.css",
          "static/page.css")  # fmt: skip


def render_page(folder: str, /, **contents: Any) -> str:
    """The template ``page.html.j2`` of a folder of ``report``, filled in.

    It extends ``static/base.html.j2``, whose content security policy lets the browser load nothing
    and run nothing; its styles are those of the report, of ``static`` and of the folder.

    Parameters
    ----------
    folder : str
    **contents
        Of the template; ``title`` among them.
    """
    css = style_sheet(folder)
    digest = hashlib.sha256(css.encode()).digest()
    template = page_environment(folder).get_template("page.html.j2")
    return template.render(
        css=Markup(css), css_hash=base64.b64encode(digest).decode("ascii"), **contents
    )


def style_sheet(folder: str) -> str:
    """Styles of the report, of pages without a script, and of a folder of ``report``."""
    root = files("fewshot.report")
    names = (*STYLES, f"{folder}/page.css")
    return "\n" + "\n".join(root.joinpath(name).read_text(encoding="utf-8") for name in names)


def write_page(text: str, target: Path, argument: str = "--page") -> None:
    """Write a page to a file, whole or not at all; folders above it are made.

    Raises
    ------
    FewshotError
        The file cannot be written.
    """
    try:
        with writing(argument, target), atomic_path(target) as partial:
            partial.write_text(text, encoding="utf-8", errors="backslashreplace")
    except OSError as error:  # no folder can be made there
        raise path_error(error, argument, target) or error from None
