"""What the header of a model file says, beside the tensors of the head."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class WeightsNote:
    """Which weights a network has, and where they come from.

    Attributes
    ----------
    sha256 : str
        Of the file of weights.
    file : str
        Its name, without folders.
    source : str
        Where it is had: a package, an address, a repository.
    packed : bool
        Whether the weights are in the model file.
    """

    sha256: str
    file: str
    source: str = ""
    packed: bool = False


@dataclass(frozen=True)
class BackboneNote:
    """The network whose features a head reads.

    Attributes
    ----------
    name : str
        As it was asked for: a name of ``fewshot list backbones``, ``timm:MODEL`` ...
    settings : dict
        Of the group ``backbone``, without places of this machine.
    feature : str
    architecture, transform : dict
        As in :meth:`fewshot.backbones.base.Backbone.fingerprint`.
    precision : {"float32", "bfloat16", "float16"}
        In which the features of the shots were computed.
    dim : int
        D.
    weights : WeightsNote
    """

    name: str
    settings: dict[str, Any]
    feature: str
    architecture: dict[str, Any]
    transform: dict[str, Any]
    precision: str
    dim: int
    weights: WeightsNote


@dataclass(frozen=True)
class ErrorNote:
    """The error that is predicted for new images, with its interval.

    Attributes
    ----------
    error, lower, upper : float in [0, 1]
        All classes alike.
    level : float
        Nominal coverage of the interval.
    calibrated_on : {"datasets", "base"}
    note : str or None
        Why it is unreliable, if it is.
    warnings : tuple of str
    """

    error: float
    lower: float
    upper: float
    level: float
    calibrated_on: str
    note: str | None = None
    warnings: tuple[str, ...] = ()


@dataclass(frozen=True)
class Header:
    """The JSON header of a model file.

    Attributes
    ----------
    task : {"classification", "segmentation"}
    classes : tuple of N str
    images : dict of str to int
        Labelled images per class.
    head : dict
        ``name``, ``parameters``, and ``form``: "linear" (weights and biases are in the file) or
        "support" (the shots are, and the head is fitted again when it is loaded).
    backbone : BackboneNote or None
        None for a model of features.
    normalize : {"l2", "none"}
        Whether features have unit length before the head sees them.
    error : ErrorNote or None
    values : dict
        Numbers of what turns scores into answers, by part: "probabilities", "sets", "strangers".
    versions : dict of str to str
        Of this package and the libraries that computed it.
    created : str
        ISO 8601, UTC.
    name : str
        Of the data set.
    card : str
        Model card in Markdown.
    labels : str
        Type of the labels that were given, which `classes` has as text: "str", "int64", "bool" ...
    """

    task: str
    classes: tuple[str, ...]
    images: dict[str, int]
    head: dict[str, Any]
    backbone: BackboneNote | None
    normalize: str
    error: ErrorNote | None
    values: dict[str, Any] = field(default_factory=dict)
    versions: dict[str, str] = field(default_factory=dict)
    created: str = ""
    name: str = ""
    card: str = ""
    labels: str = "str"
