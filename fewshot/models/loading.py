"""Read a model file back to what it was made of."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from fewshot.evaluation.networks import Network
from fewshot.exceptions import FewshotError
from fewshot.features.extraction.settings import Extraction
from fewshot.files import path_of
from fewshot.hardware import computes_in_bfloat16, device_named
from fewshot.heads.base import Head
from fewshot.models.file import ModelFile, damaged, read_model
from fewshot.models.header import BackboneNote, Header
from fewshot.models.heads import fitted_head, head_tensors
from fewshot.models.parts import parts_of, put_together
from fewshot.models.referenced import OURS, ReferencedBackbone, transform_of
from fewshot.models.saving import part_tensors
from fewshot.paths import places_of_environment
from fewshot.tasks.classification.labelling.fitted import FittedClassifier
from fewshot.tasks.classification.labelling.labels import labels_of

if TYPE_CHECKING:
    from fewshot.models.classifier import Classifier
    from fewshot.models.segmentation.segmenter import Segmenter
    from fewshot.tasks.segmentation.heads.base import DenseHead

TASK, MASKS = "classification", "segmentation"


def load(
    path: str | Path,
    *,
    device: str = "auto",
    weights: str | Path | None = None,
    backbone: str | None = None,
    head: str | Head | DenseHead | None = None,
) -> Classifier | Segmenter:
    """Read a model file; its network is loaded when the first image is classified or segmented.

    No code is run because a file says so. Networks and heads of your own are named again.

    Parameters
    ----------
    path : path
    device : str
    weights : str or Path, optional
        Folder where weights are looked for first.
    backbone : str, optional
        The backbone that the model was fitted on, where that is code of your own
        (``callable:MODULE:FUNCTION``, ``MODULE:FUNCTION``) or a file (``resnet12:FILE``).
    head : str, Head or DenseHead, optional
        The head, where that is a class of your own.

    Returns
    -------
    Classifier, or Segmenter of a model for segmentation

    Raises
    ------
    FewshotError
        No such file, another kind of file, torn, of another task or written by a later version;
        another backbone or head than those of the model.
    """
    place = path_of("path", path)
    content = read_model(place, "path")
    header = content.header
    if header.task == MASKS:
        from fewshot.models.segmentation.loading import segmenter_of

        return segmenter_of(content, place, device, weights, backbone, head)  # type: ignore[arg-type]
    if header.task != TASK:
        problem = f"expected a model for {TASK}, got one for {header.task}: {place}"
        raise FewshotError("path", problem)
    return _classifier(content, place, device, weights, backbone, head)  # type: ignore[arg-type]


def load_classifier(path: str | Path, *, remedy: str = "", **options: Any) -> Classifier:
    """The same of a model for classification alone.

    Parameters
    ----------
    path, **options
        See `load`.
    remedy : str
        For a model of another task, in place of the command that takes it.

    Raises
    ------
    FewshotError
        It is for another task; see `load`.
    """
    from fewshot.models.classifier import Classifier

    model = load(path, **options)
    if isinstance(model, Classifier):
        return model
    raise FewshotError(
        "path",
        f"expected a model for {TASK}, got one for {MASKS}: {path}",
        remedy or f"Masks of images: fewshot segment {path} IMAGES --out FOLDER.",
    )


def _classifier(
    content: ModelFile,
    place: Path,
    device: str,
    weights: str | Path | None,
    backbone: str | None,
    head: str | Head | None,
) -> Classifier:
    # Here, as scikit-learn takes a second to import, which models of other tasks do without.
    from fewshot.models.class_labels import labels_of_names
    from fewshot.models.classifier import Classifier
    from fewshot.models.parameters import chosen_parameters

    header = content.header
    classifier = Classifier(device=device, weights=weights, **chosen_parameters(header))
    with _holding_together(place):
        classifier.fitted_ = _fitted(content, head)
        classifier.classes_ = labels_of_names(header.classes, header.labels)
        if header.backbone is not None and header.backbone.settings["kind"] in OURS:
            transform_of(header.backbone.transform)
    classifier.header_ = header
    classifier.network_ = _network(header.backbone, place, device, weights, backbone)
    classifier.set_features_in()
    return classifier


@contextmanager
def _holding_together(path: Path) -> Iterator[None]:
    """Raise FewshotError where numbers of a file do not fit each other."""
    try:
        yield
    except FewshotError as error:
        if error.argument == "head":
            raise
        raise damaged("path", path, str(error)) from error
    except KeyError as error:
        raise damaged("path", path, f"it lacks {error}") from error
    except (ValueError, TypeError, RuntimeError, IndexError, ArithmeticError) as error:
        reason = " ".join(str(error).split()) or type(error).__name__
        raise damaged("path", path, reason) from error


def _fitted(content: ModelFile, named: str | Head | None) -> FittedClassifier:
    header, tensors = content
    head, support = fitted_head(header, tensors, named)
    parts = {
        name: put_together(kind, name, header.values[name], tensors)
        for name, kind in parts_of().items()
    }
    fitted = FittedClassifier(header.classes, head, support=support, **parts)
    surplus = sorted(tensors.keys() - head_tensors(fitted).keys() - part_tensors(fitted).keys())
    if surplus:
        raise ValueError(f"it has a tensor too many, {surplus[0]!r}")
    _try_out(fitted, header)
    return fitted


def _try_out(fitted: FittedClassifier, header: Header) -> None:
    """Raise unless features can be labelled, as where shapes of tensors do not fit each other."""
    form = fitted.head.linear()
    shots = form.weights if fitted.support is None and form is not None else None
    features = shots[0, :1] if shots is not None else fitted.support.features[0, 0, :1]  # type: ignore[union-attr]
    features = features.float()  # as those of images are
    with torch.inference_mode():
        probabilities = fitted.predict_proba(features)
        labels_of(fitted, features, ["an image"])
    shape = (1, len(header.classes))
    if tuple(probabilities.shape) != shape or not bool(probabilities.isfinite().all()):
        raise ValueError("its probabilities are not finite")


def _network(
    note: BackboneNote | None,
    model: Path,
    device: str,
    weights: str | Path | None,
    named: str | None,
) -> Network | None:
    if note is None:
        if named is not None:
            raise FewshotError("backbone", f"expected none for a model of features, got {named!r}")
        return None
    places = places_of_environment(weights=weights)
    backbone = ReferencedBackbone(note, places, model, named)
    extraction = Extraction(device_named(device))
    network = Network(note.name, note.settings, backbone, extraction, places.banks)
    return network.at(precision_on(extraction.device, note.precision))


def precision_on(device: torch.device, recorded: str) -> str:
    """The precision of the model where a device computes in it, else float32."""
    if recorded == "bfloat16":
        return recorded if computes_in_bfloat16(device) else "float32"
    return "float32" if recorded == "float16" and device.type == "cpu" else recorded
