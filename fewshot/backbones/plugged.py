"""Backbones of other packages: a class derived from `Backbone`, or what makes a network."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from typing import Any

from fewshot.backbones.base import Backbone, Folders
from fewshot.backbones.callable import CallableBackbone
from fewshot.exceptions import FewshotError, suggestion
from fewshot.importing import is_plain
from fewshot.registry import Entry

# Settings of a network: how images become its input, and what its features are called.
OF_NETWORKS = ("name", "feature", "version", "size", "crop_pct", "interpolation", "mean", "std")


def is_backbone(loaded: Any) -> bool:
    """Whether an object of another package is a class derived from `Backbone`."""
    return isinstance(loaded, type) and issubclass(loaded, Backbone)


def create(entry: Entry, folders: Folders, parameters: Mapping[str, Any]) -> Backbone:
    """Return the backbone of an entry point or a ``module:attribute``; no network is made yet.

    Parameters
    ----------
    entry : Entry
        A class derived from `Backbone`; or a class or a function that makes a ``torch.nn.Module``
        from images (B, 3, S, S) to features (B, D).
    folders : Folders
        For classes derived from `Backbone` that take it.
    parameters : mapping
        For the class or the function. Those of `OF_NETWORKS` describe a network, and are for what
        makes it if it names them.

    Raises
    ------
    FewshotError
        It cannot be imported, takes other parameters, or is of another kind.
    """
    loaded = entry.load()
    accepted = inspect.signature(loaded).parameters
    if is_backbone(loaded):
        _check_settings(entry, parameters, accepted)
        surroundings = {"folders": folders, "name": entry.name}
        others = {key: value for key, value in surroundings.items() if key in accepted}
        backbone: Backbone = _called(entry, loaded, {**others, **parameters})
        return backbone
    _check_settings(entry, parameters, {**accepted, **dict.fromkeys(OF_NETWORKS)})
    values = {key: parameter.default for key, parameter in accepted.items()} | dict(parameters)
    values = {key: value for key, value in values.items() if value is not inspect.Parameter.empty}
    described = {key: value for key, value in values.items() if key in OF_NETWORKS}
    options = {key: value for key, value in values.items() if key in accepted and is_plain(value)}
    network = CallableBackbone(
        **{"name": entry.name} | described, folders=folders, target=entry.origin, options=options
    )
    network.argument, network.factory = "backbone", loaded
    return network


def _check_settings(
    entry: Entry, parameters: Mapping[str, Any], accepted: Mapping[str, Any]
) -> None:
    for setting in sorted(parameters.keys() - accepted.keys()):
        problem = f"{entry.name!r} has no setting {setting!r}"
        raise FewshotError("backbone", problem, suggestion(setting, accepted))


def _called(entry: Entry, loaded: Any, parameters: Mapping[str, Any]) -> Any:
    try:
        return loaded(**parameters)
    except TypeError as error:
        reason = str(error).split("__init__() ")[-1]
        raise FewshotError("backbone", f"{entry.name}: {reason}") from None
