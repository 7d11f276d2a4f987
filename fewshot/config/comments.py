"""Comments of a configuration: above each setting of its YAML, what it means."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import yaml

from fewshot.config.explanations import Explanation
from fewshot.config.nodes import (
    GROUPS,
    KINDS,
    kind_explanations,
    option_explanations,
    section_explanations,
)
from fewshot.paths import read_yaml

WIDTH = 100


LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)  # libyaml's, ten times as fast


class Setting(NamedTuple):
    """A setting within a YAML text: its dotted key, and where its name stands.

    Attributes
    ----------
    key : str
    line, column : int
        From 0.
    is_section : bool
        Whether it has settings of its own.
    """

    key: str
    line: int
    column: int
    is_section: bool


def settings_in(text: str, prefix: str = "") -> list[Setting]:
    """Return the settings of a YAML text in order; settings within lists are left out."""
    root = yaml.compose(text, LOADER)
    return list(_settings(root, prefix)) if isinstance(root, yaml.MappingNode) else []


def _settings(node: yaml.MappingNode, prefix: str) -> Iterator[Setting]:
    for name, value in node.value:
        key = f"{prefix}{name.value}"
        nested = isinstance(value, yaml.MappingNode) and bool(value.value)
        yield Setting(key, name.start_mark.line, name.start_mark.column, nested)
        if nested:
            yield from _settings(value, f"{key}.")


def with_comments(text: str, comments: Mapping[str, Sequence[str]], prefix: str = "") -> str:
    """Insert comments above the settings of a YAML text in block style, as Hydra prints it.

    Parameters
    ----------
    text : str
    comments : mapping of str to list of str
        Lines by key, without the number sign; wrapped if they are too long.
    prefix : str
        What the keys of `comments` have before those of the text, as ``head.``.
    """
    above: dict[int, str] = {}
    apart = False  # whether a blank line goes above the next setting that is in no section
    for setting in settings_in(text, prefix):
        above[setting.line] = _lines(comments.get(setting.key, ()), setting.column)
        if not setting.column:
            if len(above) > 1 and (apart or setting.is_section):
                above[setting.line] = "\n" + above[setting.line]
            apart = setting.is_section
    lines = text.splitlines(keepends=True)
    return "".join(above.get(number, "") + line for number, line in enumerate(lines))


def _lines(comment: Sequence[str], column: int) -> str:
    """Format a comment; its lines are kept, unless one is too long."""
    margin = " " * column + "# "
    if any(len(margin) + len(line) > WIDTH for line in comment):
        comment = textwrap.wrap(" ".join(comment), WIDTH - len(margin))
    return "".join(f"{margin}{line}".rstrip() + "\n" for line in comment)


def comments_of(configuration: Mapping[str, Any]) -> dict[str, list[str]]:
    """Return the comments of a composed configuration by key.

    Comments in YAML files have precedence over the documentation of what they set.

    Parameters
    ----------
    configuration : mapping
        What ``fewshot --cfg all`` prints: with the section ``hydra``, which names the files.
    """
    explained = section_explanations()
    for group in (*GROUPS, "logger"):
        chosen = configuration.get(group)
        explained |= option_explanations(group, chosen if isinstance(chosen, Mapping) else {})
    written = dict(_written(configuration))
    for group in KINDS:
        explained |= _explained_by_kind(group, configuration.get(group), written)
    return {key: [words.comment()] for key, words in explained.items()} | written


def _explained_by_kind(
    group: str, settings: Any, written: Mapping[str, Any]
) -> dict[str, Explanation]:
    """Return explanations of settings without a comment; the loader is imported for those only."""
    if not isinstance(settings, Mapping) or all(f"{group}.{key}" in written for key in settings):
        return {}
    return kind_explanations(group, str(settings.get("kind")))


def _written(configuration: Mapping[str, Any]) -> Iterator[tuple[str, list[str]]]:
    """Yield the comments of all YAML files that a configuration was composed from.

    Later ones have precedence: those of a sweep over those of a data set.
    """
    hydra = configuration["hydra"]
    sources = [
        Path(source["path"])
        for source in hydra["runtime"]["config_sources"]
        if source["schema"] == "file" and source["path"]
    ]
    yield from _of_config(sources, "", str(hydra["job"]["config_name"]))
    for group in (*GROUPS, "logger"):  # several options, each a section of its name
        for name in configuration.get(group) or ():
            yield from _of_config(sources, group, str(name))
    for group, name in reversed(hydra["runtime"]["choices"].items()):  # the last choice is first
        if isinstance(name, str):
            yield from _of_config(sources, group.partition("@")[0], name)


def _of_config(sources: list[Path], group: str, name: str) -> Iterator[tuple[str, list[str]]]:
    """Yield the comments of one file, after those of the files that it is based on."""
    files = (source / group / f"{name.removesuffix('.yaml')}.yaml" for source in sources)
    file = next((file for file in files if file.is_file()), None)
    if file is None:
        return
    for base in read_yaml(file).get("defaults") or ():
        if isinstance(base, str) and base != "_self_":
            home = "" if base.startswith("/") else group
            yield from _of_config(sources, home, base.lstrip("/"))
    yield from file_comments(file.read_text(encoding="utf-8"), group.replace("/", ".")).items()


def file_comments(text: str, package: str = "") -> dict[str, list[str]]:
    """Return the comment lines above, or behind, the settings of a YAML file, by key.

    Parameters
    ----------
    text : str
    package : str
        Where Hydra puts the settings, unless the file's first line says ``# @package``.
    """
    lines = [line.strip() for line in text.splitlines()]
    for line in lines[:1]:
        if line.startswith("# @package "):
            package = line.split()[2].replace("_global_", "")
    comments = {}
    for setting in settings_in(text, f"{package}." if package else ""):
        above = setting.line
        while above and lines[above - 1].startswith("#"):
            above -= 1
        words = [line.lstrip("#").strip() for line in lines[above : setting.line]]
        words = [line for line in words if not line.startswith("@package ")]
        _, mark, behind = lines[setting.line].partition(" # ")
        if words or mark:
            comments[setting.key] = words + ([behind.strip()] if mark else [])
    return comments
