"""Command lines that run one job of a sweep again, or one cell of it."""

from __future__ import annotations

import re
import shlex
from collections.abc import Mapping, Sequence
from typing import Any

from fewshot.tasks import task_named

# Hydra's options for the source of settings, each with a value as the next word.
CONFIG_OPTIONS = ("--config-dir", "-cd", "--config-name", "-cn", "--config-path", "-cp")


def job_arguments(overrides: Sequence[str]) -> list[str]:
    """Return the arguments of a single run that repeats a job of a multirun."""
    return [override for override in overrides if key_of(override) not in ("launcher", "tune")]


def cell_arguments(
    overrides: Sequence[str], settings: Mapping[str, Any], cell: Mapping[str, Any]
) -> list[str]:
    """Return the arguments of a single run that repeats one cell of a job.

    Parameters
    ----------
    overrides : sequence of str
        Of the job.
    settings : mapping
        The whole configuration of the job.
    cell : mapping
        With ``head``, ``ways``, ``shots`` and ``seed``, as in ``failed`` of ``summary.json``.
    """
    arguments = job_arguments(overrides)
    head, episodes = str(cell["head"]), settings["episodes"]
    others = [name for name in settings["head"] if name != head]
    if others and head in task_named(settings["task"]).registry("head"):
        removed = ("head", *(f"head.{name}" for name in others))
        arguments = [argument for argument in arguments if not _is_under(key_of(argument), removed)]
        arguments.append(f"head={head}")
    if isinstance(settings["seed"], list):
        arguments = [argument for argument in arguments if key_of(argument) != "seed"]
        arguments.append(f"seed={cell['seed']}")
    for name in ("ways", "shots"):
        several = isinstance(value := episodes.get(name), list) or value == "auto"
        if several and not episodes["path"]:
            key = f"episodes.{name}"
            arguments = [argument for argument in arguments if key_of(argument) != key]
            arguments.append(f"{key}={cell[name]}")
    return arguments


def _is_under(key: str, names: Sequence[str]) -> bool:
    """Whether a setting is one of `names` or below a dotted one; ``head.lda`` is not ``head``."""
    return any(key == name or (key.startswith(f"{name}.") and "." in name) for name in names)


def key_of(override: str) -> str:
    """Return the key of an override: ``head.lda.shrinkage`` of ``+head.lda.shrinkage=2``."""
    match = re.match(r"[+~]*([^=@]*)", override)
    return match[1] if match else ""


def shell_line(arguments: Sequence[str], typed: Sequence[str] = (), multirun: bool = False) -> str:
    """Return a command line for the shell, with the options of `typed` for the configuration."""
    places = [
        word
        for before, word in zip(["", *typed], typed, strict=False)
        if word.partition("=")[0] in CONFIG_OPTIONS or before in CONFIG_OPTIONS
    ]
    return shlex.join(["fewshot", *(["-m"] if multirun else []), *places, *arguments])
