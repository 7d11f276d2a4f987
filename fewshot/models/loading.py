"""Read a model file back to what it was made of."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from fewshot.evaluation.networks import Network, network_named
from fewshot.files import path_of
from fewshot.heads.fitted_linear import FittedLinear
from fewshot.models.classifier import Classifier
from fewshot.models.file import ModelFile, read_model
from fewshot.models.header import BackboneNote
from fewshot.models.parts import PARTS, put_together
from fewshot.tasks.classification.labelling.fitted import FittedClassifier

if TYPE_CHECKING:
    from fewshot.models.segmentation.segmenter import Segmenter


def load(
    path: str | Path,
    *,
    device: str = "auto",
    weights: str | Path | None = None,
    backbone: str | None = None,
    head: Any = None,
) -> Classifier | Segmenter:
    """Read a model file; its network is loaded when the first image is classified.

    Parameters
    ----------
    path : path
    device : str
    weights : str or Path, optional
        Where weights are looked for first.

    Raises
    ------
    FewshotError
        No such file, another kind of file, torn, or written by a later version.
    """
    content = read_model(path_of("path", path), "path")
    if content.header.task == "segmentation":
        from fewshot.models.segmentation.loading import segmenter_of

        return segmenter_of(content, path_of("path", path), device, weights, backbone, head)
    header, classifier = content.header, Classifier(device=device, weights=weights)
    classifier.header_, classifier.classes_ = header, np.array(header.classes)
    classifier.fitted_ = _fitted(content)
    classifier.network_ = _network(header.backbone, device, weights)
    return classifier


def _fitted(content: ModelFile) -> FittedClassifier:
    header, tensors = content
    parts = {
        name: put_together(kind, name, header.values[name], tensors) for name, kind in PARTS.items()
    }
    head = FittedLinear(tensors["head.weights"], tensors["head.biases"])
    return FittedClassifier(header.classes, head, **parts)


def _network(note: BackboneNote | None, device: str, weights: str | Path | None) -> Network | None:
    if note is None:
        return None
    network = network_named(note.name, device=device, weights=weights)
    return network.at(note.precision)
