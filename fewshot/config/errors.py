"""What is wrong with the settings: Hydra's errors in the house form, and what Hydra lets pass."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from functools import cache
from typing import Any

from hydra.errors import MissingConfigException

from fewshot.exceptions import (
    FewshotError,
    UnknownNameError,
    expect,
    install_command,
    suggestion,
)
from fewshot.paths import options, read_yaml, resource_dir

GROUPS = ("dataset", "backbone", "episodes", "head", "estimator", "logger")
REMEDY = "See fewshot --cfg job."


def in_house_form(error: Exception) -> FewshotError:
    """An error of Hydra or OmegaConf as one of ours."""
    if isinstance(error, MissingConfigException):
        return _missing(error)
    key = re.match(r"Could not override '([^']+)'", str(error))
    if key and not key[1].startswith("hydra."):
        return _mistyped(key[1])
    return FewshotError("settings", _one_line(error), REMEDY)


def _missing(error: MissingConfigException) -> FewshotError:
    """An option that a config group does not have."""
    group, _, option = (error.missing_cfg_file or "").rpartition("/")
    if group in ("launcher", "hydra/launcher"):
        return missing_launcher(group, option, list(error.options or ()))
    known = list(error.options or (options(group) if group in (*GROUPS, "sweep", "tune") else ()))
    if not known:
        return FewshotError("settings", _one_line(error), REMEDY)
    return UnknownNameError(group, option, known)


def _mistyped(key: str) -> FewshotError:
    """A setting that does not exist, or that another option of its group has."""
    known = dict(_settings())
    having = known.get(key)
    if having:
        group = key.partition(".")[0]
        owners = [f"{group}={option}" for option in _general_first(group, having)]
        named = ", ".join(owners[:3]) + (f" and {len(owners) - 3} more" if len(owners) > 3 else "")
        return FewshotError(key, f"it is a setting of {named} only", f"Add {owners[0]}.")
    return FewshotError(key, "there is no such setting", f"{suggestion(key, known)} {REMEDY}")


def _general_first(group: str, names: list[str]) -> list[str]:
    """Options for data and networks of one's own before those with a name."""
    known = options(group)
    own = {name: known[name].get("name") is None for name in names}
    wild = {name: known[name].get("kind") == name for name in names}
    return sorted(names, key=lambda name: (not own[name], not wild[name], name))


def _settings() -> Iterator[tuple[str, list[str]]]:
    """Every setting there is, and the options of its group that have it."""
    everywhere = read_yaml(resource_dir("conf") / "config.yaml")
    yield from ((key, []) for key in _flat(everywhere) if not key.startswith(("defaults", "hydra")))
    for group in GROUPS:
        having: dict[str, list[str]] = {}
        for name, content in options(group).items():
            for key in _flat(content, f"{group}."):
                having.setdefault(key, []).append(name)
        yield from having.items()


def _flat(tree: Mapping[str, Any], prefix: str = "") -> Iterator[str]:
    for key, value in tree.items():
        if isinstance(value, dict) and value:
            yield from _flat(value, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}"


def check_sections(settings: Any) -> None:
    """Raise unless the settings have the shape of ``conf/config.yaml``.

    Hydra lets ``episodes.count`` be deleted, ``features`` be a number and ``+foo`` be added.
    """
    sections, samplers = _expected()
    expected, episodes = dict(sections), settings.get("episodes")
    sampler = episodes.get("sampler") if isinstance(episodes, dict) else None
    expected["episodes"] = samplers.get(str(sampler), samplers["balanced"])
    _check_keys("settings", settings, {*expected, *GROUPS})
    for key, value in expected.items():
        if isinstance(value, dict) and value:  # what a logger is told is its own affair
            _check_keys(key, settings[key], value)
    for group in GROUPS:
        given = settings[group]
        expect(isinstance(given, dict), group, f"expected settings by name, got {given!r}", REMEDY)
    for group in ("dataset", "backbone"):
        expect("kind" in settings[group], group, "expected a 'kind', got none", REMEDY)


@cache  # for every job of a sweep
def _expected() -> tuple[dict[str, Any], dict[str, dict[str, Any]]]:
    """Sections of ``conf/config.yaml``, and the settings of every sampler."""
    whole = read_yaml(resource_dir("conf") / "config.yaml")
    sections = {key: value for key, value in whole.items() if key not in ("defaults", "hydra")}
    return sections, options("episodes")


def _check_keys(argument: str, given: Any, expected: Mapping[str, Any] | set[str]) -> None:
    expect(isinstance(given, dict), argument, f"expected settings by name, got {given!r}", REMEDY)
    for key in sorted(given.keys() - set(expected)):
        raise FewshotError(argument, f"there is no setting {key!r}", suggestion(key, expected))
    for key in sorted(set(expected) - given.keys()):
        raise FewshotError(argument, f"expected a setting {key!r}, got none", REMEDY)


def _one_line(error: Exception) -> str:
    parts = [str(error)]
    if error.__cause__ is not None and str(error.__cause__) not in parts[0]:
        parts.append(str(error.__cause__))
    lines = [line.strip() for part in parts for line in part.splitlines()]
    noise = re.compile(r"^(See https?:|full_key:|object_type=|reference_type=|\^+$|$)")
    return " ".join(line for line in lines if not noise.match(line))


# Options of hydra/launcher that packages bring, and the extra of fewshot that has the package.
EXTRAS = {
    "joblib": "joblib",
    "submitit_local": "submitit",
    "submitit_slurm": "submitit",
    "ray": "ray",
}


def missing_launcher(group: str, name: str, known: list[str]) -> FewshotError:
    """What to say of ``launcher=<name>`` or ``hydra/launcher=<name>`` that Hydra has not."""
    if group == "hydra/launcher" and name in EXTRAS:
        problem = f"{name} needs the package hydra-{EXTRAS[name]}-launcher, which is not installed"
        remedy = f"Run: {install_command(EXTRAS[name])}."
        return FewshotError("launcher", problem, remedy)
    ours = [path.stem for path in (resource_dir("conf") / "launcher").glob("*.yaml")]
    there = ours if group == "launcher" else [*known, *EXTRAS]
    return UnknownNameError(group, name, sorted(set(there)))
