"""Pages of all settings: name, default, allowed values and meaning, from where they are defined.

Those made from Python (heads, estimators, sections) come from constructors and dataclasses, the
others from the YAML files of ``conf/`` and the comments in them.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from fewshot.cli.listing import KINDS as LISTS
from fewshot.config.comments import file_comments
from fewshot.config.explanations import Explanation, explanations
from fewshot.config.nodes import KINDS, all_sections, parameters_of
from fewshot.datasets import PLUGGED, MaskSettings
from fewshot.paths import option_names, options, read_yaml, resource_dir
from fewshot.registry import Registry
from fewshot.tasks import known_tasks
from site_builder.rst import contents, escaped, heading, literal, table

HOME = "reference/settings"
SILENT = Explanation("", "")
MISSING = object()  # no default: what loads it has one, or none
UNSET = "???"  # Hydra's word for a setting that has to be set
# Parts of conf/config.yaml that are choices of groups, or Hydra's.
NOT_GENERAL = ("defaults", "hydra", "logger")
SURROUNDINGS = ("cache", "data", "folders")  # parameters of loaders that are no settings


@dataclass
class Setting:
    """A setting: what it means, and its default by the options that have it.

    Attributes
    ----------
    key : str
        With dots: ``episodes.ways``.
    meanings, values, defaults : dict
        From what it means, which values are allowed, and the default, as they are shown, to the
        names of the options where it is so.
    """

    key: str
    meanings: dict[str, list[str]] = field(default_factory=dict)
    values: dict[str, list[str]] = field(default_factory=dict)
    defaults: dict[str, list[str]] = field(default_factory=dict)

    def add(self, option: str, default: Any, words: Explanation) -> None:
        """Note the default and the meaning that an option of the group gives it."""
        if meaning := Explanation("", words.text).comment():
            self.meanings.setdefault(escaped(meaning), []).append(option)
        if allowed := Explanation(words.type, "").comment().removesuffix("."):
            self.values.setdefault(escaped(allowed), []).append(option)
        if default is not MISSING:
            written = "none, it has to be set" if default == UNSET else literal(default)
            self.defaults.setdefault(written, []).append(option)

    def rst(self) -> str:
        """The entry, with a permalink of its key: ``#episodes-ways``."""
        lines = [f".. setting:: {self.key}", ""]
        for meaning, names in self.meanings.items():
            before = f"{_names(names)}: " if len(self.meanings) > 1 else ""
            lines += [f"   {before}{meaning}", ""]
        if self.values:
            lines.append(f"   :Allowed: {_by_option(self.values)}")
        if self.defaults:
            lines.append(f"   :Default: {_by_option(self.defaults)}")
        return "\n".join([*lines, ""])


def _by_option(values: dict[str, list[str]]) -> str:
    """Values, with the options where they hold in brackets unless there is one value only."""
    if len(values) == 1:
        return next(iter(values))
    return "; ".join(f"{value} ({_names(names)})" for value, names in values.items())


def _names(names: list[str]) -> str:
    return ", ".join(f"``{name}``" for name in names)


class Settings(dict[str, Setting]):
    """Settings of a page by key."""

    def note(self, key: str, option: str, default: Any, words: Explanation = SILENT) -> None:
        """Note what an option says of a setting."""
        self.setdefault(key, Setting(key)).add(option, default, words)

    def rst(self) -> str:
        """All entries, in the order of their definition."""
        return "\n".join(setting.rst() for setting in self.values())


@dataclass(frozen=True)
class Page:
    """A page of settings.

    Attributes
    ----------
    name, title, about : str
    parts : mapping of str to (str, Settings)
        By heading, "" for none: what it is, and the settings.
    """

    name: str
    title: str
    about: str
    parts: Mapping[str, tuple[str, Settings]]

    def rst(self) -> str:
        """The page."""
        text = [heading(self.title), f"{self.about}\n"]
        for title, (about, settings) in self.parts.items():
            if title:
                text += [f".. _{part_label(self.name, title)}:\n", heading(title, "-")]
            if about:
                text.append(f"{about}\n")
            text.append(settings.rst() if settings else "It has no settings.\n")
        return "\n".join(text)

    @property
    def keys(self) -> list[str]:
        """Keys of all settings on the page."""
        return [key for _, settings in self.parts.values() for key in settings]


def part_label(page: str, part: str) -> str:
    """Label of a part of a page, for references."""
    return f"settings-{page}-{part}".lower().replace("=", "-").replace(" ", "-")


def pages() -> list[Page]:
    """All pages of settings."""
    return [
        _general(),
        _of_kinds("dataset", "Data sets", "datasets"),
        _of_kinds("backbone", "Backbones", "backbones"),
        _episodes(),
        *_registered("head", "Heads"),
        *_registered("estimator", "Estimators"),
        *_sections(),
        _launching(),
    ]


def sources() -> dict[str, str]:
    """Sources of the pages by path, the list of them included."""
    made = pages()
    rows = [
        (f":doc:`{page.title} <{page.name}>`", page.about.partition("\n\n")[0]) for page in made
    ]
    index = (
        heading("Settings")
        + "\nOn the command line, in a YAML file and in a sweep: ``fewshot episodes.ways=3``. "
        + "``fewshot --cfg job`` prints all of a run with their values. "
        + "The search finds settings by their names.\n\n"
        + table(("section", "what it is"), rows)
        + "\n"
        + contents(page.name for page in made)
    )
    return {f"{HOME}/index.rst": index} | {f"{HOME}/{page.name}.rst": page.rst() for page in made}


def _general() -> Page:
    """The settings that stand in ``conf/config.yaml`` itself."""
    path = resource_dir("conf") / "config.yaml"
    comments = file_comments(path.read_text(encoding="utf-8"))
    settings = Settings()
    content = {key: value for key, value in read_yaml(path).items() if key not in NOT_GENERAL}
    for key, value in _flat(content):
        settings.note(key, "", value, _written(comments, key))
    return Page(
        "general", "General", "Task, seed, device, paths and results.", {"": ("", settings)}
    )


def _flat(content: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    for name, value in content.items():
        if isinstance(value, Mapping) and value:
            yield from _flat(value, f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}", value


def _of_kinds(group: str, title: str, listed: str) -> Page:
    """Settings of data sets or backbones: those of all kinds, then those of each kind."""
    common, kinds = KINDS[group]
    shared = explanations(common) | (explanations(MaskSettings) if group == "dataset" else {})
    everywhere = Settings()
    for name, words in shared.items():
        default = PLUGGED.get(name, MISSING) if group == "dataset" else MISSING
        everywhere.note(f"{group}.{name}", "", default, words)
    settings = Settings()
    for kind in kinds:
        if kinds[kind].package is not None:
            continue
        parameters = parameters_of(kinds[kind])
        names = {**parameters.explanations, **parameters.defaults}
        for name in names:
            if name not in shared and name not in SURROUNDINGS:
                default = parameters.defaults.get(name, MISSING)
                words = parameters.explanations.get(name, SILENT)
                settings.note(f"{group}.{name}", kind, default, words)
    for option, content in options(group).items():  # what only a YAML file has or says
        path = resource_dir("conf") / group / f"{option}.yaml"
        comments = file_comments(path.read_text(encoding="utf-8"), group)
        for name in content:
            key = f"{group}.{name}"
            known = everywhere.get(key) or settings.get(key)
            if name not in ("defaults", *SURROUNDINGS) and not (known and known.meanings):
                settings.note(key, option, MISSING, _written(comments, key))
    about = (
        f"``{group}=NAME`` chooses one of those that ``fewshot list {listed}`` prints; "
        f"``{group}.SETTING=VALUE`` changes a setting of it."
    )
    of_kind = f"The rest depends on ``{group}.kind``; names in brackets are kinds."
    parts = {"Of all kinds": ("", everywhere), "Of one kind or several": (of_kind, settings)}
    return Page(group, title, about, parts)


def _episodes() -> Page:
    """Settings of all samplers."""
    settings = Settings()
    samplers = [
        (f"``{name}``", escaped(facts["summary"])) for name, facts in LISTS["episodes"]().items()
    ]
    names = " | ".join(option_names("episodes"))
    settings.note("episodes.sampler", "", MISSING, Explanation(names, "Set by ``episodes=NAME``."))
    for name in option_names("episodes"):
        path = resource_dir("conf") / "episodes" / f"{name}.yaml"
        comments = file_comments(path.read_text(encoding="utf-8"), "episodes")
        for key, default in read_yaml(path).items():
            if key not in ("defaults", "sampler"):
                words = _written(comments, f"episodes.{key}")
                settings.note(f"episodes.{key}", name, default, words)
    about = (
        "``episodes=NAME`` chooses a sampler, ``episodes.SETTING=VALUE`` changes a setting of it. "
        "Names in brackets are samplers.\n\n" + table(("sampler", "what it draws"), samplers)
    )
    return Page("episodes", "Episodes", about, {"": ("", settings)})


def _written(comments: Mapping[str, Sequence[str]], key: str) -> Explanation:
    """What a comment of a YAML file says."""
    return Explanation("", " ".join(comments.get(key, ())))


def _registered(group: str, title: str) -> Iterator[Page]:
    """Settings of heads or estimators: a page for all tasks, and one per task with its own."""
    seen: list[Registry] = []
    for task in known_tasks():
        registry = task.registry(group)
        if registry in seen:
            continue
        seen.append(registry)
        first = len(seen) == 1
        option = f"``{group}=[NAME,NAME]`` chooses among those of ``fewshot list {group}s``"
        about = f"{option}; ``{group}.NAME.SETTING=VALUE`` changes a setting."
        if not first:
            about = f"With ``task={task.name}``: {about}"
        parts = {}
        for name in registry:
            if registry[name].package is not None:
                continue
            parameters, settings = parameters_of(registry[name]), Settings()
            for setting, default in parameters.defaults.items():
                words = parameters.explanations.get(setting, SILENT)
                key = f"{group}.{name}.{setting}{'' if first else f' (task={task.name})'}"
                settings.note(key, name, default, words)
            parts[name] = (escaped(f"{registry[name].summary}."), settings)
        page = f"{group}s" if first else f"{task.name}-{group}s"
        yield Page(page, title if first else f"{title} of {task.name}", about, parts)


def _sections() -> Iterator[Page]:
    """Settings of the sections that are dataclasses; a section within another is a part of it."""
    parts: dict[str, dict[str, tuple[str, Settings]]] = {}
    abouts: dict[str, str] = {}
    for section in all_sections():
        if section.package is not None:
            continue
        parameters, settings = parameters_of(section), Settings()
        for name, default in parameters.defaults.items():
            words = parameters.explanations.get(name, SILENT)
            settings.note(f"{section.name}.{name}", "", default, words)
        page, _, below = section.name.partition(".")
        abouts.setdefault(page, escaped(f"{section.summary.rstrip('.')}."))
        about = escaped(f"{section.summary.rstrip('.')}.") if below else ""
        parts.setdefault(page, {})[section.name if below else ""] = (about, settings)
    for page, content in parts.items():
        yield Page(page, page, abouts[page], content)


def _launching() -> Page:
    """Settings of launchers, loggers and tuning, which YAML files add to those of a run."""
    parts = {}
    for group in ("launcher", "logger", "tune"):
        for name in option_names(group):
            path = resource_dir("conf") / group / f"{name}.yaml"
            text, settings = path.read_text(encoding="utf-8"), Settings()
            comments = file_comments(text, group)
            is_global = text.startswith("# @package _global_")
            for key, value in _flat(read_yaml(path), "" if is_global else f"{group}."):
                if "defaults" not in key and "callbacks" not in key:
                    # Launchers set the same keys of Hydra, each in its own way.
                    shown = f"{key} ({group}={name})" if is_global else key
                    settings.note(shown, name, value, _written(comments, key))
            parts[f"{group}={name}"] = ("", settings)
    about = (
        "What ``launcher=NAME``, ``logger=NAME`` and ``tune=NAME`` add to the settings of a run."
    )
    return Page("launchers", "Launchers, loggers and tuning", about, parts)
