"""Settings that are made from Python: defaults of constructors and dataclasses, and their words.

Nothing is stated twice: ``head.lda.shrinkage`` is what the constructor of ``lda`` has, and its
comment is the constructor's documentation.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import MISSING, fields, is_dataclass
from typing import Any

from fewshot.backbones import BackboneSettings
from fewshot.backbones import kinds as backbone_kinds
from fewshot.config.explanations import Explanation, explanations
from fewshot.config.static import NotStaticError, Parameters, assigns, derives, read_parameters
from fewshot.config.task_choice import composed_task
from fewshot.datasets import PLUGGED, DatasetSettings
from fewshot.datasets import kinds as dataset_kinds
from fewshot.estimators import estimators
from fewshot.exceptions import FewshotError
from fewshot.heads import heads
from fewshot.importing import BY_MODULE, is_plain
from fewshot.loggers import loggers
from fewshot.paths import options as yaml_options
from fewshot.registry import Entry, Registry
from fewshot.tasks import Task, task_named, tasks

# Groups whose options are the entries of a registry: of tasks that bring no registry of their own.
GROUPS: dict[str, Registry] = {"head": heads, "estimator": estimators}
# Groups to which other packages add options beside the YAML files of `conf/`.
YAML_GROUPS: dict[str, Registry] = {
    "logger": loggers,
    "backbone": backbone_kinds,
    "dataset": dataset_kinds,
}
# All groups that have a registry.
OPEN_GROUPS = (*GROUPS, *YAML_GROUPS)
# Name of the class of an object that is registered nowhere, ``module:attribute``.
TARGET = "_target_"
SURROUNDINGS = ("cache", "data", "folders")  # parameters that are no settings
# Sections that are dataclasses, in this order; a dot is a section in another.
SECTIONS = (
    Entry(
        "features",
        "fewshot.features.extraction.settings:FeatureSettings",
        "From images to features.",
    ),
    Entry("text", "fewshot.text.settings:TextSettings", "From class names to texts and vectors."),
    Entry(
        "llm",
        "fewshot.text.llm.settings:LanguageModel",
        "The language model that `fewshot text describe` and `fewshot text confusers` ask; no run "
        "ever does",
    ),
    Entry(
        "calibration",
        "fewshot.tasks.engine.settings:Calibration",
        "Calibration of predicted errors, and their intervals.",
    ),
)


def registry_of(group: str) -> Registry:
    """The registry of a group, of heads and estimators that of the task that is composed for."""
    if group in YAML_GROUPS:
        return YAML_GROUPS[group]
    task = composed_task()
    return GROUPS[group] if task is None else task.registry(group)


def all_sections() -> tuple[Entry, ...]:
    """The sections of this package, and those of tasks that have settings of their own.

    A task of another package without any is not imported.
    """
    return (*SECTIONS, *(section for task in _tasks_with_sections() for section in task.sections))


def _tasks_with_sections() -> Iterator[Task]:
    for name in tasks.registered():
        entry = tasks[name]
        try:
            if entry.package is None or assigns(entry.origin, "sections"):
                yield task_named(name)
        except FewshotError:  # a task that cannot be imported, named where it is asked for
            continue


# Groups of YAML files whose settings go to the loader of their `kind`, which documents the rest.
KINDS = {
    "dataset": (DatasetSettings, dataset_kinds),
    "backbone": (BackboneSettings, backbone_kinds),
}


def parameters_of(entry: Entry) -> Parameters:
    """Return defaults and explanations of a registered constructor, function or dataclass.

    A parameter without a default is ``???``, Hydra's word for a setting that must be set; one
    whose default is an object of Python cannot be written in YAML and is left out.
    """
    if isinstance(entry.target, str):
        try:
            if entry.package is None or (entry.base and derives(entry.target, entry.base)):
                return read_parameters(entry.target)
        except NotStaticError:
            pass
    target = entry.load()
    return Parameters(imported_defaults(target), explanations(target))


def imported_defaults(target: Callable[..., Any]) -> dict[str, Any]:
    """Return the defaults of an imported constructor, function or dataclass, by parameter."""
    if is_dataclass(target):
        values = {
            field.name: field.default_factory()
            if field.default_factory is not MISSING
            else "???" if field.default is MISSING else field.default
            for field in fields(target)
            if field.init
        }  # fmt: skip
    else:
        values = {
            name: "???" if parameter.default is parameter.empty else parameter.default
            for name, parameter in inspect.signature(target).parameters.items()
            if parameter.kind not in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD)
        }
    return {name: _yaml(value) for name, value in values.items() if is_plain(value)}


def _yaml(value: Any) -> Any:
    """Return lists in place of tuples, which YAML does not have."""
    if isinstance(value, dict):
        return {key: _yaml(entry) for key, entry in value.items()}
    return list(map(_yaml, value)) if isinstance(value, list | tuple) else value


def has_option(group: str, name: str) -> bool:
    """Whether an option of a group is made from Python: the others are YAML files.

    By a registered name, that of another package, or ``module:attribute``.
    """
    registry = registry_of(group)
    if group in GROUPS or ":" in name:
        return name in registry
    return name in registry.plugged()


def option_of(group: str, name: str) -> dict[str, Any]:
    """Return the settings that ``head=NAME`` brings: those of heads in a section of its name.

    What is named by ``module:attribute`` is in a section of the attribute's name in lower case,
    with the setting `TARGET`.

    Raises
    ------
    FewshotError
        An object of another package that cannot be imported, or is no head, estimator, ...
    """
    registry = registry_of(group)
    entry = registry[name]
    if group in KINDS:
        settings = {"kind": name} | _flat(group, entry).defaults
    elif ":" in name:
        section = registry.name_of(name)
        settings = {section: {TARGET: name} | parameters_of(entry).defaults}
    else:
        settings = {name: parameters_of(entry).defaults}
    if entry.package is not None:
        _composed.setdefault((group, registry.group), {})[name] = settings
    return settings


def _flat(group: str, entry: Entry) -> Parameters:
    """Parameters of a backbone or a data set of another package, and what it has beside them."""
    target = entry.load()
    own = Parameters(imported_defaults(target), explanations(target))
    common = Parameters(PLUGGED, {}) if group == "dataset" else _of_networks(target)
    defaults = {key: value for key, value in own.defaults.items() if key not in SURROUNDINGS}
    if "name" in {**common.defaults, **defaults}:
        defaults["name"] = entry.name
    merged = {"name": None, **common.defaults, **defaults}
    merged = {key: value for key, value in merged.items() if key != "name" or "name" in defaults}
    return Parameters(merged, common.explanations | own.explanations)


def _of_networks(target: Any) -> Parameters:
    """Settings of what makes a network; none of a class derived from `Backbone`."""
    from fewshot.backbones.callable import CallableBackbone
    from fewshot.backbones.plugged import OF_NETWORKS, is_backbone

    if is_backbone(target):
        return Parameters({}, {})
    defaults = imported_defaults(CallableBackbone)
    return Parameters(
        {name: defaults[name] for name in OF_NETWORKS}, explanations(CallableBackbone)
    )


def options_of(group: str) -> dict[str, dict[str, Any]]:
    """Return the settings of every option of a group, made from Python or read from YAML.

    Those of other packages are empty unless they were asked for: none is imported.
    """
    if group not in OPEN_GROUPS:
        return yaml_options(group)
    registry = registry_of(group)
    foreign = registry.plugged()
    if group in GROUPS:
        options = {name: option_of(group, name) for name in registry if name not in foreign}
    else:
        options = yaml_options(group)
    options |= {name: {} for name in foreign}
    return dict(sorted((options | _composed.get((group, registry.group), {})).items()))


# Options of other packages that this process has composed: by group and its entry points, by name.
_composed: dict[tuple[str, str | None], dict[str, dict[str, Any]]] = {}


def sections() -> dict[str, Any]:
    """Return the settings of the sections that are dataclasses."""
    settings: dict[str, Any] = {}
    for section in all_sections():
        *parents, name = section.name.split(".")
        place = settings
        for parent in parents:
            place = place[parent]
        place[name] = parameters_of(section).defaults
    return settings


def section_explanations() -> dict[str, Explanation]:
    """Return the explanations of all sections and their settings, by key."""
    return _of_entries((section.name, section) for section in all_sections())


def option_explanations(group: str, chosen: Mapping[str, Any]) -> dict[str, Explanation]:
    """Return the explanations of options of a group and their settings, by key.

    Parameters
    ----------
    group : str
    chosen : mapping
        Settings by name.
    """
    registry, entries = registry_of(group), []
    for name, settings in chosen.items():
        target = settings.get(TARGET) if isinstance(settings, Mapping) else None
        known = name in registry.plugged() if target is None and group not in GROUPS else True
        if known and (key := target or name) in registry:
            entries.append((f"{group}.{name}", registry[key]))
    return _of_entries(entries)


def _of_entries(entries: Iterable[tuple[str, Entry]]) -> dict[str, Explanation]:
    """Return the explanations of entries and their parameters, from pairs of key and entry."""
    explained: dict[str, Explanation] = {}
    for key, entry in entries:
        explained[key] = Explanation("", f"{entry.summary[:1].upper()}{entry.summary[1:]}")
        if entry.package is not None:
            explained[key] = Explanation("", _of_package(entry))
        for name, words in parameters_of(entry).explanations.items():
            explained[f"{key}.{name}"] = words
    return explained


def _of_package(entry: Entry) -> str:
    return entry.origin if entry.package == BY_MODULE else f"{entry.origin} of {entry.package}"


def kind_explanations(group: str, kind: str) -> dict[str, Explanation]:
    """Return the explanations of settings that all YAML files of a group or a kind share."""
    common, kinds = KINDS[group]
    of_kind: dict[str, Explanation] = {}
    if kind in kinds:
        foreign = kinds[kind].package is not None
        of_kind = (
            _flat(group, kinds[kind]) if foreign else parameters_of(kinds[kind])
        ).explanations
    return {f"{group}.{name}": words for name, words in (of_kind | explanations(common)).items()}
