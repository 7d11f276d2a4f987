"""Sets of prompts by name and version; a version never changes once it is published."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from fewshot.exceptions import FewshotError, UnknownNameError, suggestion
from fewshot.paths import card, read_yaml, resource_dir
from fewshot.text.prompts import DEFAULT_TEMPLATES, PLACE, check_templates

# Whose prompts `datasets/templates` has; the file's name is the beginning of the sets' names.
PUBLISHERS = {"clip": "openai", "openai": "openai", "coop": "coop"}
OWN_SETS: dict[str, dict[int, tuple[str, ...]]] = {
    "name": {1: ("{}",)},
    "photo": {1: DEFAULT_TEMPLATES},
    # One prompt for each way in which images of one class differ most: distance, sharpness, light,
    # number, surroundings and medium.
    "ensemble": {
        1: (
            "a photo of a {}.",
            "a close-up photo of a {}.",
            "a {} seen from far away.",
            "a blurry, badly lit photo of a {}.",
            "a bright photo of one {} against a plain background.",
            "a photo of several of the {}.",
            "a {} in its usual surroundings.",
            "a drawing of a {}.",
        )
    },
}
CARD = "card"


def _published(publisher: str) -> dict[str, Any]:
    return read_yaml(resource_dir("datasets/templates") / f"{publisher}.yaml")


def _all_sets() -> dict[str, dict[int, tuple[str, ...]]]:
    """The sets of this package and published ones, by name and version."""
    sets = dict(OWN_SETS)
    for publisher in PUBLISHERS.values():
        for dataset, versions in _published(publisher)["sets"].items():
            listed = {version: tuple(texts) for version, texts in versions.items()}
            sets[f"{publisher}_{dataset}"] = listed
    return sets


SETS: dict[str, dict[int, tuple[str, ...]]] = _all_sets()


@dataclass(frozen=True)
class TemplateSet:
    """Templates and their origin.

    Attributes
    ----------
    name : str
        "ensemble@1", "card" (those of the data set's card) or "own".
    templates : tuple of str
        With ``{}`` where the class name goes.
    """

    name: str
    templates: tuple[str, ...]

    @property
    def digest(self) -> str:
        """SHA-256 of the templates in their order."""
        return hashlib.sha256(json.dumps(self.templates).encode()).hexdigest()

    def record(self) -> dict[str, Any]:
        """Name, digest and templates of the set, JSON types only."""
        return {"name": self.name, "sha256": self.digest, "prompts": list(self.templates)}


def template_set(setting: str | Sequence[str] | None, dataset: str) -> TemplateSet:
    """The set that the setting ``text.templates`` selects.

    Parameters
    ----------
    setting : str, sequence of str or None
        A name, with ``@version`` or in its newest version; "clip" (or "openai") or "coop", the set
        of that publication for the data set; a list of templates; None or "card": those of the data
        set's card, ``photo@1`` if it has none.
    dataset : str
        Name of the data set.

    Raises
    ------
    FewshotError
        No such set, or templates without a place for the name.

    Examples
    --------
    >>> from fewshot.text.template_sets import template_set
    >>> template_set("photo", "digits").name
    'photo@1'
    """
    if setting is None or setting == CARD:
        templates = card(dataset).get("templates")
        return TemplateSet(CARD, tuple(templates)) if templates else _named("photo")
    if isinstance(setting, str) and setting in PUBLISHERS:
        return _named(_set_for(setting, dataset))
    if isinstance(setting, str) and PLACE not in setting:
        return _named(setting)
    chosen = [setting] if isinstance(setting, str) else setting
    check_templates(chosen)
    return TemplateSet("own", tuple(chosen))


def _set_for(publication: str, dataset: str) -> str:
    """Name of the set of "clip" or "coop" for a data set or one with the same classes."""
    publisher = PUBLISHERS[publication]
    name = f"{publisher}_{_published(publisher)['same_as'].get(dataset, dataset)}"
    if name not in SETS:
        available = ", ".join(other for other in SETS if other.startswith(f"{publisher}_"))
        raise FewshotError(
            "text.templates",
            f"expected prompts that there are: {publication} has none for {dataset!r}",
            f"Take text.templates=card, or the set of another data set: {available}.",
        )
    return name


def _named(setting: str) -> TemplateSet:
    name, _, version = setting.partition("@")
    newest = max(SETS.get(name, {0: ()}))
    full = f"{name}@{version or newest}"
    sets = {f"{name}@{n}": texts for name, of in SETS.items() for n, texts in of.items()}
    if full not in sets:
        names = [*sets, CARD, *PUBLISHERS]
        if "Did you mean" not in suggestion(
            setting, names
        ):  # of each publication the word alone, or the list is long
            names = [f"{name}@{n}" for name, of in OWN_SETS.items() for n in of]
            names += [CARD, *PUBLISHERS]
        raise UnknownNameError("text.templates", setting, names)
    return TemplateSet(full, sets[full])
