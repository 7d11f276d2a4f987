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
from fewshot.registry import Registry

# Of `fewshot.evaluate` and of conf/config.yaml.
DEFAULT_ESTIMATORS = ("auto", "margin", "gaussian", "loo", "constant")
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


def named_heads(heads: str | Head | Iterable[str | Head]) -> tuple[tuple[str, Head], ...]:
    """Names and objects of heads, from either of them."""
    if isinstance(heads, str | Head) or not isinstance(heads, Iterable):
        return (named_head(heads),)
    named = tuple(named_head(head) for head in heads)
    expect(bool(named), "head", "expected at least one, got none")
    return named


def named_head(head: Any) -> tuple[str, Head]:
    """Return the name and the object of a head, from either of them."""
    if isinstance(head, str):
        name = head_registry.name_of(head) if ":" in head else head
        return name, head_registry.create(head)
    if not isinstance(head, Head):
        raise FewshotError("head", f"expected a name or a Head, got {head!r}")
    return registered_name(head), head


def registered_name(head: Head) -> str:
    """Name of the class of a head in the registry; its own in lower case if it has none."""
    own = type(head)
    origin = f"{own.__module__}:{own.__qualname__}"
    for name in head_registry:
        if head_registry[name].origin == origin:
            return name
    return own.__name__.lower()


def named_estimators(
    estimators: Iterable[str] | Mapping[str, ErrorEstimator],
) -> dict[str, ErrorEstimator]:
    """Return estimators by name, from names or from a mapping of names to objects."""
    if isinstance(estimators, Mapping):
        return dict(estimators)
    if isinstance(estimators, str):
        estimators = [estimators]
    return {
        estimator_registry.name_of(name) if ":" in name else name: estimator_registry.create(name)
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
