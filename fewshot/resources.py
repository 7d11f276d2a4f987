"""Where the configuration and the data set cards are, in a clone and in an installed wheel."""

from __future__ import annotations

import fnmatch
from pathlib import Path
from typing import Any

import yaml

from fewshot.exceptions import UnknownNameError

PACKAGE = Path(__file__).resolve().parent


def resource_dir(name: str) -> Path:
    """The folder ``conf``, or ``cards``, ``confusers`` or ``templates`` of ``datasets``.

    A wheel carries them inside the package; a clone has them at its top.
    """
    packaged = PACKAGE / "_resources" / name
    return packaged if packaged.is_dir() else PACKAGE.parent / name


def options(group: str, pattern: str = "*") -> dict[str, dict[str, Any]]:
    """Content of every YAML file of a config group whose name matches a shell pattern."""
    folder = resource_dir("conf") / group
    names = sorted(path.stem for path in folder.glob("*.yaml"))
    return {name: read_yaml(folder / f"{name}.yaml") for name in fnmatch.filter(names, pattern)}


def option(group: str, name: str) -> dict[str, Any]:
    """One of the options of a group; an unknown name gets a suggestion."""
    known = options(group)
    if name not in known:
        raise UnknownNameError(group, name, known)
    return known[name]


def card(name: str) -> dict[str, Any]:
    """What is known of a data set: ``datasets/cards/<name>.yaml``, or nothing."""
    path = resource_dir("datasets/cards") / f"{name}.yaml"
    return read_yaml(path) if path.is_file() else {}


def read_yaml(path: Path) -> dict[str, Any]:
    """A YAML file as a dict, by the safe loader."""
    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)  # libyaml's, ten times as fast
    return yaml.load(path.read_text(encoding="utf-8"), loader) or {}
