"""Settings that every backbone has, whatever its kind."""

from __future__ import annotations

from typing import Any, TypedDict

from fewshot.backbones.sources import kinds
from fewshot.exceptions import FewshotError, expect, shown
from fewshot.importing import is_module
from fewshot.paths import option


class BackboneSettings(TypedDict, total=False):
    """Settings of every backbone; all others are parameters of the class of its kind.

    All but `kind` document it and change nothing.

    Attributes
    ----------
    kind : str
        Source of models: "packaged", "timm", "torchvision", "resnet12", "open_clip", "conse" or
        "callable".
    summary : str
        What it is, as ``fewshot list backbones`` shows it.
    licence : str
        Licence of the weights.
    references : list of str
        Papers that the network and its weights come from, for ``fewshot cite``: keys of
        `fewshot.references`, or BibTeX.
    citation : str
        The same as text, where there are no references.
    parameters : str
        How many weights it has.
    dim : int
        Length of its features.
    resolution : int
        Input pixels that it was trained or evaluated with.
    source : str
        Where the weights come from.
    """

    kind: str
    summary: str
    licence: str
    references: list[str]
    citation: str
    parameters: str
    dim: int
    resolution: int
    source: str


def backbone_settings(text: str) -> dict[str, Any]:
    """Return the settings of the group ``backbone`` for the name of a backbone.

    The name is one of ``fewshot list backbones``, or ``timm:MODEL``,
    ``torchvision:MODEL/PRETRAINED``, ``open_clip:MODEL/PRETRAINED``, ``resnet12:FILE``,
    ``callable:MODULE:FUNCTION`` or ``MODULE:FUNCTION``.

    Raises
    ------
    FewshotError
        It is none.
    """
    expect(isinstance(text, str), "backbone", f"expected a name, got {shown(text)}")
    kind, _, rest = text.partition(":")
    plugged = text in kinds.plugged() if not rest else kind not in kinds and is_module(kind)
    if plugged:
        return {"kind": text, "name": kinds[text].name}
    settings = option("backbone", kind, kinds.plugged())
    if not rest:
        return settings
    if kind == "timm":
        return settings | {"model": rest}
    if kind == "resnet12":
        return settings | {"weights": rest}
    if kind in ("open_clip", "torchvision"):
        model, _, pretrained = rest.partition("/")
        return settings | {"model": model, "pretrained": pretrained or None}
    if kind == "callable":
        return settings | {"target": rest}
    raise FewshotError(
        "backbone",
        f"expected timm:, torchvision:, open_clip:, resnet12: or callable:..., got {text!r}",
        "Others go by their name alone.",
    )
