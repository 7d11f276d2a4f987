"""Errors of the settings: Hydra's errors as FewshotError, and checks that Hydra does not make."""

from __future__ import annotations

import re
import traceback
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Any

from hydra.errors import MissingConfigException

from fewshot.config.nodes import GROUPS as REGISTRIES
from fewshot.config.nodes import OPEN_GROUPS, options_of, registry_of, sections
from fewshot.config.suggestions import as_dataset
from fewshot.config.task_choice import composed_name
from fewshot.exceptions import (
    FewshotError,
    UnknownNameError,
    expect,
    install_command,
    suggestion,
)
from fewshot.paths import read_yaml, resource_dir
from fewshot.tasks import task_named, tasks

GROUPS = ("dataset", "backbone", "episodes", "head", "estimator", "logger")
REMEDY = "See fewshot --cfg job."
# Settings that were there once, and why not any more.
REMOVED = {"llm.backoff": "this setting was removed: the package openai spaces its retries itself"}


def in_house_form(error: Exception) -> FewshotError:
    """Convert an error of Hydra or OmegaConf to a FewshotError."""
    if isinstance(error, MissingConfigException):
        return _unknown_option(error)
    key = re.match(r"Could not override '([^']+)'", str(error))
    if key and not key[1].startswith("hydra."):
        return _unknown_setting(key[1])
    return FewshotError("settings", _single_line(error), REMEDY)


# Packages that read and compose settings, and choose them in a search.
READERS = frozenset({"antlr4", "hydra", "hydra_plugins", "omegaconf", "optuna", "sqlalchemy"})


def is_of_settings(error: BaseException) -> bool:
    """Whether an error was raised by a package that reads settings, before any job began.

    They have checks of their own, which raise errors of any type.
    """
    modules, trace = list[str](), error.__traceback__
    while trace is not None:
        modules.append(str(trace.tb_frame.f_globals.get("__name__")))
        trace = trace.tb_next
    jobs = ("fewshot.evaluation", "fewshot.sweeps.job")
    return (
        bool(modules)
        and modules[-1].partition(".")[0] in READERS
        and not any(module.startswith(jobs) for module in modules)
    )


def _unknown_option(error: MissingConfigException) -> FewshotError:
    """Return the error for an option that a config group does not have."""
    group, _, option = (error.missing_cfg_file or "").rpartition("/")
    if group in ("launcher", "hydra/launcher"):
        return missing_launcher(group, option, list(error.options or ()))
    if group in OPEN_GROUPS:
        try:
            registry_of(group)[option]
        except UnknownNameError:
            pass
        except FewshotError as several:  # packages that bring the same name
            return several
        if (own := composed_name()) is not None:
            try:
                task_named(own)
            except FewshotError as unknown:  # its names are those of no task
                return unknown
        if (task := task_with(group, option)) is not None:
            here = f"fewshot list {group}s" + (f" --task {own}" if own else "")
            return FewshotError(
                group,
                f"{option!r} is a name of task={task} only",
                f"Add task={task}, or take one of {here}.",
            )
    available = list(
        error.options or (options_of(group) if group in (*GROUPS, "sweep", "tune") else ())
    )
    if not available:
        return FewshotError("settings", _single_line(error), REMEDY)
    return unknown_option(group, option, available)


def task_with(group: str, name: str) -> str | None:
    """The task whose registry has a head or an estimator of this name; None without one.

    Tasks of other packages are not imported for that.
    """
    if group not in REGISTRIES:
        return None
    own = (task_named(known) for known in tasks.registered() if tasks[known].package is None)
    return next((task.name for task in own if name in task.registry(group)), None)


def _unknown_setting(key: str) -> FewshotError:
    """Return the error for an unknown setting, or one that only other options of a group have."""
    if key in REMOVED:
        return FewshotError(key, REMOVED[key], "Leave it out; llm.retries is their number.")
    settings = dict(_settings())
    names = settings.get(key)
    if names:
        group = key.partition(".")[0]
        owners = [f"{group}={option}" for option in _generic_first(group, names)]
        named = ", ".join(owners[:3]) + (f" and {len(owners) - 3} more" if len(owners) > 3 else "")
        return FewshotError(key, f"it is a setting of {named} only", f"Add {owners[0]}.")
    return FewshotError(key, "there is no such setting", f"{suggestion(key, settings)} {REMEDY}")


def expect_setting(key: str, value: str) -> None:
    """Raise unless there is a setting of this name, or a group with an option of this name."""
    if key in GROUPS:
        options = options_of(key)
        if value not in options and value[0] not in "[{":
            raise unknown_option(key, value, list(options))
    elif key not in dict(_settings()):
        raise _unknown_setting(key)


def unknown_option(group: str, name: str, available: list[str]) -> FewshotError:
    """Return the error for ``GROUP=NAME`` without such an option; a path may be what was meant."""
    error = UnknownNameError(group, name, available)
    if group != "dataset" or not Path(name).expanduser().exists():
        return error
    return FewshotError(group, error.problem, f"For what is at that path: {as_dataset(name)}.")


def _generic_first(group: str, names: list[str]) -> list[str]:
    """Sort options of a group: those for any data set or network before those of a named one."""
    contents = options_of(group)
    unnamed = {name: contents[name].get("name") is None for name in names}
    generic = {name: contents[name].get("kind") == name for name in names}
    return sorted(names, key=lambda name: (not unnamed[name], not generic[name], name))


def _settings() -> Iterator[tuple[str, list[str]]]:
    """Yield every setting and the options of its group that have it."""
    yield from ((key, []) for key in _flat_keys(_common()))
    for group in GROUPS:
        holders: dict[str, list[str]] = {}
        for name, content in options_of(group).items():
            for key in _flat_keys(content, f"{group}."):
                holders.setdefault(key, []).append(name)
        yield from holders.items()


def _flat_keys(tree: Mapping[str, Any], prefix: str = "") -> Iterator[str]:
    for key, value in tree.items():
        if isinstance(value, dict) and value:
            yield from _flat_keys(value, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}"


def check_sections(settings: Any) -> None:
    """Raise unless the settings have the shape of ``conf/config.yaml``.

    Hydra lets ``episodes.count`` be deleted, ``features`` be a number and ``+foo`` be added.
    """
    common, samplers = _expected()
    expected = dict(common)
    expected["episodes"] = _episodes_expected(settings.get("episodes"), samplers)
    _check_keys("settings", settings, {*expected, *GROUPS})
    for key, value in expected.items():
        if isinstance(value, dict) and value:  # loggers check their settings themselves
            _check_keys(key, settings[key], value)
    for group in GROUPS:
        section = settings[group]
        expect(
            isinstance(section, dict), group, f"expected settings by name, got {section!r}", REMEDY
        )
    for group in ("dataset", "backbone"):
        expect("kind" in settings[group], group, "expected a 'kind', got none", REMEDY)


def _episodes_expected(episodes: Any, samplers: Mapping[str, dict[str, Any]]) -> Mapping[str, Any]:
    """Settings of the sampler; of an unknown one, which tasks name, those of one that is alike.

    Raises
    ------
    FewshotError
        A sampler with all the settings of another: ``episodes.sampler`` alone was set.
    """
    if not isinstance(episodes, dict):
        return samplers["balanced"]
    name = str(episodes.get("sampler"))
    alike = [other for other, options in samplers.items() if options.keys() == episodes.keys()]
    if name not in samplers:
        return samplers[alike[0] if alike else "balanced"]
    expect(
        not alike or name in alike,
        "episodes.sampler",
        f"got {name!r} with the settings of {' or '.join(alike)}",
        f"Set episodes={name}, which brings its own.",
    )
    return samplers[name]


@cache  # called for every job of a sweep
def _expected() -> tuple[dict[str, Any], dict[str, dict[str, Any]]]:
    """Return the settings outside the groups, and the settings of every sampler."""
    return _common(), options_of("episodes")


def _common() -> dict[str, Any]:
    """Return the settings of ``conf/config.yaml`` and the sections that are made from Python."""
    whole = read_yaml(resource_dir("conf") / "config.yaml") | sections()
    return {key: value for key, value in whole.items() if key not in ("defaults", "hydra")}


def _check_keys(argument: str, settings: Any, expected: Mapping[str, Any] | set[str]) -> None:
    expect(
        isinstance(settings, dict), argument, f"expected settings by name, got {settings!r}", REMEDY
    )
    for key in sorted(settings.keys() - set(expected)):
        raise FewshotError(argument, f"there is no setting {key!r}", suggestion(key, expected))
    for key in sorted(set(expected) - settings.keys()):
        if key in ("head", "estimator"):  # an empty list, as Hydra then leaves the section out
            raise FewshotError(
                key, "expected at least one name, got none", f"See fewshot list {key}s."
            )
        raise FewshotError(argument, f"expected a setting {key!r}, got none", REMEDY)


def _single_line(error: Exception) -> str:
    parts = [str(error) or _failed_line(error)]
    if error.__cause__ is not None and str(error.__cause__) not in parts[0]:
        parts.append(str(error.__cause__))
    lines = [line.strip() for part in parts for line in part.splitlines()]
    noise = re.compile(r"^(See https?:|full_key:|object_type=|reference_type=|\^+$|$)")
    return " ".join(line for line in lines if not noise.match(line))


def _failed_line(error: Exception) -> str:
    """The line of source that failed, for an assertion without words."""
    lines = traceback.extract_tb(error.__traceback__)
    return f"{type(error).__name__}: {lines[-1].line}" if lines else type(error).__name__


# Options of hydra/launcher that other packages provide, and the extra that installs each.
EXTRAS = {
    "joblib": "joblib",
    "submitit_local": "submitit",
    "submitit_slurm": "submitit",
    "ray": "ray",
}


def missing_launcher(group: str, name: str, installed: list[str]) -> FewshotError:
    """Return the error for an unknown ``launcher=<name>`` or ``hydra/launcher=<name>``."""
    if group == "hydra/launcher" and name in EXTRAS:
        problem = f"{name} needs the package hydra-{EXTRAS[name]}-launcher, which is not installed"
        remedy = f"Run: {install_command(EXTRAS[name])}."
        return FewshotError("launcher", problem, remedy)
    configured = [path.stem for path in (resource_dir("conf") / "launcher").glob("*.yaml")]
    candidates = configured if group == "launcher" else [*installed, *EXTRAS]
    return UnknownNameError(group, name, sorted(set(candidates)))
