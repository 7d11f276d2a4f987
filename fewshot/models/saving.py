"""Write a fitted classifier as a model file."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from torch import Tensor

from fewshot.exceptions import FewshotError
from fewshot.files import path_of
from fewshot.models.file import write_model
from fewshot.models.parts import PARTS, taken_apart

if TYPE_CHECKING:
    from fewshot.models.classifier import Classifier


def save_classifier(classifier: Classifier, path: str | Path, with_weights: bool = False) -> None:
    """Write it to a file.

    Raises
    ------
    FewshotError
        The file cannot be written.
    """
    if with_weights:
        raise NotImplementedError
    fitted, target = classifier.fitted_, path_of("path", path)
    form = fitted.head.linear()
    if form is None:
        raise FewshotError("head", "cannot be saved")
    tensors: dict[str, Tensor] = {"head.weights": form.weights, "head.biases": form.biases}
    values = {}
    for name in PARTS:
        values[name], of_part = taken_apart(name, getattr(fitted, name))
        tensors |= of_part
    header = classifier.header_
    header = replace(header, head=header.head | {"form": "linear"}, values=values)
    write_model(target, header, tensors)
