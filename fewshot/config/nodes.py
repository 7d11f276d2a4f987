"""Settings that are made from Python: defaults of constructors and dataclasses, and their words.

Nothing is stated twice: ``head.lda.shrinkage`` is what the constructor of ``lda`` has, and its
comment is the constructor's documentation.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable
from dataclasses import MISSING, fields, is_dataclass
from typing import Any

from fewshot.backbones import BackboneSettings
from fewshot.backbones import kinds as backbone_kinds
from fewshot.config.explanations import Explanation, explanations
from fewshot.config.static import NotStaticError, Parameters, read_parameters
from fewshot.datasets import DatasetSettings
from fewshot.datasets import kinds as dataset_kinds
from fewshot.estimators import estimators
from fewshot.heads import heads
from fewshot.paths import options as yaml_options
from fewshot.registry import Entry, Registry
from fewshot.tasks import known_tasks

# Groups whose options are the entries of a registry.
GROUPS: dict[str, Registry] = {"head": heads, "estimator": estimators}
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


def all_sections() -> tuple[Entry, ...]:
    """The sections of this package, and those of tasks that have settings of their own."""
    return (*SECTIONS, *(section for task in known_tasks() for section in task.sections))


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
    return {name: _yaml(value) for name, value in values.items() if _is_plain(value)}


def _is_plain(value: object) -> bool:
    if isinstance(value, list | tuple):
        return all(map(_is_plain, value))
    if isinstance(value, dict):
        return all(isinstance(key, str) and _is_plain(entry) for key, entry in value.items())
    return value is None or type(value) in (bool, int, float, str)


def _yaml(value: Any) -> Any:
    """Return lists in place of tuples, which YAML does not have."""
    if isinstance(value, dict):
        return {key: _yaml(entry) for key, entry in value.items()}
    return list(map(_yaml, value)) if isinstance(value, list | tuple) else value


def option_of(group: str, name: str) -> dict[str, Any]:
    """Return the settings that ``head=NAME`` or ``estimator=NAME`` brings, by its name."""
    return {name: parameters_of(GROUPS[group][name]).defaults}


def options_of(group: str) -> dict[str, dict[str, Any]]:
    """Return the settings of every option of a group, made from Python or read from YAML."""
    if group in GROUPS:
        return {name: option_of(group, name) for name in GROUPS[group]}
    return yaml_options(group)


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


def option_explanations(group: str, names: Iterable[str]) -> dict[str, Explanation]:
    """Return the explanations of options of a group and their settings, by key."""
    registry = GROUPS[group]
    return _of_entries((f"{group}.{name}", registry[name]) for name in names if name in registry)


def _of_entries(entries: Iterable[tuple[str, Entry]]) -> dict[str, Explanation]:
    """Return the explanations of entries and their parameters, from pairs of key and entry."""
    explained: dict[str, Explanation] = {}
    for key, entry in entries:
        explained[key] = Explanation("", f"{entry.summary[:1].upper()}{entry.summary[1:]}")
        for name, words in parameters_of(entry).explanations.items():
            explained[f"{key}.{name}"] = words
    return explained


def kind_explanations(group: str, kind: str) -> dict[str, Explanation]:
    """Return the explanations of settings that all YAML files of a group or a kind share."""
    common, kinds = KINDS[group]
    of_kind = parameters_of(kinds[kind]).explanations if kind in kinds else {}
    return {f"{group}.{name}": words for name, words in (of_kind | explanations(common)).items()}
