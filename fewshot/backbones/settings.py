"""Settings that every backbone has, whatever its kind."""

from __future__ import annotations

from typing import TypedDict


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
    citation : str
        Paper that the weights come from.
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
    citation: str
    parameters: str
    dim: int
    resolution: int
    source: str
