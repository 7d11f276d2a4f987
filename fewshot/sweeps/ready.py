"""The sweeps of ``conf/sweep``, with the descriptions in their head comments."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from fewshot.paths import resource_dir

COMMAND = "fewshot -m sweep="
DURATION = "Duration: "


def ready_sweeps() -> dict[str, dict[str, Any]]:
    """Return summary, duration, commands and notes of every ready sweep."""
    folder = resource_dir("conf") / "sweep"
    return {path.stem: read_head(path) for path in sorted(folder.glob("*.yaml"))}


def read_head(path: Path) -> dict[str, Any]:
    """Parse the comment at the top of a sweep.

    It has a description, then indented commands with remarks between them, and last a line that
    begins with "Duration:".
    """
    summary: list[str] = []
    notes: list[str] = []
    commands: list[str] = []
    duration: list[str] = []
    for line in path.read_text(encoding="utf-8").splitlines()[1:]:  # the first names the package
        if not line.startswith("#"):
            break
        text = line.removeprefix("#").strip()
        if text.startswith(COMMAND):
            commands.append(text)
        elif duration or text.startswith(DURATION):
            duration.append(text.removeprefix(DURATION))
        else:
            (notes if commands else summary).append(text)
    what, how_long = " ".join(summary), " ".join(duration)
    return {
        "summary": f"{what.partition(': ')[0].rstrip('.')}; {_first(how_long)}",
        "what": what,
        "duration": how_long,
        "commands": commands,
        "notes": " ".join(notes),
    }


def _first(text: str) -> str:
    """Return the text before the first semicolon or the end of the first sentence."""
    return text.partition(";")[0].partition(". ")[0].rstrip(".")
