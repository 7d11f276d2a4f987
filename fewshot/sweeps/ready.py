"""The sweeps of ``conf/sweep``, with what their heads say of them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from fewshot.paths import resource_dir

COMMAND = "fewshot -m sweep="
DURATION = "Duration: "


def ready_sweeps() -> dict[str, dict[str, Any]]:
    """Summary, duration, commands and notes of every ready sweep."""
    folder = resource_dir("conf") / "sweep"
    return {path.stem: read_head(path) for path in sorted(folder.glob("*.yaml"))}


def read_head(path: Path) -> dict[str, Any]:
    """What the comment at the top of a sweep says.

    First what it is, then commands, indented, with remarks between them, and last a line that
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
    """The first sentence, or what stands before a semicolon."""
    return text.partition(";")[0].partition(". ")[0].rstrip(".")
