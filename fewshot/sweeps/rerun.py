"""Command lines that run one job of a sweep again, or one cell of it."""

from __future__ import annotations

import re
import shlex
from collections.abc import Mapping, Sequence
from typing import Any

from fewshot.paths import resource_dir

# Hydra's own options that say where settings come from; the next word belongs to them.
OF_PLACES = ("--config-dir", "-cd", "--config-name", "-cn", "--config-path", "-cp")


def arguments_of(overrides: Sequence[str]) -> list[str]:
    """What a single run is given for one job of a multirun."""
    return [one for one in overrides if key_of(one) not in ("launcher", "tune")]


def arguments_of_cell(
    overrides: Sequence[str], settings: Mapping[str, Any], cell: Mapping[str, Any]
) -> list[str]:
    """The same for one cell, which has a head and a number of shots.

    Parameters
    ----------
    overrides : sequence of str
        Of the job.
    settings : mapping
        The whole configuration of the job.
    cell : mapping
        With ``head`` and ``shots``, as in ``failed`` of ``summary.json``.
    """
    arguments = arguments_of(overrides)
    head, shots = str(cell["head"]), cell["shots"]
    others = [name for name in settings["head"] if name != head]
    if others and (resource_dir("conf") / "head" / f"{head}.yaml").is_file():
        gone = ("head", *(f"head.{name}" for name in others))
        arguments = [one for one in arguments if not _of(key_of(one), gone)]
        arguments.append(f"head={head}")
    if isinstance(settings["episodes"].get("shots"), list) and not settings["episodes"]["path"]:
        arguments = [one for one in arguments if key_of(one) != "episodes.shots"]
        arguments.append(f"episodes.shots={shots}")
    return arguments


def _of(key: str, names: Sequence[str]) -> bool:
    """Whether a setting is one of `names`, where ``head`` itself is not ``head.lda``."""
    return any(key == name or (key.startswith(f"{name}.") and "." in name) for name in names)


def key_of(override: str) -> str:
    """``head.lda.shrinkage`` of ``+head.lda.shrinkage=2``."""
    found = re.match(r"[+~]*([^=@]*)", override)
    return found[1] if found else ""


def shell_line(arguments: Sequence[str], typed: Sequence[str] = (), multirun: bool = False) -> str:
    """A line for the shell; of what was `typed` the options that say where settings come from."""
    places = [
        word
        for before, word in zip(["", *typed], typed, strict=False)
        if word.partition("=")[0] in OF_PLACES or before in OF_PLACES
    ]
    return shlex.join(["fewshot", *(["-m"] if multirun else []), *places, *arguments])
