"""Settings of the paper by one name, where they are not the defaults."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from typing import Any, Literal, TypeVar, get_args

from fewshot.exceptions import expect_choice
from fewshot.heads.base import Head

Preset = Literal["none", "paper"]
HeadT = TypeVar("HeadT", bound=Head)


def with_preset(
    head: HeadT, paper: Mapping[str, Any], setting: str, **others: Mapping[str, Any]
) -> HeadT:
    """The head with the settings of its preset.

    Parameters
    ----------
    head : Head
        With a parameter `preset`.
    paper : mapping
        Values of the paper by parameter. They take the place of defaults only: a parameter that was
        set to something else stays as it is.
    setting : str
        What to call the head in messages: ``head.tim``.
    **others : mapping
        Values of further presets, as of a widely used program, by the name of the preset.

    Returns
    -------
    Head
        `head` itself without a preset, else an unfitted one whose preset is "none".

    Raises
    ------
    FewshotError
        A preset that is not "none", "paper" or one of the others.
    """
    parameters = head.get_params()
    presets = {"paper": paper} | others
    expect_choice(f"{setting}.preset", parameters["preset"], [*get_args(Preset), *others])
    if parameters["preset"] == "none":
        return head
    chosen = presets[parameters["preset"]]
    accepted = inspect.signature(type(head)).parameters
    values = {
        name: chosen.get(name, value) if value == accepted[name].default else value
        for name, value in parameters.items()
    }
    return type(head)(**values | {"preset": "none"})
