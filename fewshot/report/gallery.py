"""Images sorted by the score of one class as a self-contained HTML page with a slider."""

from __future__ import annotations

import base64
import hashlib
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING, Any

from markupsafe import Markup

from fewshot.files import atomic_path, writing
from fewshot.report.payload.html import page_environment
from fewshot.report.payload.packing import json_text
from fewshot.report.payload.thumbnails import thumbnail
from fewshot.report.wording import plain
from fewshot.units import counted

if TYPE_CHECKING:
    from fewshot.tasks.one_class.decide import Verdict

PIXELS = 160
# Bytes of base64 for all thumbnails of a page: some thousand images; the rest has names alone.
BUDGET = 20_000_000


def write_gallery(verdict: Verdict, target: Path) -> None:
    """Write the page to a file.

    Raises
    ------
    FewshotError
        The file cannot be written.
    """
    text = gallery(verdict)
    with writing("--page", target), atomic_path(target) as partial:
        partial.write_text(text, encoding="utf-8", errors="backslashreplace")


def gallery(verdict: Verdict, budget: int = BUDGET) -> str:
    """The page, which makes no request and works from a file.

    Parameters
    ----------
    verdict : Verdict
    budget : int
        Bytes of all thumbnails at most; those of the highest scores come first.
    """
    script = (files("fewshot.report") / "page" / "gallery.js").read_text(encoding="utf-8")
    script = f'(() => {{\n"use strict";\n{script}\n}})();\n'
    shown = len(verdict.paths)
    template = page_environment().get_template("gallery.html.j2")
    return template.render(
        word=verdict.word,
        backbone=verdict.backbone,
        rule=verdict.rule.name,
        total=counted(verdict.total, "image"),
        shown=counted(shown, "image"),
        skipped=counted(len(verdict.skipped), "image") if verdict.skipped else "",
        data=Markup(json_text(_data(verdict, budget))),
        script=Markup(script),
        script_hash=base64.b64encode(hashlib.sha256(script.encode()).digest()).decode("ascii"),
    )


def _data(verdict: Verdict, budget: int) -> dict[str, Any]:
    images = []
    for row in verdict.rows():
        picture = _picture(Path(row["file"])) if budget > 0 else None
        budget -= len(picture or "")
        score = row["score"] if row["score"] == row["score"] else 0.0  # no decision, no score
        images.append({"file": plain(row["file"]), "score": score, "picture": picture})
    accepted = sum(row["yes"] for row in verdict.rows())
    return {"images": images, "accepted": accepted}


def _picture(path: Path) -> str | None:
    """Thumbnail of a file as a data URL; None if it is not there any more."""
    from fewshot.datasets.images import UnreadableImageError, read_image

    try:
        return thumbnail(read_image(path), PIXELS)
    except (UnreadableImageError, OSError):
        return None
