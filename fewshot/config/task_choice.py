"""The task that a configuration is composed for: its registries and its defaults.

Names such as ``head=ridge`` mean what the registry of the task has by that name, so that the task
has to be known before anything is composed.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from pathlib import Path
from typing import Any

from hydra.core.override_parser.overrides_parser import OverridesParser

from fewshot.exceptions import FewshotError
from fewshot.paths import read_yaml, resource_dir
from fewshot.tasks import Task, task_named

SETTING = "task"
PRIMARY = "config"  # name of the configuration that all others are chosen from
# Groups whose files cannot choose a task: theirs are sections of their own.
SECTION_GROUPS = frozenset({"dataset", "backbone", "episodes", "head", "estimator", "logger"})
_name: ContextVar[str | None] = ContextVar("task", default=None)


def composed_name() -> str | None:
    """Name of the task that is composed for, or ``module:Class``; None for the default one."""
    return _name.get()


def composed_task() -> Task | None:
    """The task that is composed for; None for the default one, or one that there is not."""
    return _known(_name.get())


@contextmanager
def composing_for(name: str | None) -> Iterator[None]:
    """Compose for a task, by its name or ``module:Class``."""
    token = _name.set(name)
    try:
        yield
    finally:
        _name.reset(token)


@contextmanager
def composing(words: Sequence[str]) -> Iterator[None]:
    """Compose for the task that arguments of the command line choose.

    Raises
    ------
    FewshotError
        A sweep over tasks whose heads, estimators or defaults differ.
    """
    with composing_for(chosen_name(words)):
        yield


def chosen_name(words: Sequence[str]) -> str | None:
    """The task that arguments choose: ``task=NAME``, else a file that they name, as of a sweep.

    Raises
    ------
    FewshotError
        Several tasks whose heads, estimators or defaults differ.
    """
    names = _typed(words) or _in_files(words)
    tasks = [task for name in names if (task := _known(name)) is not None]
    for task in tasks[1:]:
        if _choices(task) != _choices(tasks[0]):
            raise FewshotError(
                SETTING,
                f"expected tasks with the same heads, estimators and defaults, got {tasks[0].name} "
                f"and {task.name}",
                "Run one after the other; `fewshot report` takes the runs of both.",
            )
    return names[0] if names else None


def _choices(task: Task) -> tuple[Any, ...]:
    return task.heads, task.estimators, dict(task.defaults)


def _known(name: str | None) -> Task | None:
    """The task of a name; None without one: the run says what is wrong with it."""
    try:
        return None if name is None else task_named(name)
    except FewshotError:
        return None


def _typed(words: Sequence[str]) -> list[str]:
    """Values of the last ``task=...``."""
    typed = [word for word in words if word.lstrip("+").startswith(f"{SETTING}=")]
    return _values(typed[-1].lstrip("+").partition("=")[2]) if typed else []


def _values(value: object) -> list[str]:
    """The values of a text that may be a sweep: ``a,b`` or ``choice(a,b)``."""
    try:
        override = OverridesParser.create().parse_override(f"{SETTING}={value}")
        if override.is_sweep_override():
            return [str(entry) for entry in override.sweep_string_iterator()]
        return [str(override.value())]
    except Exception:  # of Hydra, which says so itself when it composes
        return []


def _in_files(words: Sequence[str]) -> list[str]:
    """Tasks by the YAML files that arguments choose: those of ``sweep=NAME``, or of the user."""
    folders = [resource_dir("conf"), *_option(words, "--config-dir", "-cd")]
    for path in _option(words, "--config-name", "-cn"):
        if path.name.removesuffix(".yaml") != PRIMARY and (found := _in_file(folders, path)):
            return found
    for word in reversed(words):
        group, equals, name = word.lstrip("+").partition("=")
        plain = equals and group.replace("/", "").isidentifier() and group not in SECTION_GROUPS
        if plain and name and (found := _in_file(folders, Path(group) / name)):
            return found
    return []


def _option(words: Sequence[str], *names: str) -> list[Path]:
    """Values of an option of Hydra: ``--name=VALUE`` or ``--name VALUE``."""
    apart = [value for word, value in itertools.pairwise(words) if word in names]
    joined = [word.partition("=")[2] for word in words if word.partition("=")[0] in names]
    return [Path(value).expanduser() for value in [*apart, *joined] if value]


def _in_file(folders: Sequence[Path], name: Path) -> list[str]:
    """Tasks that the first file of a name sets, for one run or for a sweep."""
    for folder in folders:
        path = folder / f"{str(name).removesuffix('.yaml')}.yaml"
        try:
            content: Any = read_yaml(path) if path.is_file() else {}
        except Exception:  # Hydra reads it again, and says what is wrong
            continue
        values = [content.get(SETTING), _at(content, "hydra", "sweeper", "params", SETTING)]
        tasks = [task for value in values if value is not None for task in _values(value)]
        if tasks:
            return tasks
    return []


def _at(content: Any, *keys: str) -> Any:
    for key in keys:
        content = content.get(key) if isinstance(content, Mapping) else None
    return content


def with_defaults(content: dict[str, Any], task: Task) -> dict[str, Any]:
    """The content of ``conf/config.yaml`` with the choices and settings of a task.

    Parameters
    ----------
    content : dict
        With Hydra's list ``defaults``, whose entries choose options of groups.
    task : Task
    """
    chosen = dict(task.defaults)
    entries = []
    for entry in content["defaults"]:
        group = next(iter(entry)) if isinstance(entry, dict) else None
        entries.append({group: chosen.pop(group)} if group in chosen else entry)
    return _updated(content | {"defaults": entries}, chosen)


def _updated(content: dict[str, Any], settings: Mapping[str, Any]) -> dict[str, Any]:
    """`content` with settings by their dotted names."""
    for key, value in settings.items():
        place = content
        *parents, name = key.split(".")
        for parent in parents:
            place = place.setdefault(parent, {})
        place[name] = value
    return content
