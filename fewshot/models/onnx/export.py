"""A fitted classifier as an ONNX file."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from numpy.typing import NDArray
from torch import Tensor

from fewshot import __version__
from fewshot.backbones.transform import Transform
from fewshot.download_errors import brief
from fewshot.exceptions import FewshotError, expect, expect_choice
from fewshot.features.ranges import unit_length
from fewshot.files import file_to_write, writing
from fewshot.heads.semi_supervised import SemiSupervised
from fewshot.models.header import Header
from fewshot.models.onnx.packages import expect_packages

if TYPE_CHECKING:
    from onnx import ModelProto

    from fewshot.backbones.base import Encode
    from fewshot.models.classifier import Classifier
    from fewshot.models.onnx.check import Comparison, Reference

INPUTS = ("image", "pixels", "features")
ANOTHER = "Take another head, a linear one for instance."
TOGETHER = frozenset({"queries", "query_prior"})  # uses of transductive heads


@dataclass(frozen=True)
class Exported:
    """An ONNX file that was written.

    Attributes
    ----------
    path : Path
    input : {"image", "pixels", "features"}
    comparison : Comparison
        With torch.
    """

    path: Path
    input: str
    comparison: Comparison


def export(
    classifier: Classifier, path: str | Path, input: str | None = None, check: Any = None
) -> Exported:
    """Write transform, network, head and probabilities as one ONNX graph, checked against torch.

    Parameters
    ----------
    classifier : Classifier
        Fitted.
    path : path
    input : {"image", "pixels", "features"}, optional
        What the graph takes: images (B, H, W, 3), uint8, of any size; pixels (B, 3, S, S), uint8,
        after `Transform.pixels`; features (B, D), float32, before unit length. None: images, or
        features for a classifier of features.
    check : as for `Classifier.predict_proba`, optional
        What torch and onnxruntime are compared on; patterns at random by default.

    Returns
    -------
    Exported

    Raises
    ------
    FewshotError
        A package of the extra ``onnx`` is missing, the head cannot be exported (transductive, or
        of operations that ONNX lacks), the network cannot, or results differ by more than 1e-4.
    """
    expect_packages()
    from fewshot.models.onnx.check import compare
    from fewshot.models.onnx.samples import samples_of
    from fewshot.models.onnx.writing import written

    target = file_to_write("path", path, example="model.onnx")
    kind = _input_of(classifier, input)
    _check_head(classifier)
    samples = samples_of(classifier, kind, check)
    encode = None
    if kind != "features" and classifier.network_ is not None:
        encode = classifier.network_.backbone.load(torch.device("cpu"))
    model = _model(classifier, encode, kind)
    for key, value in metadata(classifier.header_, kind).items():
        model.metadata_props.add(key=key, value=value)
    with writing("path", target), written(model, target) as partial:
        comparison = compare(partial, _in_torch(classifier, encode), samples)
    return Exported(target, kind, comparison)


def metadata(header: Header, kind: str) -> dict[str, str]:
    """What an ONNX file says of itself: texts by name, JSON but for plain words."""
    backbone = header.backbone
    facts: dict[str, Any] = {
        "classes": list(header.classes),
        "input": kind,
        "head": header.head["name"],
        "normalize": header.normalize,
        "predicted_error": None if header.error is None else asdict(header.error),
        "versions": header.versions,
        # Pillow's, as versions resample in different orders.
        "exported_with": {
            "fewshot": __version__,
            "torch": version("torch"),
            "pillow": version("pillow"),
        },
        "created": header.created,
        "name": header.name,
    }
    if backbone is not None:
        facts |= {
            "backbone": backbone.name,
            "transform": backbone.transform,
            "weights_sha256": backbone.weights.sha256,
            "fitted_at_precision": backbone.precision,
        }
    return {
        key: value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
        for key, value in facts.items()
    }


def _input_of(classifier: Classifier, kind: str | None) -> str:
    network = classifier.network_
    if kind is None:
        kind = "features" if network is None else "image"
    expect_choice("input", kind, INPUTS)
    expect(
        network is not None or kind == "features",
        "input",
        f"expected 'features', as the classifier was fitted on features, got {kind!r}",
    )
    if kind == "image" and network is not None:
        transform = network.backbone.transform
        expect(
            type(transform) is Transform,
            "input",
            f"{network.name!r} has a transform of a class of its own, {type(transform).__name__}",
            "Set input=pixels, and apply it before.",
        )
    return kind


def _check_head(classifier: Classifier) -> None:
    head = classifier.fitted_.head
    if isinstance(head, SemiSupervised):
        raise FewshotError(
            "head",
            f"{classifier.header_.head['name']} cannot be exported: it learns from "
            f"{len(head.unlabelled):,} unlabelled images whenever it classifies",
            ANOTHER,
        )
    if TOGETHER & head.uses:
        raise FewshotError(
            "head",
            f"{classifier.header_.head['name']} cannot be exported: it is transductive, the scores "
            "of an image depend on the others that come with it",
            ANOTHER,
        )


def _in_torch(classifier: Classifier, encode: Encode | None) -> Reference:
    """What the classifier itself says, in float32 on the CPU, whatever precision it had."""
    fitted, network = classifier.fitted_, classifier.network_

    def run(inputs: Tensor) -> list[NDArray]:
        if encode is not None and network is not None:
            inputs = encode(network.backbone.transform.normalise(inputs)).float()
        with torch.inference_mode():
            rows = unit_length(inputs) if classifier.header_.normalize == "l2" else inputs
            probabilities = fitted.predict_proba(rows)
            outputs = (probabilities, fitted.scores(rows), probabilities.argmax(-1))
        return [output.numpy() for output in outputs]

    return run


def _model(classifier: Classifier, encode: Encode | None, kind: str) -> ModelProto:
    """The graph from the input to the outputs."""
    from fewshot.models.onnx.exporting import model_of, put_before
    from fewshot.models.onnx.modules import OfFeatures, OfPixels, Outputs
    from fewshot.models.onnx.transform import PIXELS, transform_graph

    head = OfFeatures(classifier.fitted_, classifier.header_.normalize == "l2").eval()
    network = classifier.network_
    try:
        if encode is None or network is None:
            return model_of(head, torch.ones(2, classifier.fitted_.dim), kind, Outputs._fields)
        transform = network.backbone.transform
        squares = torch.zeros((2, 3, transform.size, transform.size), dtype=torch.uint8)
        module = OfPixels(transform, encode, head).eval()
        model = model_of(module, squares, PIXELS, Outputs._fields)
    except Exception as error:
        raise _untraceable(classifier, kind, error) from error
    if kind == "image":
        put_before(model, transform_graph(transform))
    return model


def _untraceable(classifier: Classifier, kind: str, error: Exception) -> FewshotError:
    """The error for operations that torch cannot trace or ONNX lacks, by head or network."""
    cause: BaseException = error
    while cause.__cause__ is not None:
        cause = cause.__cause__
    reason = f"cannot be exported: {brief(cause)}"
    if kind != "features":
        try:
            _model(classifier, None, "features")
        except FewshotError as of_head:
            return of_head
        assert classifier.network_ is not None
        remedy = "Export the head alone, with input=features."
        return FewshotError("backbone", f"{classifier.network_.name!r} {reason}", remedy)
    return FewshotError("head", f"{classifier.header_.head['name']!r} {reason}", ANOTHER)
