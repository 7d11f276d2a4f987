"""Heads and estimators by name, from settings or from arguments."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from fewshot.estimators import estimators as estimator_registry
from fewshot.estimators.auto import Auto, AutoSupport
from fewshot.estimators.base import ErrorEstimator
from fewshot.evaluation.sampling import Sampling
from fewshot.exceptions import FewshotError, expect
from fewshot.heads import heads as head_registry
from fewshot.heads.base import Head
from fewshot.importing import attribute_at, origin_of
from fewshot.registry import Registry
from fewshot.tasks.base import Task

# Of `fewshot.evaluate` and of conf/config.yaml.
DEFAULT_ESTIMATORS: tuple[str, ...] = Task.arguments["estimators"]
SUPPORT_ALONE = "auto_support"


def create_objects(registry: Registry, named: Mapping[str, Any] | None) -> dict[str, Any]:
    """Create objects of a registry from {name: parameters}."""
    expect(bool(named), registry.kind, "expected at least one, got none")
    objects = {}
    for name, options in (named or {}).items():
        parameters = options or {}
        expect(
            isinstance(parameters, dict),
            f"{registry.kind}.{name}",
            f"expected settings by name, got {parameters!r}",
        )
        objects[name] = registry.create_from(name, parameters)
    return objects


def named_heads(heads: Any, registry: Registry = head_registry) -> tuple[tuple[str, Any], ...]:
    """Names and objects of heads, from either of them.

    Parameters
    ----------
    heads : str, head, or several of them
    registry : Registry
        Of the heads of a task, with the class that all of them are derived from.
    """
    if is_single(heads, registry):
        return (named_head(heads, registry),)
    named = tuple(named_head(head, registry) for head in heads)
    expect(bool(named), "head", "expected at least one, got none")
    return named


def heads_of_classes_alike(heads: Any) -> dict[str, Head]:
    """Heads by name, for an error that counts all classes alike.

    Those that are given by name weigh classes alike where they can (`class_weight`), so that a
    class with more images than others gets no more of the answers; objects stay as they are.

    Parameters
    ----------
    heads : str, Head, or several of them

    Raises
    ------
    FewshotError
        None at all, or two of one name.
    """
    entries = [heads] if is_single(heads) else list(heads)
    entries = [entry for n, entry in enumerate(entries) if entry not in entries[:n]]
    expect(bool(entries), "head", "expected at least one, got none")
    named: dict[str, Head] = {}
    for entry in entries:
        name, head = named_head(entry)
        expect(
            name not in named,
            "head",
            f"expected heads of different names, got two of {name}",
            "Predict their errors one after the other.",
        )
        parameters = head.get_params()
        if isinstance(entry, str) and "class_weight" in parameters:
            head = type(head)(**parameters | {"class_weight": "balanced"})
        named[name] = head
    return named


def is_single(heads: Any, registry: Registry = head_registry) -> bool:
    """Whether it is one name or one head; else they are several."""
    return isinstance(heads, str | _base(registry)) or not isinstance(heads, Iterable)


def _base(registry: Registry) -> type:
    base: type = attribute_at(str(registry.base))
    return base


def named_head(head: Any, registry: Registry = head_registry) -> tuple[str, Any]:
    """Return the name and the object of a head, from either of them."""
    if isinstance(head, str):
        name = registry.name_of(head) if ":" in head else head
        try:
            return name, registry.create(head)
        except TypeError as error:  # code of others, which takes parameters or is no class of heads
            reason = " ".join(str(error).split())
            raise FewshotError("head", f"{head!r} is not made from its name: {reason}") from None
    base = _base(registry)
    if not isinstance(head, base):
        raise FewshotError("head", f"expected a name or a {base.__name__}, got {head!r}")
    return registered_name(head, registry), head


def registered_name(head: object, registry: Registry = head_registry) -> str:
    """Name of the class of a head in the registry; its own in lower case if it has none."""
    own = type(head)
    origin = origin_of(own)
    for name in registry:
        if registry[name].origin == origin:
            return name
    return own.__name__.lower()


def named_estimators(
    estimators: Iterable[str] | Mapping[str, Any], registry: Registry = estimator_registry
) -> dict[str, Any]:
    """Return estimators by name, from names or from a mapping of names to objects."""
    if isinstance(estimators, Mapping):
        return dict(estimators)
    if isinstance(estimators, str):
        estimators = [estimators]
    return {
        registry.name_of(name) if ":" in name else name: registry.create(name)
        for name in estimators
    }


def complete_estimators(estimators: Mapping[str, Any], sampling: object) -> dict[str, Any]:
    """The estimators of an evaluation, with those that are added where images are unlabelled."""
    if not isinstance(sampling, Sampling):
        return dict(estimators)
    return with_support_alone(estimators, sampling.has_unlabelled)


def with_support_alone(
    estimators: Mapping[str, ErrorEstimator], unlabelled: bool
) -> dict[str, ErrorEstimator]:
    """The estimators, with ``auto_support`` after ``auto`` where that sees unlabelled images.

    Only if they are the default ones, so that both are compared; what was chosen stays as it is.
    """
    completed = {}
    for name, estimator in estimators.items():
        completed[name] = estimator
        default = set(estimators) == set(DEFAULT_ESTIMATORS) and type(estimator) is Auto
        if unlabelled and default:
            completed[SUPPORT_ALONE] = AutoSupport(**estimator.get_params())
    return completed
