"""Heads and estimators of a run again, to ask them for their papers."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from fewshot.exceptions import FewshotError
from fewshot.registry import Registry


def made_of(
    registry: Registry, name: str, recorded: Mapping[str, Any], settings: object
) -> object | None:
    """The object of a name with its parameters, or with its defaults; None if it cannot be made.

    Parameters
    ----------
    registry : Registry
    name : str
        In the rows.
    recorded : mapping
        Parameters, as the summary has them.
    settings : object
        Those of the configuration, perhaps with the ``_target_`` of another package.
    """
    known = dict(settings) if isinstance(settings, Mapping) else {}
    target = {"_target_": known["_target_"]} if "_target_" in known else {}
    for parameters in ({**target, **recorded} if recorded else known, known, target):
        try:
            made: object = registry.create_from(name, parameters)
        except (FewshotError, TypeError, ValueError):
            continue
        return made
    return None
